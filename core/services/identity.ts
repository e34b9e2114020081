/**
 * Who the site is: a static X25519 key for sessions, an Ed25519 key for statements and a master key
 * for sealing fields at rest. Made at the first start, kept in `data_dir/identity.key` (mode 0600).
 * Whoever holds that file is the site: back it up, and never copy it to a second running site.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBase64url, toBase64url } from "../base/bytes.ts";
import { CodedError, messageOf } from "../base/errors.ts";
import { Secret } from "../base/secret.ts";
import type { KeyPair, Signer, Suite } from "../trust/crypto.ts";
import { fingerprint } from "../trust/fingerprint.ts";
import { writeDurably } from "./durable_file.ts";

export interface Identity {
  readonly noise: KeyPair;
  readonly signer: Signer;
  /** Of the statement key: its kid. */
  readonly fingerprint: Uint8Array;
  /** 32 bytes; field keys are derived from it. */
  readonly sealingKey: Secret<Uint8Array>;
}

export class IdentityError extends CodedError<"data_dir_unwritable" | "identity_unreadable"> {
  override readonly name = "IdentityError";
}

/** Reads the identity in `dataDir`, or makes it. @throws IdentityError */
export function openIdentity(suite: Suite, dataDir: string): Identity {
  const file = join(dataDir, "identity.key");
  const secrets = read(file) ?? create(suite, dataDir, file);
  const signer = suite.ed25519.signer(secrets.sign);
  return {
    noise: suite.x25519.keyPair(secrets.noise),
    signer,
    fingerprint: fingerprint(suite, "Ed25519", signer.publicKey),
    sealingKey: new Secret(secrets.seal),
  };
}

interface Secrets {
  readonly noise: Uint8Array;
  readonly sign: Uint8Array;
  readonly seal: Uint8Array;
}

function read(file: string): Secrets | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return null;
    throw unreadable(file, messageOf(error));
  }
  try {
    const { version, noise, sign, seal } = JSON.parse(text);
    const keys = [noise, sign, seal].map(fromBase64url);
    if (version !== 1 || keys.some((key) => key.length !== 32)) throw new Error("unknown version");
    return { noise: keys[0]!, sign: keys[1]!, seal: keys[2]! };
  } catch {
    // the reason might quote the file: keep it to ourselves
    throw unreadable(file, "it is damaged");
  }
}

function create(suite: Suite, dataDir: string, file: string): Secrets {
  const [noise, sign, seal] = [0, 1, 2].map(() => suite.randomBytes(32));
  const text = JSON.stringify({
    version: 1,
    noise: toBase64url(noise!),
    sign: toBase64url(sign!),
    seal: toBase64url(seal!),
  });
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    writeDurably(file, text + "\n", 0o600);
  } catch (error) {
    throw new IdentityError(
      "data_dir_unwritable",
      `Cannot write to the data directory "${dataDir}": ${messageOf(error)}`,
      {
        hint: "set data_dir to a directory that the user running edgeward may write",
        cause: error,
      },
    );
  }
  return { noise: noise!, sign: sign!, seal: seal! };
}

function unreadable(file: string, why: string): IdentityError {
  return new IdentityError("identity_unreadable", `Cannot read the site's keys "${file}": ${why}`, {
    hint: "restore the file from a backup; without it every peer must be enrolled again",
  });
}
