/**
 * JSON-RPC both ways between a real responder and a real channel: under load over a line that loses,
 * repeats, delays and alters frames, with restarts of the site, and at its edges. Time is virtual.
 */
import assert from "node:assert/strict";
import { CodedError } from "../../base/errors.ts";
import { decodeRpc, encodeRpc, type RpcId, type RpcRequest } from "../../wire/json_rpc.ts";
import type { Peer } from "../peers/mod.ts";
import { type Channel, Refusal } from "./mod.ts";
import type { Caller } from "./_channel.ts";
import type { ResponderOptions } from "./_responder.ts";
import { device, directLine, FakeSite, type Faults, LossyLine, suite } from "./_site.ts";
import { inVirtualTime } from "./_virtual_time.ts";

const seconds = 1_000;
const rough = { loss: 0.1, repeat: 0.15, corrupt: 0.04, delay: 400 };
type Now = () => number;

function request(id: RpcId, method = "echo", params: readonly string[] = []): Uint8Array {
  return encodeRpc({ kind: "request", id, method, params });
}

function requestIn(bytes: Uint8Array): RpcRequest {
  const message = decodeRpc(bytes);
  assert.ok(message.kind === "request");
  return message;
}

/** The result, or "error: " and the method's own error. */
function resultIn(bytes: Uint8Array): unknown {
  const message = decodeRpc(bytes);
  assert.notEqual(message.kind, "request");
  return message.kind === "result" ? message.result : message.kind === "error" && message.error;
}

