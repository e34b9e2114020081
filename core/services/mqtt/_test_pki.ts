/** Two certificate authorities made by openssl for a test run, with certificates for localhost. */

export interface TestPki {
  /** PEM files; the stranger is an authority that has signed none of the others. */
  readonly ca: string;
  readonly stranger: string;
  readonly server: { readonly cert: string; readonly key: string };
  readonly client: { readonly cert: string; readonly key: string };
}

/** @param folder where the files go */
export async function makePki(folder: string): Promise<TestPki> {
  const path = (name: string) => `${folder}/${name}`;
  const authority = async (name: string) => {
    await openssl(
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-days", "2", "-subj", `/CN=${name}`, "-keyout", path(`${name}.key`)],
      ...["-addext", "keyUsage=critical,keyCertSign", "-out", path(`${name}.pem`)],
    );
    return path(`${name}.pem`);
  };
  const signed = async (name: string, extension: string) => {
    const [key, request, cert] = ["key", "csr", "pem"].map((end) => path(`${name}.${end}`));
    await Deno.writeTextFile(path(`${name}.ext`), extension);
    await openssl(
      ...["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
      ...["-subj", `/CN=${name}`, "-keyout", key!, "-out", request!],
    );
    await openssl(
      ...["x509", "-req", "-in", request!, "-CA", path("ca.pem"), "-CAkey", path("ca.key")],
      ...["-days", "2", "-extfile", path(`${name}.ext`), "-out", cert!],
    );
    return { cert: cert!, key: key! };
  };
  return {
    ca: await authority("ca"),
    stranger: await authority("stranger"),
    server: await signed("server", "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth"),
    client: await signed("client", "extendedKeyUsage=clientAuth"),
  };
}

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}
