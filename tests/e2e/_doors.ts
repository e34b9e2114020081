/**
 * The two ways to a site's sessions, frame by frame: HTTP, where a refusal is a 403 that says no more,
 * and MQTT, where it is silence.
 */
import assert from "node:assert/strict";
import type { Purpose } from "../../core/trust/session/hello.ts";
import { responders, sessionTopics } from "../../core/wire/peer.ts";
import { connectMqtt } from "../../core/services/mqtt/mod.ts";
import { eventually, type TestSite } from "./_test_site.ts";

export interface Door extends AsyncDisposable {
  /** Sends a frame and waits for the frame that answers it. */
  exchange(frame: Uint8Array): Promise<Uint8Array>;
  /** Sends a frame that must be refused: returns once it was, and fails when it is answered. */
  refused(frame: Uint8Array): Promise<void>;
}

/** Opens a door for a device; `url` is its enrolment's, which only MQTT needs. */
export type OpenDoor = (
  site: TestSite,
  purpose: Purpose,
  device: { readonly id: string; readonly url: string },
) => Promise<Door>;

const log = { debug() {}, info() {}, warn() {}, error() {} };

export const httpDoor: OpenDoor = (site, purpose) => {
  const client = Deno.createHttpClient({ poolMaxIdlePerHost: 1 });
  const post = async (frame: Uint8Array) => {
    const body = frame.slice();
    const url = `${site.url}/${responders[purpose]}/session`;
    const response = await fetch(url, { method: "POST", body, client });
    return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
  };
  return Promise.resolve({
    async exchange(frame) {
      const { status, body } = await post(frame);
      assert.equal(status, 200);
      return body;
    },
    async refused(frame) {
      const { status, body } = await post(frame);
      assert.equal(status, 403);
      const { code, detail } = JSON.parse(new TextDecoder().decode(body));
      assert.equal(code, "session_refused");
      assert.equal(detail, "The site does not take this message.");
    },
    [Symbol.asyncDispose]() {
      client.close();
      return Promise.resolve();
    },
  });
};

export const mqttDoor: OpenDoor = async (site, purpose, { id, url }) => {
  const mqtt = await connectMqtt({ url, clientId: id, log });
  const topics = sessionTopics(purpose, id);
  const inbox: Uint8Array[] = [];
  await mqtt.subscribe(topics.down, ({ payload }) => void inbox.push(payload));
  const send = (frame: Uint8Array) =>
    mqtt.publish(frame[1] === 4 ? topics.up : topics.connect, frame);
  const refusals = async () => {
    const counts = await site.counts("edgeward_session_refused_total", "reason");
    return Object.values(counts).reduce((sum, count) => sum + count, 0);
  };
  return {
    async exchange(frame) {
      await send(frame);
      const answer = await eventually("the site answers", () => inbox.shift());
      assert.deepEqual(inbox, [], "a frame that was refused has been answered");
      return answer;
    },
    async refused(frame) {
      const before = await refusals();
      await send(frame);
      await eventually("the frame is refused", async () => await refusals() > before || undefined);
      assert.deepEqual(inbox, []);
    },
    [Symbol.asyncDispose]: () => mqtt[Symbol.asyncDispose](),
  };
};

/** Both, for tests that hold behind either. */
export const doors: readonly (readonly [string, OpenDoor])[] = [
  ["HTTP", httpDoor],
  ["MQTT", mqttDoor],
];