/** Answers after a moment with the id that it was asked under, and counts by session and id. */
function counting() {
  const runs = new Map<string, number>();
  const sessions: Peer[] = [];
  return {
    runs,
    /** A session has a peer object of its own; a device has one session after another. */
    async answer(body: Uint8Array, peer?: Peer): Promise<Uint8Array> {
      if (peer !== undefined && !sessions.includes(peer)) sessions.push(peer);
      const { id } = requestIn(body);
      const key = `${peer === undefined ? "any" : sessions.indexOf(peer)} ${id}`;
      runs.set(key, (runs.get(key) ?? 0) + 1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return encodeRpc({ kind: "result", id, result: `answer to ${id}` });
    },
  };
}

function rpcSite(
  now: Now,
  handler: (body: Uint8Array, peer: Peer) => Promise<Uint8Array>,
  options: Partial<ResponderOptions> = {},
): FakeSite {
  return new FakeSite(handler, now, { purpose: "rpc", ...options });
}

const echo = (body: Uint8Array) => {
  const { id, params } = requestIn(body);
  return Promise.resolve(encodeRpc({ kind: "result", id, result: params ?? null }));
};

/** A site and a device whose session is open. */
async function connected(
  now: Now,
  caller: Partial<Caller> = {},
  options: Partial<ResponderOptions> = {},
): Promise<{ site: FakeSite; channel: Channel; line: { isDown: boolean } }> {
  const site = rpcSite(now, echo, options);
  const line = { isDown: false };
  const transport = directLine(
    site,
    (_frame, deliver) => line.isDown ? Promise.resolve(null) : deliver(),
  );
  const push = site.push;
  site.push = (frame) => line.isDown ? undefined : push(frame);
  const channel = site.channel(transport, site.enrol(), caller);
  await channel.call(request("hello"));
  return { site, channel, line };
}

for (const seed of [1, 2, 3]) {
  Deno.test(`both sides have their calls answered, each run once, seed ${seed}`, () =>
    inVirtualTime(async (now, random) => {
      // what is under way may come late, and often, but comes
      const { atSite, atDevice, outcomes } = await both(
        { ...rough, loss: 0, corrupt: 0 },
        now,
        random,
      );
      assert.deepEqual(outcomes, { answered: 300 });
      assert.deepEqual([atSite.runs.size, atDevice.runs.size], [151, 150]);
      for (const { runs } of [atSite, atDevice]) assert.equal(Math.max(...runs.values()), 1);
    }, seed));

  Deno.test(`each call ends, and none runs twice in a session, over a rough line, seed ${seed}`, () =>
    inVirtualTime(async (now, random) => {
      const { atSite, atDevice, outcomes } = await both(rough, now, random);
      for (const { runs } of [atSite, atDevice]) assert.equal(Math.max(...runs.values()), 1);
      const { answered, ...others } = outcomes;
      assert.ok(answered! >= 270, JSON.stringify(outcomes));
      assert.deepEqual(
        Object.keys(others).filter((code) => !["no_answer", "outcome_unknown"].includes(code)),
        [],
      );
    }, seed));

  Deno.test(`a device finds back to a site that restarts, though nobody tells it, seed ${seed}`, () =>
    inVirtualTime(async (now, random) => {
      const [atSite, atDevice] = [counting(), counting()];
      const site = rpcSite(now, atSite.answer);
      const line = new LossyLine(site, { ...rough, loss: 0, corrupt: 0, random });
      const onCall = (body: Uint8Array) => atDevice.answer(body);
      await using channel = site.channel(line, site.enrol(), { onCall });
      for (let i = 0; i < 40; i++) {
        if (i % 10 === 5) {
          site.restart();
          assert.ok(!site.responder.isOpen(device));
        }
        const answer = await channel.call(request(i));
        assert.equal(resultIn(answer), `answer to ${i}`);
        assert.ok(site.responder.isOpen(device));
        const called = await site.responder.call(device, request(`s-${i}`));
        assert.equal(resultIn(called), `answer to s-${i}`);
      }
      for (const { runs } of [atSite, atDevice]) assert.equal(Math.max(...runs.values()), 1);
      site.responder.close();
    }, seed));
}

/** A hundred and fifty calls each way, eight at a time; gives how they ended. */
async function both(faults: Omit<Faults, "random">, now: Now, random: () => number) {
  const [atSite, atDevice] = [counting(), counting()];
  const site = rpcSite(now, atSite.answer);
  const line = new LossyLine(site, { ...faults, random });
  const onCall = (body: Uint8Array) => atDevice.answer(body);
  await using channel = site.channel(line, site.enrol(), { onCall });
  const within = 120 * seconds;
  await channel.call(request("hello"), { within });
  const outcomes: Record<string, number> = {};
  const caller = (name: string, call: (body: Uint8Array) => Promise<Uint8Array>) => {
    let next = 0;
    return async () => {
      while (next < 150) {
        const id = `${name}-${next++}`;
        const outcome = await call(request(id)).then((answer) => {
          assert.equal(resultIn(answer), `answer to ${id}`);
          return "answered";
        }, ({ code }) => code as string);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
        // a site whose device is away finds out at once, and has nothing to do but to wait
        if (outcome === "not_connected") await new Promise((next) => setTimeout(next, seconds));
      }
    };
  };
  const callers = [
    caller("device", (body) => channel.call(body, { within })),
    caller("site", (body) => site.responder.call(device, body, { within })),
  ];
  await Promise.all(callers.flatMap((call) => Array.from({ length: 8 }, call)));
  site.responder.close();
  return { atSite, atDevice, outcomes };
}

Deno.test("a handler's refusal is an error with its code, on either side, and a fault tells nothing", () =>
  inVirtualTime(async (now) => {
    const fail = (body: Uint8Array): Promise<Uint8Array> => {
      const { id, method } = requestIn(body);
      if (method === "hello") return echo(body);
      if (method === "refuse") throw new Refusal("too_hot", "It is too hot for that");
      if (method === "own") {
        const error = { code: 7, message: "Seven", data: { why: "so" } };
        return Promise.resolve(encodeRpc({ kind: "error", id, error }));
      }
      if (method === "other") {
        return Promise.resolve(encodeRpc({ kind: "result", id: "x", result: 1 }));
      }
      if (method === "large") {
        return Promise.resolve(encodeRpc({ kind: "result", id, result: "x".repeat(70_000) }));
      }
      if (method === "rubbish") return Promise.resolve(new Uint8Array(3));
      throw new TypeError("the secret is hunter2");
    };
    const site = rpcSite(now, fail);
    await using channel = site.channel(directLine(site), site.enrol(), { onCall: fail });
    await channel.call(request(0, "hello"));
    const callers = [
      (body: Uint8Array) => channel.call(body),
      (body: Uint8Array) => site.responder.call(device, body),
    ];
    for (const [i, call] of callers.entries()) {
      const outcomes: Record<string, string> = {};
      for (const method of ["refuse", "fault", "other", "large", "rubbish"]) {
        const error = await call(request(`${method}-${i}`, method)).catch((error) => error);
        assert.ok(error instanceof Refusal && !error.message.includes("hunter2"), `${error}`);
        outcomes[method] = error.code;
      }
      assert.deepEqual(outcomes, {
        ...{ refuse: "too_hot", fault: "unavailable", other: "unavailable" },
        ...{ large: "too_large", rubbish: "unavailable" },
      });
      const own = await call(request(`own-${i}`, "own"));
      assert.deepEqual({ ...resultIn(own) as object }, {
        ...{ code: 7, message: "Seven" },
        data: Object.assign(Object.create(null), { why: "so" }),
      });
    }
    site.responder.close();
  }));

Deno.test("a device that takes no calls says that it knows no method", () =>
  inVirtualTime(async (now) => {
    const { site, channel } = await connected(now);
    await assert.rejects(site.responder.call(device, request(1)), { code: "method_not_found" });
    await channel[Symbol.asyncDispose]();
  }));

Deno.test("Responder.call() reaches nobody who has no session", () =>
  inVirtualTime(async (now) => {
    const missing = { name: "ChannelError", code: "not_connected" };
    const unused = rpcSite(now, echo);
    await assert.rejects(unused.responder.call(device, request(1)), missing);
    assert.ok(!unused.responder.isOpen(device));
    const { site, channel } = await connected(now, { onCall: echo });
    assert.ok(site.responder.isOpen(device));
    const began = now();
    await site.responder.call(device, request(0));
    assert.equal(now(), began, "the answer was kept waiting");
    await site.peers.revoke("device", device);
    assert.ok(!site.responder.isOpen(device));
    await assert.rejects(site.responder.call(device, request(1)), missing);
    await channel[Symbol.asyncDispose]();

    const meters = new FakeSite((call) => Promise.resolve(call), now);
    await using meter = meters.channel(directLine(meters), meters.enrol());
    await meter.call(new Uint8Array(1));
    await assert.rejects(meters.responder.call(device, request(1)), missing);
  }));

Deno.test("Responder.call() ends at its time, at the end of the session, and at the end of the site", () =>
  inVirtualTime(async (now) => {
    const { site, channel, line } = await connected(now, { onCall: echo });
    line.isDown = true;
    const began = now();
    const call = (id: RpcId, within = 30 * seconds) =>
      site.responder.call(device, request(id), { within });
    await assert.rejects(call(1, 7 * seconds), { name: "ChannelError", code: "no_answer" });
    assert.equal(now() - began, 7 * seconds);
    const unknown = assert.rejects(call(2), { code: "outcome_unknown" });
    await site.peers.revoke("device", device);
    await unknown;
    await channel[Symbol.asyncDispose]();

    const other = await connected(now, { onCall: echo });
    other.line.isDown = true;
    const closed = assert.rejects(other.site.responder.call(device, request(1)), {
      code: "channel_closed",
    });
    other.site.responder.close();
    await closed;
    await other.channel[Symbol.asyncDispose]();
  }));

Deno.test("Responder.call() takes requests only, 16 at once, and no id twice", () =>
  inVirtualTime(async (now) => {
    const { site, channel, line } = await connected(now, { onCall: echo });
    const { responder } = site;
    line.isDown = true;
    const waiting = Array.from({ length: 16 }, (_, i) => responder.call(device, request(i)));
    const ended = Promise.allSettled(waiting);
    await assert.rejects(responder.call(device, request(16)), { code: "too_many_calls" });
    await ended;
    line.isDown = false;
    // the session has lost no frame that matters: the next call is answered
    assert.deepEqual(resultIn(await responder.call(device, request(16, "x", ["y"]))), ["y"]);
    await assert.rejects(responder.call(device, request(3)), {
      name: "ChannelError",
      code: "id_in_use",
    });
    const noRequests = [new Uint8Array(2), encodeRpc({ kind: "result", id: 1, result: 1 })];
    for (const body of noRequests) {
      await assert.rejects(responder.call(device, body), { code: "malformed" });
      await assert.rejects(channel.call(body), { code: "malformed" });
    }
    responder.close();
    await channel[Symbol.asyncDispose]();
  }));

Deno.test("a role hears of new frames of approved devices, and when one has no session any more", () =>
  inVirtualTime(async (now) => {
    const heard: string[] = [];
    const onActivity = (id: string, what: string) => void heard.push(`${id} ${what}`);
    const site = rpcSite(now, echo, { onActivity });
    const frames: Uint8Array[] = [];
    const transport = directLine(site, (frame, deliver) => {
      frames.push(frame);
      return deliver();
    });
    const code = site.enrol();
    await using channel = site.channel(transport, code, { onCall: echo });
    await channel.call(request(1));
    // the enrolment has made it an approved device, and then it called
    assert.deepEqual(heard.splice(0), ["m-1 frame", "m-1 frame"]);
    await site.responder.call(device, request(1));
    assert.deepEqual(heard.splice(0), ["m-1 frame"]);
    for (const frame of frames) await site.receive(frame);
    for (const frame of frames) {
      const altered = frame.with(-1, frame.at(-1)! ^ 1);
      await site.receive(altered);
    }
    assert.deepEqual(heard, [], "what anybody can send is taken for a sign of life");
    await site.peers.revoke("device", device);
    assert.deepEqual(heard, ["m-1 ended"]);
    site.responder.close();
    assert.deepEqual(heard, ["m-1 ended"]);
  }));

Deno.test("a role hears of an end of age, and of none when another session has taken over", () =>
  inVirtualTime(async (now) => {
    const heard: string[] = [];
    const site = rpcSite(now, echo, { onActivity: (_id, what) => void heard.push(what) });
    const [code, line] = [site.enrol(), directLine(site)];
    const keys = { staticKey: suite.x25519.keyPair(), signKey: suite.ed25519.signer().publicKey };
    for (let boot = 0; boot < 2; boot++) {
      const channel = site.channel(line, code, keys);
      await channel.call(request("hello"));
      await channel[Symbol.asyncDispose]();
    }
    assert.deepEqual(heard.splice(0), ["frame", "frame", "frame", "frame"]);
    await new Promise((resolve) => setTimeout(resolve, 7 * 24 * 60 * 60 * seconds + 1));
    assert.ok(!site.responder.isOpen(device));
    assert.deepEqual(heard, ["ended"]);
    site.responder.close();
  }));

Deno.test("a role that fails at hearing of frames stops none", () =>
  inVirtualTime(async (now) => {
    const onActivity = () => {
      throw new Error("a fault of the role");
    };
    const { site, channel } = await connected(now, { onCall: echo }, { onActivity });
    assert.deepEqual(resultIn(await site.responder.call(device, request(1, "x", ["y"]))), ["y"]);
    await site.peers.revoke("device", device);
    assert.ok(!site.responder.isOpen(device));
    await channel[Symbol.asyncDispose]();
  }));

Deno.test("a stranger who may not apply is counted, and told and noted nowhere", () =>
  inVirtualTime(async (now) => {
    for (const isClosed of [true, false]) {
      const site = rpcSite(now, echo, { mayApply: () => !isClosed });
      let applications = 0;
      site.peers.apply = () => {
        applications++;
        // "closed" and an error are how the peers say the same
        return applications % 2 === 0
          ? Promise.reject(new CodedError("peer_banned", "It is banned"))
          : Promise.resolve("closed" as never);
      };
      const types: number[] = [];
      const line = directLine(site, async (_frame, deliver) => {
        const answer = await deliver();
        types.push(...answer === null ? [] : [answer[1]!]);
        return answer;
      });
      for (let i = 0; i < 2; i++) {
        await using channel = site.stranger(line);
        await assert.rejects(channel.call(request(1), { within: 10 * seconds }), {
          code: "no_answer",
        });
      }
      assert.equal(applications, isClosed ? 0 : 2);
      assert.equal(site.responder.size, 0);
      const refused = await site.refused();
      const reasons = isClosed ? ["not_invited"] : ["not_invited", "peer_banned"];
      for (const reason of reasons) assert.ok(refused[reason]! > 0, JSON.stringify(refused));
      // message 2 of a first contact, which everybody gets, and nothing else
      assert.deepEqual([...new Set(types)], [2]);
      site.responder.close();
    }
  }));

Deno.test("an rpc session carries no calls of other sessions, and a meter's no JSON-RPC", () =>
  inVirtualTime(async (now) => {
    const site = rpcSite(now, echo);
    await using wrong = site.channel(directLine(site), site.enrol(), { purpose: "meter" });
    await assert.rejects(wrong.call(request(1), { within: 9 * seconds }), { code: "no_answer" });
    assert.ok((await site.refused())["wrong_purpose"]! > 0);
    site.responder.close();
  }));
