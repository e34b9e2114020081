/**
 * What a simulated sensor has left when its power comes back: who it is, its site, its keys of profile
 * v1, the calls whose end it has not seen, and what it did for its site. In a directory every change is
 * one file that is whole before and after a crash; who can read it is the device, so it is mode 0600.
 *
 * A directory of many sensors has one folder for each, by its id; what begins with a dot is not whole.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { type Id, isId, parseId } from "../../core/base/id.ts";
import { writeDurably } from "../../core/services/durable_file.ts";
import type { KeyPair, Suite } from "../../core/trust/crypto.ts";
import { DeviceHome } from "../device/home.ts";

/** Results of calls with an id that are kept to be given again (protocols.md §1). */
export const answersKept = 32;
/** Calls with an effect that may wait for their answers. */
export const pendingLimit = 32;
/** Effects that are remembered to find out whether one ran twice. */
export const journalLength = 256;

const bytes = z.base64url();
const onceId = z.string().regex(/^[0-9a-f]{32}$/);

const stateShape = z.object({
  version: z.literal(1),
  profile: z.enum(["v1", "v2"]).nullable(),
  /** Where its site is found. */
  broker: z.string().nullable(),
  /** What it knows of its site; "" is a site that it has not met. */
  site: z.object({ site: z.string(), noise_key: bytes.nullable(), code: bytes.nullable() })
    .nullable(),
  /** Of profile v1: the psk, and keys and counters as `DeviceSide` stores them. */
  psk: bytes.nullable(),
  keys: bytes.nullable(),
  /** Whether its site has answered it, ever. */
  authorized: z.boolean(),
  /** Calls with an effect that it has begun: the number of the last one. */
  acts: z.int().min(0),
  pending: z.array(z.object({
    method: z.string(),
    params: z.record(z.string(), z.json()),
    once: onceId,
  })).max(pendingLimit),
  /** What the site's last calls with an id came to. */
  answered: z.array(z.object({ once: onceId, result: z.json() })).max(answersKept),
  /** The calls of the site that had an effect, oldest first. */
  journal: z.array(z.string()).max(journalLength),
  relay: z.boolean(),
  /** How often the relay was set. */
  switched: z.int().min(0),
});

export type SensorState = z.output<typeof stateShape>;
export type PendingCall = SensorState["pending"][number];

const fresh: SensorState = {
  ...{
    version: 1,
    profile: null,
    broker: null,
    site: null,
    psk: null,
    keys: null,
    authorized: false,
    acts: 0,
  },
  ...{ pending: [], answered: [], journal: [], relay: false, switched: 0 },
};

export interface Flash extends Disposable {
  readonly id: Id;
  readonly noise: KeyPair;
  /** The statement key that its site binds. */
  readonly signKey: Uint8Array;
  readonly state: Readonly<SensorState>;
  /** Changes all of it at once; when it returns, that is there for good. @throws CodedError */
  write(change: Partial<SensorState>): void;
}

/** One that forgets everything with the process. */
export function memoryFlash(suite: Suite, { id }: { id: Id }): Flash {
  let state = fresh;
  return {
    id,
    noise: suite.x25519.keyPair(),
    signKey: suite.ed25519.signer().publicKey,
    get state() {
      return state;
    },
    write: (change) => void (state = { ...state, ...change }),
    [Symbol.dispose]() {},
  };
}

/**
 * The device of this id in a directory, made if there is none.
 * @throws CodedError "usage", "device_damaged", "device_busy" when another process plays it
 */
export async function openFlash(
  suite: Suite,
  { dir, id }: { dir: string; id: Id },
): Promise<Flash> {
  const folder = join(dir, id);
  if (!existsSync(folder)) make(suite, { dir, id });
  const home = DeviceHome.open(suite, folder);
  // two of them would use one nonce of v1 twice
  const lock = await home.lock(5_000);
  let state: SensorState;
  try {
    state = read(join(folder, file));
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
  return {
    id,
    noise: home.noise,
    signKey: home.signer.publicKey,
    get state() {
      return state;
    },
    write(change) {
      const next = { ...state, ...change };
      store(folder, next);
      state = next;
    },
    [Symbol.dispose]: () => lock[Symbol.dispose](),
  };
}

/** The devices that live in a directory. @throws CodedError "usage" */
export function idsIn(dir: string): Id[] {
  try {
    return readdirSync(dir).filter(isId).sort();
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return [];
    throw unusable(dir, error);
  }
}

const file = "sensor.json";

/** It appears whole, or not at all. */
function make(suite: Suite, { dir, id }: { dir: string; id: Id }): void {
  const folder = join(dir, `.${id}`);
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    rmSync(folder, { recursive: true, force: true });
  } catch (error) {
    throw unusable(dir, error);
  }
  DeviceHome.create(suite, { dir: folder, id: parseId(id) });
  store(folder, fresh);
  renameSync(folder, join(dir, id));
}

function read(path: string): SensorState {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw damaged(path, messageOf(error));
  }
  try {
    return stateShape.parse(JSON.parse(text));
  } catch {
    throw damaged(path, "it is not what was written"); // without the cause, which may quote it
  }
}

function store(folder: string, state: SensorState): void {
  try {
    writeDurably(join(folder, file), `${JSON.stringify(state)}\n`, 0o600);
  } catch (error) {
    throw unusable(folder, error);
  }
}

function unusable(dir: string, cause: unknown): CodedError {
  return new CodedError("usage", `Cannot keep devices in "${dir}": ${messageOf(cause)}`, {
    hint: "name a directory that this user may write",
    cause,
  });
}

function damaged(path: string, why: string): CodedError {
  return new CodedError("device_damaged", `Cannot read "${path}": ${why}`, {
    hint: "remove the folder of the device, and `edgeward peers remove` it at its site",
  });
}
