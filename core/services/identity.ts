/**
 * Who the site is: a static X25519 key for sessions, an Ed25519 key for statements and a master key
 * for sealing fields at rest. Made at the first start, kept in `data_dir/identity.key` (mode 0600).
 * Whoever holds that file is the site: back it up, and never copy it to a second running site.
 *
 * `{version: 2, noise, sign, seal: [{version, key}, …]}`, keys in base64url, the oldest first. In a
 * file of version 1 `seal` is one key; it becomes version 2 when that key is rotated.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { equalBytes, fromBase64url, toBase64url } from "../base/bytes.ts";
import { CodedError, messageOf } from "../base/errors.ts";
import { Secret } from "../base/secret.ts";
import type { KeyPair, Signer, Suite } from "../trust/crypto.ts";
import { fingerprint } from "../trust/fingerprint.ts";
import { writeDurably } from "./durable_file.ts";
import { type KeyVersion, SealingKey } from "./sealing_key.ts";

export interface Identity {
  readonly noise: KeyPair;
  readonly signer: Signer;
  /** Of the statement key: its kid. */
  readonly fingerprint: Uint8Array;
  /** Field keys are derived from it. */
  readonly sealingKey: SealingKey;
}

export class IdentityError extends CodedError<"data_dir_unwritable" | "identity_unreadable"> {
  override readonly name = "IdentityError";
}

/** Reads the identity in `dataDir`, or makes it. @throws IdentityError */
export function openIdentity(suite: Suite, dataDir: string): Identity {
  const file = join(dataDir, "identity.key");
  const secrets = read(file) ?? create(suite, dataDir, file);
  const signer = discreet(suite.ed25519.signer(secrets.sign), "seed");
  return {
    noise: discreet(suite.x25519.keyPair(secrets.noise), "secretKey"),
    signer,
    fingerprint: fingerprint(suite, "Ed25519", signer.publicKey),
    sealingKey: new SealingKey(secrets.seal, (seal) => save(dataDir, file, { ...secrets, seal })),
  };
}

/** Keeps a secret of an object from whoever prints or serialises it. */
function discreet<T extends object>(holder: T, secret: keyof T): T {
  return Object.defineProperty(holder, secret, { enumerable: false });
}

interface Secrets {
  readonly noise: Uint8Array;
  readonly sign: Uint8Array;
  /** The oldest first. */
  readonly seal: readonly KeyVersion[];
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
    if (version !== 1 && version !== 2) throw new Error("unknown version");
    const versions = version === 1 ? [{ version: 1, key: seal }] : seal;
    return { noise: key(noise), sign: key(sign), seal: keyVersions(versions) };
  } catch {
    // the reason might quote the file: keep it to ourselves
    throw unreadable(file, "it is damaged");
  }
}

function keyVersions(list: readonly { version: unknown; key: unknown }[]): KeyVersion[] {
  const versions = list.map((one) => ({
    version: Number(one.version),
    key: new Secret(key(one.key)),
  }));
  const numbers = new Set(versions.map(({ version }) => version));
  const isNumber = (version: number) => Number.isInteger(version) && version >= 1 && version <= 255;
  const isSound = numbers.size === versions.length && numbers.size > 0;
  if (!isSound || ![...numbers].every(isNumber)) throw new Error("not versions of a key");
  return versions;
}

function key(text: unknown): Uint8Array {
  const bytes = fromBase64url(text as string);
  if (bytes.length !== 32) throw new Error("not a key");
  return bytes;
}

function create(suite: Suite, dataDir: string, file: string): Secrets {
  const [noise, sign, seal] = [0, 1, 2].map(() => suite.randomBytes(32));
  const secrets = {
    noise: noise!,
    sign: sign!,
    seal: [{ version: 1, key: new Secret(seal!) }],
  };
  write(dataDir, file, secrets);
  return secrets;
}

/** Writes other sealing keys into the file, if it is still the one that was read. */
function save(dataDir: string, file: string, secrets: Secrets): void {
  const now = read(file);
  if (
    now === null || !equalBytes(now.noise, secrets.noise) || !equalBytes(now.sign, secrets.sign)
  ) {
    throw unreadable(file, "it was removed or replaced under the running site");
  }
  write(dataDir, file, secrets);
}

function write(dataDir: string, file: string, { noise, sign, seal }: Secrets): void {
  const text = JSON.stringify({
    version: 2,
    noise: toBase64url(noise),
    sign: toBase64url(sign),
    seal: seal.map(({ version, key }) => ({ version, key: toBase64url(key.reveal()) })),
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
}

function unreadable(file: string, why: string): IdentityError {
  return new IdentityError("identity_unreadable", `Cannot read the site's keys "${file}": ${why}`, {
    hint: "restore the file from a backup; without it every peer must be enrolled again",
  });
}
