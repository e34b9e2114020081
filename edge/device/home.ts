/**
 * A device's directory: who it is, which gateways it is enrolled at, which rosters it holds, and how
 * often it has started. Whoever can read it is the device, so it is mode 0700 and its files are 0600;
 * a file is always whole, its old contents or its new ones, whatever happens while it is written.
 *
 * `device.key` is made once and must not be copied to a second device: the counter of starts in
 * `boot.json` is how gateways notice. `gateways/ID.json` is an enrolment as `edgeward admin enrol --json`
 * printed it, `groups/KEY.json` the roster of the group with this key that was last taken.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fromBase64url, toBase64url, toHex } from "../../core/base/bytes.ts";
import { messageOf } from "../../core/base/errors.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { Secret } from "../../core/base/secret.ts";
import { writeDurably } from "../../core/services/durable_file.ts";
import type { KeyPair, Signer, Suite } from "../../core/trust/crypto.ts";
import { decodeRoster, encodeRoster, type Roster } from "../../core/trust/share/roster.ts";
import { type Enrolment, enrolmentFromJson, enrolmentToJson } from "../../core/wire/enrolment.ts";
import type { Boot } from "../../core/wire/unlock.ts";
import { DeviceError } from "./error.ts";

/** The latest start. */
export interface Start {
  readonly boot: Boot;
  /** What it began to unlock, 16 bytes; null when nothing yet. */
  readonly volume: Uint8Array | null;
}

interface Keys {
  readonly id: Id;
  readonly noise: KeyPair;
  readonly signer: Signer;
  readonly secret: Secret<Uint8Array>;
}

export class DeviceHome {
  readonly #suite: Suite;
  readonly dir: string;
  readonly id: Id;
  readonly noise: KeyPair;
  readonly signer: Signer;
  /** 32 bytes without which no volume of this device opens. */
  readonly secret: Secret<Uint8Array>;

  private constructor(suite: Suite, { dir, keys }: { dir: string; keys: Keys }) {
    this.#suite = suite;
    this.dir = dir;
    this.id = keys.id;
    this.noise = keys.noise;
    this.signer = keys.signer;
    this.secret = keys.secret;
  }

