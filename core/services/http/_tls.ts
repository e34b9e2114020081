/**
 * The listener's certificate and key, in PEM. They are read whole and proven to belong together
 * before anything uses them: the runtime would accept any text and fail at every handshake.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { CodedError, messageOf } from "../../base/errors.ts";

/** Where they are. */
export interface TlsFiles {
  /** The certificate, then the intermediate ones. */
  readonly certFile: string;
  readonly keyFile: string;
  /** With it only clients that show a certificate of one of these authorities get in. */
  readonly clientCaFile?: string | undefined;
}

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
  /** Unix milliseconds between which the certificate holds. */
  readonly valid: { readonly from: number; readonly to: number };
}

/** @throws CodedError "tls_unusable" */
export function readTls({ certFile, keyFile, clientCaFile }: TlsFiles): TlsMaterial {
  const cert = read(certFile, "certificate");
  const key = read(keyFile, "private key");
  const clientCa = clientCaFile === undefined ? undefined : read(clientCaFile, "client authority");
  const leaf = certificate(cert, certFile);
  if (clientCa !== undefined) certificate(clientCa, clientCaFile!);
  let secret: KeyObject;
  try {
    secret = createPrivateKey(key);
  } catch {
    throw unusable(`"${keyFile}" holds no private key`, "it is PEM, and not encrypted");
  }
  if (!leaf.checkPrivateKey(secret)) {
    throw unusable(
      `the key in "${keyFile}" is not the one of the certificate in "${certFile}"`,
      "the server's own certificate comes first in its file",
    );
  }
  const valid = { from: Date.parse(leaf.validFrom), to: Date.parse(leaf.validTo) };
  return { cert, key, clientCa, valid };
}

function read(file: string, what: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw unusable(
      `cannot read the ${what}: ${messageOf(error)}`,
      "the file must exist and be readable by the user running edgeward",
    );
  }
}

function certificate(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw unusable(`"${file}" holds no certificate`, "it is PEM: -----BEGIN CERTIFICATE-----");
  }
}

function unusable(why: string, hint: string): CodedError {
  return new CodedError("tls_unusable", `Cannot use TLS: ${why}`, { hint });
}
