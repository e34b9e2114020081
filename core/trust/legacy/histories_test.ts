/**
 * Both sides under any history of loss, repetition, reordering and crashes at every step: no call runs
 * twice, no nonce is used twice under one key, and nobody is locked out.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { toHex } from "../../base/bytes.ts";
import { Secret } from "../../base/secret.ts";
import { nativeSuite } from "../../services/crypto_native.ts";
import type { Suite } from "../crypto.ts";
import type { Save } from "./arrival.ts";
import { decodeConnect, pskOfCode } from "./connect.ts";
import { DeviceSide } from "./device_side.ts";
import { LegacyError } from "./error.ts";
import { GatewaySide } from "./gateway_side.ts";
import { decodeEnvelope } from "./message.ts";
import type { Rpc } from "./rpc.ts";
import { codeOfTests, device } from "./_test_pair.ts";

const native = nativeSuite();
const psk = pskOfCode(native, codeOfTests);
const day = 24 * 60 * 60 * 1000;

type Side = "gateway" | "device";
/** Where whoever receives a message dies on the way. */
type Crash = "never" | "before storing" | "before acting" | "before answering";
type Packet = { to: Side; kind: "connect" | "approve" | "message"; bytes: Uint8Array };

class World {
  now = 1_800_000_000_000;
  /** All that was ever sent: an attacker, or a broker, may deliver any of it at any time. */
  readonly wire: Packet[] = [];
  readonly runs = new Map<string, number>();
  readonly answered = new Set<string>();
  readonly #suite = withoutNonceReuse(native);
  readonly #disks: Record<Side, Uint8Array | undefined> = { gateway: undefined, device: undefined };
  gateway!: GatewaySide;
  device!: DeviceSide;
  #calls = 0;

  constructor() {
    this.restart("gateway");
    this.restart("device");
  }

  restart(side: Side): void {
    const disk = this.#disks[side];
    const options = {
      ...{ device, psk, clock: () => this.now },
      ...disk && { state: new Secret(disk.slice()) },
    };
    if (side === "gateway") this.gateway = new GatewaySide(this.#suite, options);
    else this.device = new DeviceSide(this.#suite, options);
  }

  connect(): void {
    this.#send("gateway", "connect", this.device.connect());
  }

  /** The call's id, or undefined when there are no keys to call with. */
  call(from: Side): string | undefined {
    const side = this[from];
    if (!(side instanceof DeviceSide ? side.isApproved : side.isConfirmed)) return undefined;
    if (side.mustReserve) this.#store(from, side.reserve());
    const id = `${from}-${this.#calls++}`;
    const bytes = side.request({ kind: "request", method: "act", id });
    this.#send(from === "device" ? "gateway" : "device", "message", bytes);
    return id;
  }

  deliver({ to, kind, bytes }: Packet, crash: Crash = "never"): void {
    try {
      if (kind === "connect") this.#approve(bytes, crash);
      else if (kind === "approve") this.#take(bytes, crash);
      else this.#open(to, bytes, crash);
    } catch (error) {
      if (!(error instanceof LegacyError)) throw error;
    }
  }

  #approve(bytes: Uint8Array, crash: Crash): void {
    const { approve, save } = this.gateway.approve(decodeConnect(bytes), psk);
    if (crash === "before storing") return this.restart("gateway");
    this.#store("gateway", save);
    if (crash !== "never") return this.restart("gateway");
    this.#send("device", "approve", approve);
  }

  #take(bytes: Uint8Array, crash: Crash): void {
    const save = this.device.approve(bytes);
    if (crash === "before storing") return this.restart("device");
    this.#store("device", save);
  }

  #open(to: Side, bytes: Uint8Array, crash: Crash): void {
    const arrival = this[to].open(decodeEnvelope(bytes));
    const back = to === "gateway" ? "device" : "gateway";
    if (arrival.kind === "duplicate") {
      if (arrival.answer !== null) this.#send(back, "message", arrival.answer);
      return;
    }
    if (crash === "before storing") return this.restart(to);
    this.#store(to, arrival.save);
    if (crash === "before acting") return this.restart(to);
    this.#act(arrival.rpc);
    if (crash === "before answering") return this.restart(to);
    if (arrival.rpc.kind === "response") return;
    const { id } = arrival.rpc;
    this.#send(back, "message", arrival.answer({ kind: "response", id, result: null }));
  }

  #act(rpc: Rpc): void {
    if (rpc.kind === "response") return void this.answered.add(String(rpc.id));
    const runs = (this.runs.get(String(rpc.id)) ?? 0) + 1;
    assert.equal(runs, 1, `${rpc.id} runs again`);
    this.runs.set(String(rpc.id), runs);
  }

  #store(side: Side, save: Save): void {
    this.#disks[side] = save.state.reveal().slice();
    save.stored();
  }

  #send(to: Side, kind: Packet["kind"], bytes: Uint8Array): void {
    this.wire.push({ to, kind, bytes });
  }

  /** What is sent from now on arrives, and so does all that follows from it. */
  settle(send: () => void): void {
    let from = this.wire.length;
    send();
    for (; from < this.wire.length; from++) this.deliver(this.wire[from]!);
  }
}

