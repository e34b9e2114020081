/**
 * What a sensor does wrong beyond its frames, round by round: it loses its power, calls too often, sends
 * what makes no sense, or sends in another's name and leaves things at the broker, as a stranger there.
 */
import { concat, utf8 } from "../../core/base/bytes.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { encodeConnect } from "../../core/trust/legacy/connect.ts";
import { sessionTopics } from "../../core/wire/peer.ts";
import { draw } from "./_draw.ts";
import type { Sensor } from "./sensor.ts";
import type { SentFrame } from "./sensor_frames.ts";
import { legacyTopics } from "./sensor_legacy.ts";
import { publishAsStranger } from "./sensor_stranger.ts";

export interface Pranks {
  readonly suite: Suite;
  readonly sensor: Sensor;
  /** In whose name it sends; null when it is alone. */
  readonly neighbour: Sensor | null;
  /** Ends the calls of a flood. */
  readonly signal: AbortSignal;
}

/** Calls of a flood. */
const flood = 120;

/** Does what is due in a round. Calls that are refused are counted, as all calls are. */
export async function misbehave(pranks: Pranks, round: number): Promise<void> {
  const { sensor } = pranks;
  const { mischief } = sensor;
  const lost = mischief("reboot", round);
  if (lost !== null) {
    sensor.onMisdeed("reboot");
    if (lost < 0.5) await sensor.reboot();
    else await sensor.disconnect(2_000 * (lost - 0.5));
  }
  const nonsense = mischief("garbage", round);
  if (nonsense !== null) await utterGarbage(pranks, nonsense);
  const spoofed = mischief("spoof", round);
  if (spoofed !== null) await spoof(pranks, spoofed);
  if (mischief("retain", round) !== null) await leave(pranks, true);
  if (mischief("flood", round) !== null) {
    sensor.onMisdeed("flood", flood);
    const { signal } = pranks;
    const calls = Array.from({ length: flood }, (_, n) => sensor.call("echo", { n }, { signal }));
    await Promise.allSettled(calls);
  }
}

/** Takes from the broker what was left there. */
export async function tidy(pranks: Pranks): Promise<void> {
  if (pranks.sensor.counts.misdeeds.retain !== undefined) await leave(pranks, false);
}

async function utterGarbage({ suite, sensor }: Pranks, how: number): Promise<void> {
  const { connect, up } = sessionTopics("rpc", sensor.id);
  const last = sensor.overheard.at(-1)?.payload ?? utf8("{}");
  const payloads = [
    suite.randomBytes(1 + Math.floor(how * 200)),
    last.subarray(0, Math.floor(how * last.length)),
    concat(Uint8Array.of(2, 4), suite.randomBytes(64)),
    utf8(`{"device_id":"${sensor.id}","device_id":"#","nonce":${"[".repeat(100)}`),
    utf8(`{"device_id":"__proto__","pubkey":"${"0".repeat(64)}","psk_proof":null}`),
  ];
  const payload = payloads[Math.floor(how * 1_000) % payloads.length]!;
  for (const topic of [connect, up]) {
    await sensor.utter({ topic, payload }).catch(() => {}); // the broker is away, or will not have it
    sensor.onMisdeed("garbage");
  }
}

/** What its neighbour sent last, forged, and a handshake of its own for the neighbour. */
async function spoof({ suite, sensor, neighbour }: Pranks, how: number): Promise<void> {
  if (neighbour === null) return;
  const heard = neighbour.overheard.slice(-4);
  const forged = heard.map(({ topic, payload }, i): SentFrame => {
    const bytes = payload.slice();
    const at = Math.floor(draw(how * 2 ** 32, i) * bytes.length);
    bytes[at] = bytes[at]! ^ 1;
    return { topic, payload: bytes };
  });
  const publicKey = suite.randomBytes(32);
  const connect = encodeConnect({ device: neighbour.id, publicKey, proof: suite.randomBytes(32) });
  const messages = [
    { topic: legacyTopics.connect, payload: connect },
    ...forged.filter(({ topic }) => topic === legacyTopics.up),
    // only some brokers take these from a stranger, and one that does not hangs up
    ...forged.filter(({ topic }) => topic !== legacyTopics.up),
  ];
  sensor.onMisdeed("spoof", await publishAsStranger(sensor.broker, messages));
}

/** A handshake that greets its site whenever it connects; or nothing in its place. */
async function leave({ sensor }: Pranks, isThere: boolean): Promise<void> {
  const { connect } = sessionTopics("rpc", sensor.id);
  const topic = sensor.profile === "v1" ? legacyTopics.connect : connect;
  const known = sensor.overheard.findLast((frame) => frame.topic === topic)?.payload;
  const payload = isThere ? known ?? utf8("{}") : new Uint8Array();
  const taken = await publishAsStranger(sensor.broker, [{ topic, payload, retain: true }]);
  if (isThere && taken > 0) sensor.onMisdeed("retain", taken);
}
