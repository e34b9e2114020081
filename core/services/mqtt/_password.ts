/**
 * Password hashes: scrypt (RFC 7914) in the PHC string form
 * `$scrypt$ln=15,r=8,p=1$SALT$HASH`, base64 without padding. The cost is in the hash, so that a
 * stronger default tomorrow leaves the hashes of today valid.
 */
import { Buffer } from "node:buffer";
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** A parsed hash. */
export interface PasswordHash {
  /** log2 of the number of blocks. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** 32 MiB and about a tenth of a second. */
const cost = { ln: 15, r: 8, p: 1 };
const form =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{43})$/;
const maxMemory = 64 * 1024 * 1024;

/** Hashes a password for a users file. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, { ...cost, salt });
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64").replace(/=+$/, "");
  return `$scrypt$ln=${cost.ln},r=${cost.r},p=${cost.p}$${text(salt)}$${text(hash)}`;
}

/** Reads a hash; undefined when it is none, or asks for more than 64 MiB or four rounds. */
export function parseHash(text: string): PasswordHash | undefined {
  const parts = form.exec(text);
  if (parts === null) return undefined;
  const [ln = 0, r = 0, p = 0] = parts.slice(1, 4).map(Number);
  const fits = ln >= 10 && r >= 1 && p >= 1 && p <= 4 && memory({ ln, r }) <= maxMemory;
  const [salt, hash] = parts.slice(4).map((part) => new Uint8Array(Buffer.from(part, "base64")));
  return fits && hash!.length === 32 ? { ln, r, p, salt: salt!, hash: hash! } : undefined;
}

/** Whether the hash is of this password. It takes as long either way. */
export async function isPassword(hash: PasswordHash, password: Uint8Array): Promise<boolean> {
  return timingSafeEqual(await derive(password, hash), hash.hash);
}

/** A hash of no password, as costly as the given one: for users that do not exist. */
export function dummyHash({ ln, r, p }: Pick<PasswordHash, "ln" | "r" | "p"> = cost): PasswordHash {
  return { ln, r, p, salt: randomBytes(16), hash: randomBytes(32) };
}

function derive(
  password: string | Uint8Array,
  { ln, r, p, salt }: Omit<PasswordHash, "hash">,
): Promise<Uint8Array> {
  const options = { N: 2 ** ln, r, p, maxmem: memory({ ln, r }) + 1024 * 1024 };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, 32, options, (error, key) => {
      if (error === null || error === undefined) resolve(key);
      else reject(error);
    });
  });
}

function memory({ ln, r }: { ln: number; r: number }): number {
  return 128 * 2 ** ln * r;
}