function withoutNonceReuse(suite: Suite): Suite {
  const used = new Set<string>();
  const { chacha20poly1305 } = suite;
  return {
    ...suite,
    chacha20poly1305: {
      open: chacha20poly1305.open,
      seal(key, nonce, ad, plaintext) {
        const name = `${toHex(key)} ${toHex(nonce.subarray(0, 4))}`;
        assert.ok(!used.has(name), "a counter comes twice under one key");
        used.add(name);
        return chacha20poly1305.seal(key, nonce, ad, plaintext);
      },
    },
  };
}

const side = fc.constantFrom<Side[]>("gateway", "device");
const crash = fc.oneof(
  { weight: 9, arbitrary: fc.constant<Crash>("never") },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Crash[]>(
      ...["before storing", "before acting", "before answering"] as const,
    ),
  },
);
const messages = [
  { weight: 8, arbitrary: fc.record({ call: side }) },
  { weight: 1, arbitrary: fc.record({ burst: side }) },
  // mostly in order, often something of late, and sometimes anything
  { weight: 20, arbitrary: fc.record({ next: crash }) },
  { weight: 5, arbitrary: fc.record({ back: fc.nat(6), crash }) },
  { weight: 4, arbitrary: fc.record({ back: fc.nat(400), crash }) },
  { weight: 1, arbitrary: fc.record({ restart: side }) },
];
const anything = [
  ...messages,
  { weight: 2, arbitrary: fc.constant({ connect: true }) },
  { weight: 1, arbitrary: fc.record({ pass: fc.integer({ min: -day / 48, max: day / 24 }) }) },
  { weight: 1, arbitrary: fc.record({ pass: fc.constantFrom(-day, 2 * day, 31 * day) }) },
];

type Step =
  | { call: Side }
  | { next: Crash }
  | { burst: Side }
  | { back: number; crash: Crash }
  | { restart: Side }
  | { connect: boolean }
  | { pass: number };

function play(world: World, steps: readonly Step[]): void {
  let next = world.wire.length;
  for (const step of steps) {
    if ("call" in step) world.call(step.call);
    else if ("burst" in step) { for (let i = 0; i < 101; i++) world.call(step.burst); }
    else if ("connect" in step) world.connect();
    else if ("restart" in step) world.restart(step.restart);
    else if ("pass" in step) world.now += step.pass;
    else if ("next" in step) {
      if (next < world.wire.length) world.deliver(world.wire[next++]!, step.next);
    } else if (world.wire.length > 0) {
      const at = Math.max(0, world.wire.length - 1 - step.back);
      world.deliver(world.wire[at]!, step.crash);
    }
  }
}

function isAnswered(world: World, from: Side): boolean {
  let id: string | undefined;
  world.settle(() => id = world.call(from));
  return id !== undefined && world.answered.has(id);
}

Deno.test("no history runs a call twice; who connects again gets in", () => {
  let [runs, answered] = [0, 0];
  fc.assert(
    fc.property(fc.array(fc.oneof(...anything), { maxLength: 150, size: "max" }), (steps) => {
      const world = new World();
      world.settle(() => world.connect());
      play(world, steps as Step[]);
      runs += world.runs.size;
      answered += world.answered.size;
      if (!isAnswered(world, "device")) {
        // an approve that a pending connect was answered with earlier may be the one that arrives
        world.settle(() => world.connect());
        assert.ok(isAnswered(world, "device"), "the device is locked out");
      }
      assert.ok(isAnswered(world, "gateway"), "the gateway cannot call");
    }),
    { numRuns: 400 },
  );
  assert.ok(runs > 600 && answered > 200, `${runs} runs, ${answered} answered`);
});

Deno.test("whose keys are confirmed needs no new ones, whatever happens to messages and sides", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(...messages), { maxLength: 150, size: "max" }), (steps) => {
      const world = new World();
      world.settle(() => world.connect());
      assert.ok(isAnswered(world, "device"));
      // the first packets would be the connect and its approve
      world.wire.splice(0, 2);
      play(world, steps as Step[]);
      assert.ok(isAnswered(world, "device"), "the device is locked out");
      assert.ok(isAnswered(world, "gateway"), "the gateway is locked out");
    }),
    { numRuns: 400 },
  );
});