  /** Makes a device with new keys. @throws DeviceError "usage" when something is there already */
  static create(suite: Suite, { dir, id }: { dir: string; id: Id }): DeviceHome {
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      if (readdirSync(dir).length > 0) {
        throw new DeviceError("usage", `Cannot make a device in "${dir}": it is not empty`, {
          hint: "name a new directory; one device has one directory, for itself alone",
        });
      }
      chmodSync(dir, 0o700);
      for (const folder of ["gateways", "groups"]) mkdirSync(join(dir, folder), { mode: 0o700 });
    } catch (error) {
      throw error instanceof DeviceError ? error : unwritable(dir, error);
    }
    const [noise, sign, secret] = [0, 1, 2].map(() => toBase64url(suite.randomBytes(32)));
    write(dir, "device.key", { version: 1, id, noise, sign, secret });
    return DeviceHome.open(suite, dir);
  }

  /** @throws DeviceError "usage" when there is no device, "device_damaged" */
  static open(suite: Suite, dir: string): DeviceHome {
    const text = readText(join(dir, "device.key"));
    if (text === null) {
      throw new DeviceError("usage", `Cannot find a device in "${dir}"`, {
        hint: `make one with \`edgeward device init --id ID --dir ${dir}\``,
      });
    }
    const keys = parsed(join(dir, "device.key"), text, ({ version, id, noise, sign, secret }) => {
      if (version !== 1) throw new Error("unknown version");
      return {
        id: parseId(id),
        noise: discreet(suite.x25519.keyPair(bytesIn(noise, 32)), "secretKey"),
        signer: discreet(suite.ed25519.signer(bytesIn(sign, 32)), "seed"),
        secret: new Secret(bytesIn(secret, 32)),
      };
    });
    return new DeviceHome(suite, { dir, keys });
  }

  /** Where it is enrolled, by the gateways' names. @throws DeviceError "device_damaged" */
  gateways(): ReadonlyMap<Id, Enrolment> {
    const folder = join(this.dir, "gateways");
    const enrolments = namesIn(folder).map((name) => {
      const file = join(folder, name);
      return readWith(file, (text) => enrolmentFromJson(text))!;
    });
    return new Map(enrolments.map((enrolment) => [enrolment.site, enrolment]));
  }

  keepGateway(enrolment: Enrolment): void {
    write(this.dir, join("gateways", `${enrolment.site}.json`), enrolmentToJson(enrolment));
  }

  /** Of all groups, by their keys. @throws DeviceError "device_damaged" */
  rosters(): readonly Roster[] {
    return namesIn(join(this.dir, "groups")).map((name) => this.#readRoster(name)!);
  }

  /** The one that was last taken of a group, by its key C0. @throws DeviceError "device_damaged" */
  roster(group: Uint8Array): Roster | null {
    return this.#readRoster(`${toHex(group)}.json`);
  }

  /** Whoever calls this has checked that it follows the one before. */
  keepRoster(roster: Roster): void {
    const name = `${toHex(roster.commitments[0]!)}.json`;
    const held = this.#readRoster(name);
    if (held !== null && held.epoch >= roster.epoch) return;
    const payload = toBase64url(encodeRoster(roster));
    write(this.dir, join("groups", name), { version: 1, roster: payload });
  }

  /** Null before the first. @throws DeviceError "device_damaged" */
  start(): Start | null {
    const file = join(this.dir, "boot.json");
    return readWith(file, (text) =>
      parsed(file, text, ({ version, counter, id, volume }) => {
        if (version !== 1 || !Number.isSafeInteger(counter) || counter as number < 1) {
          throw new Error("no start");
        }
        return {
          boot: { counter: counter as number, id: bytesIn(id, 16) },
          volume: volume === null ? null : bytesIn(volume, 16),
        };
      }));
  }

  /**
   * Notes that the device unlocks a volume: durably, before any gateway hears of it. It is a new start
   * unless the same one goes on.
   */
  begin({ volume, goesOn }: { volume: Uint8Array | null; goesOn: boolean }): Boot {
    const latest = this.start();
    const boot = latest !== null && goesOn
      ? latest.boot
      : { counter: (latest?.boot.counter ?? 0) + 1, id: this.#suite.randomBytes(16) };
    const { counter, id } = boot;
    const named = volume ?? latest?.volume ?? null;
    write(this.dir, "boot.json", {
      ...{ version: 1, counter, id: toBase64url(id) },
      volume: named === null ? null : toBase64url(named),
    });
    return boot;
  }

  /**
   * Keeps other processes from starting meanwhile: gateways would hear of starts out of order, and
   * take one for a clone. @throws DeviceError "device_busy" when another one does not end in time
   */
  async lock(patience: number): Promise<Disposable> {
    const file = await Deno.open(join(this.dir, "lock"), {
      ...{ read: true, write: true, create: true },
      mode: 0o600,
    });
    const until = performance.now() + patience;
    while (!(await file.tryLock(true))) {
      const left = until - performance.now();
      if (left <= 0) {
        file.close();
        throw new DeviceError("device_busy", `Cannot use "${this.dir}": another process does`, {
          hint: "wait until it has ended; each device needs a directory of its own",
        });
      }
      await new Promise((resolve) => setTimeout(resolve, Math.min(50, left)));
    }
    return file;
  }

  #readRoster(name: string): Roster | null {
    const file = join(this.dir, "groups", name);
    return readWith(file, (text) =>
      parsed(file, text, ({ version, roster }) => {
        if (version !== 1) throw new Error("unknown version");
        return decodeRoster(fromBase64url(roster as string));
      }));
  }
}

/** Keeps a secret of an object from whoever prints or serialises it. */
function discreet<T extends object>(holder: T, secret: keyof T): T {
  return Object.defineProperty(holder, secret, { enumerable: false });
}

function bytesIn(text: unknown, length: number): Uint8Array {
  const bytes = fromBase64url(text as string);
  if (bytes.length !== length) throw new Error("another length");
  return bytes;
}

function parsed<T>(file: string, text: string, read: (value: Record<string, unknown>) => T): T {
  try {
    return read(JSON.parse(text));
  } catch {
    // the reason might quote the file: keep it to ourselves
    throw damaged(file, "it is not what was written");
  }
}

function readWith<T>(file: string, read: (text: string) => T): T | null {
  const text = readText(file);
  if (text === null) return null;
  try {
    return read(text);
  } catch (error) {
    throw error instanceof DeviceError ? error : damaged(file, "it is not what was written");
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw damaged(file, messageOf(error));
  }
}

/** Left over from a crash, a `.new` file is not one of ours. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith(".json")).sort();
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return [];
    throw damaged(folder, messageOf(error));
  }
}

function write(dir: string, name: string, value: object): void {
  try {
    writeDurably(join(dir, name), `${JSON.stringify(value)}\n`, 0o600);
  } catch (error) {
    throw unwritable(dir, error);
  }
}

function unwritable(dir: string, cause: unknown): DeviceError {
  return new DeviceError("usage", `Cannot write to "${dir}": ${messageOf(cause)}`, {
    hint: "name a directory that this user may write",
    cause,
  });
}

function damaged(file: string, why: string): DeviceError {
  return new DeviceError("device_damaged", `Cannot read "${file}": ${why}`, {
    hint: "restore the directory from a backup, or make a new device and enrol it",
  });
}
