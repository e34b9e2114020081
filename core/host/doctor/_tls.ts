/** The certificate of the public listener: its key fits, and it is valid for a while. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Finding } from "../plugin.ts";
import type { Patient } from "./_probe.ts";

const day = 86_400_000;
/** Milliseconds of validity below which somebody should have renewed it. */
const soon = 14 * day;

export async function* tls({ config, clock }: Patient): AsyncIterable<Finding> {
  const { tls_cert_file, tls_key_file, client_ca_file } = config.http;
  // the configuration has both or neither
  if (tls_cert_file !== undefined && tls_key_file !== undefined) {
    const certificate = await certificateIn(tls_cert_file, "tls_cert_file");
    yield fitting(certificate, await textOf(tls_key_file, "tls_key_file"));
    yield validity("tls_cert_file", certificate, clock());
  }
  if (client_ca_file !== undefined) {
    yield validity(
      "client_ca_file",
      await certificateIn(client_ca_file, "client_ca_file"),
      clock(),
    );
  }
}

function fitting(certificate: X509Certificate, key: string): Finding {
  let fits: boolean;
  try {
    fits = certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    // the reason might quote the file: keep it to ourselves
    const hint = "give the private key in PEM form, without a passphrase";
    return { state: "failed", what: "tls_key_file holds no private key", hint };
  }
  return fits ? { state: "ok", what: "tls_key_file fits the certificate" } : {
    state: "failed",
    what: "tls_key_file is not the key of the certificate",
    hint:
      "give the key that the certificate was issued for; the site's own certificate comes first",
  };
}

function validity(key: string, certificate: X509Certificate, now: number): Finding {
  const [from, until] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  const date = (t: number) => new Date(t).toISOString().slice(0, 10);
  if (now < from) {
    const hint = "look at the clock of this machine";
    return { state: "failed", what: `${key} is valid from ${date(from)} on`, hint };
  }
  const hint = "renew the certificate, then reload the site";
  if (now > until) return { state: "failed", what: `${key} has expired on ${date(until)}`, hint };
  if (until - now < soon) {
    return { state: "degraded", what: `${key} expires on ${date(until)}`, hint };
  }
  return { state: "ok", what: `${key} is valid until ${date(until)}` };
}

async function certificateIn(file: string, key: string): Promise<X509Certificate> {
  const text = await textOf(file, key);
  try {
    return new X509Certificate(text);
  } catch {
    throw new Error(`${key} holds no certificate`);
  }
}

async function textOf(file: string, key: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch {
    throw new Error(`${key} cannot be read`);
  }
}
