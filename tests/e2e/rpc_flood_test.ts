/**
 * Floods of strangers, at a site that is a process of its own: what they leave in its memory and on its
 * lists is bounded, it stays well, and a device with a code gets in meanwhile as it does before and after.
 */
import assert from "node:assert/strict";
import type { Sensor } from "../../edge/simulate/sensor.ts";
import { eventually } from "./_test_site.ts";
import { isMissing, type SiteAtBroker, startSiteAt } from "./brokers.ts";
import { temporaryFolder } from "./program.ts";
import { letIn } from "./_rpc_sensor.ts";
import {
  emptyKnock,
  knockApart,
  oddIds,
  realKnock,
  Stranger,
  v1Knock,
  v1Message,
} from "./_rpc_strangers.ts";

const tables = `peers.join = "open"
[plugins.mqtt-auth-gateway]
profiles = ["v2", "v1"]`;
/** Bytes that a flood may cost the process, of any length. */
const room = 150 * 1024 * 1024;
/** Messages that a broker may hold for the site without dropping any. */
const batch = 500;
const megabyte = 1024 * 1024;

for (const kind of ["embedded", "mosquitto"] as const) {
  Deno.test({
    name:
      `weakness 13: ten thousand strangers at ${kind} cost a site no memory and no device its place`,
    ignore: isMissing(kind),
    async fn() {
      await using folder = await temporaryFolder();
      await using at = await startSiteAt(kind, folder.path, { name: "gw-1", tables });
      const { site, broker } = at;
      await using before = await letIn(at, "before");
      await answers(before);
      const enrolment = await site.enrol("unused", "device");
      const real = (from: number, n: number) =>
        ids("real", from, n).map((id) => [id, realKnock(id, enrolment)] as const);
      const empty = (from: number, n: number) =>
        ids("empty", from, n).map((id) => [id, emptyKnock(id, enrolment)] as const);
      // the first of everything makes the program longer, and the list full
      await knockApart(broker.port, real(0, 300));
      await isSeen(at, 300);
      const resident = await residentBytes(site.pid);

      for (let from = 300; from < 1_300; from += batch) {
        await knockApart(broker.port, real(from, batch));
        await isSeen(at, from + batch);
        await answers(before);
      }
      for (let from = 0; from < 1_000; from += batch) {
        await knockApart(broker.port, empty(from, batch));
        await isSeen(at, 1_300 + from + batch);
      }
      const flooding = floodV1(at, { from: 2_300, total: 7_700 });
      await using during = await letIn(at, "during");
      await answers(before);
      await flooding;

      await using after = await letIn(at, "after");
      for (const device of [before, during, after]) await answers(device);
      // what is garbage may be there for a while
      let growth = 0;
      await eventually("its memory is what it was", async () => {
        growth = await residentBytes(site.pid) - resident;
        return growth < room || undefined;
      }, 60_000).catch(() => assert.fail(`${growth / megabyte} MB more are resident`));
      const waiting = (await site.peers()).filter(({ proof }) => proof !== null);
      const bare = waiting.filter(({ proof }) => proof === "none");
      assert.ok(bare.length <= 64 && waiting.length <= 64 + 256, `${waiting.length} wait`);
      assert.ok(waiting.length >= 256, `only ${waiting.length} are on the list`);
      await isWell(at);
    },
  });
}

/** Connects and messages of profile v1 under ever new names, and under none that is one. */
async function floodV1(at: SiteAtBroker, { from, total }: { from: number; total: number }) {
  await using stack = new AsyncDisposableStack();
  const members: Stranger[] = [];
  for (let i = 0; i < 20; i++) {
    members.push(stack.use(await Stranger.at(at.broker.port, `mob-${i}`)));
  }
  for (let sent = 0; sent < total;) {
    const end = Math.min(sent + batch, total);
    await Promise.all(members.map(async (member, m) => {
      for (let i = sent + m; i < end; i += members.length) {
        const id = i % 7 === 0 ? oddIds[i / 7 % oddIds.length] : `mob-${i}`;
        await member.publish(i % 2 === 0 ? v1Knock(id) : v1Message(id));
      }
    }));
    sent = end;
    await isSeen(at, from + sent);
  }
}

async function answers(device: Sensor): Promise<void> {
  assert.deepEqual(await device.call("echo", [1], { within: 60_000 }), [1]);
}

/** Waits until the site has looked at so many messages that led to nothing. */
async function isSeen({ site }: SiteAtBroker, n: number): Promise<void> {
  let seen = 0;
  try {
    await eventually("all are seen", async () => {
      seen = await refusals(site);
      return seen >= n || undefined;
    }, 60_000);
  } catch {
    assert.fail(`${seen} of ${n} messages were seen`);
  }
}

async function refusals(site: SiteAtBroker["site"]): Promise<number> {
  const counters = ["edgeward_session_refused_total", "edgeward_rpc_v1_dropped_total"];
  const counts = await Promise.all(counters.map((name) => site.counts(name, "reason")));
  return counts.flatMap((by) => Object.values(by)).reduce((sum, n) => sum + n, 0);
}

async function isWell({ site }: SiteAtBroker): Promise<void> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const url = `http://127.0.0.1:${site.ports.admin}/readyz?verbose`;
  const response = await fetch(url, { client });
  const verdict = await response.text();
  assert.equal(response.status, 200, verdict);
  assert.match(verdict, /mqtt ok/);
}

async function residentBytes(pid: number): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}

function ids(name: string, from: number, n: number): string[] {
  return Array.from({ length: n }, (_, i) => `${name}-${from + i}`);
}
