/**
 * The two ways to a site's sessions, frame by frame: HTTP, where a refusal is a 403 that says no more and
 * whoever has to wait hears how long, and MQTT, where both are silence.
 */
import assert from "node:assert/strict";
import type { Purpose } from "../../core/trust/session/hello.ts";
import { responders, sessionTopics } from "../../core/wire/peer.ts";
import { connectMqtt } from "../../core/services/mqtt/mod.ts";
import { eventually, type TestSite } from "./_test_site.ts";

/** What a door needs to know of its site. */
export type Doorway = Pick<TestSite, "url" | "counts">;

export interface Door extends AsyncDisposable {
  /** Sends a frame and waits for the frame that answers it. */
  exchange(frame: Uint8Array): Promise<Uint8Array>;
  /** Sends a frame that must be refused: returns once it was, and fails when it is answered. */
  refused(frame: Uint8Array): Promise<void>;
  /** Sends a frame whose sender has to wait for approval. */
  deferred(frame: Uint8Array): Promise<void>;
  /** The answer to a frame that was deferred, now that its sender is approved. */
  admitted(frame: Uint8Array): Promise<Uint8Array>;
  /** Sends a frame that is taken without an answer. */
  taken(frame: Uint8Array): Promise<void>;
}

/** Opens a door for a device; `url` is its enrolment's, which only MQTT needs. */
export type OpenDoor = (
  site: Doorway,
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
    const { status, headers } = response;
    return { status, headers, body: new Uint8Array(await response.arrayBuffer()) };
  };
  const exchange = async (frame: Uint8Array) => {
    const { status, body } = await post(frame);
    assert.equal(status, 200);
    return body;
  };
  return Promise.resolve({
    exchange,
    admitted: exchange,
    async refused(frame) {
      const { status, body } = await post(frame);
      assert.equal(status, 403);
      const { code, detail } = JSON.parse(new TextDecoder().decode(body));
      assert.equal(code, "session_refused");
      assert.equal(detail, "The site does not take this message.");
    },
    async taken(frame) {
      assert.equal((await post(frame)).status, 204);
    },
    async deferred(frame) {
      const { status, headers, body } = await post(frame);
      assert.deepEqual([status, headers.get("retry-after"), body.length], [202, "30", 0]);
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
  const refused = async (frame: Uint8Array) => {
    const before = await refusals();
    await send(frame);
    await eventually("the frame is refused", async () => await refusals() > before || undefined);
    assert.deepEqual(inbox, []);
  };
  return {
    refused,
    deferred: refused,
    taken: send,
    admitted: () => eventually("the site answers of its own accord", () => inbox.shift()),
    async exchange(frame) {
      await send(frame);
      const answer = await eventually("the site answers", () => inbox.shift());
      assert.deepEqual(inbox, [], "a frame that was refused has been answered");
      return answer;
    },
    [Symbol.asyncDispose]: () => mqtt[Symbol.asyncDispose](),
  };
};

/** Both, for tests that hold behind either. */
export const doors: readonly (readonly [string, OpenDoor])[] = [
  ["HTTP", httpDoor],
  ["MQTT", mqttDoor],
];
