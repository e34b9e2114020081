/** Certificates for tests, made by the `openssl` of this machine. */
import { join } from "node:path";

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A folder that goes when the test ends. */
export async function certificates(): Promise<
  AsyncDisposable & {
    /** Makes a certificate for localhost, signed by an authority or by itself. */
    make(name: string, authority?: CertificateFiles): Promise<CertificateFiles>;
    makeAuthority(name: string): Promise<CertificateFiles>;
    /** Makes `to` hold what `from` holds. */
    copy(from: CertificateFiles, to: CertificateFiles): Promise<void>;
  }
> {
  const dir = await Deno.makeTempDir();
  async function make(name: string, ...more: string[]): Promise<CertificateFiles> {
    const files = { certFile: join(dir, `${name}.crt`), keyFile: join(dir, `${name}.key`) };
    await openssl(
      ..."req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2".split(" "),
      ...["-subj", `/CN=${name}`, "-out", files.certFile, "-keyout", files.keyFile],
      ...["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
      ...more,
    );
    return files;
  }
  return {
    make(name, authority) {
      const signed = ["-CA", authority?.certFile ?? "", "-CAkey", authority?.keyFile ?? ""];
      const leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
      return make(name, ...leaf, ...(authority === undefined ? [] : signed));
    },
    makeAuthority: (name) => make(name),
    async copy(from, to) {
      await Deno.copyFile(from.certFile, to.certFile);
      await Deno.copyFile(from.keyFile, to.keyFile);
    },
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args }).output();
  if (!success) throw new Error(`openssl failed: ${new TextDecoder().decode(stderr)}`);
}
