/**
 * Connects to an embedded broker again and again, ends in every way there is, and says how much of
 * the heap is taken after each thousand: a program of its own, because it needs to collect garbage.
 */
import { utf8 } from "../../base/bytes.ts";
import { startBroker } from "./_broker.ts";
import { publishPacket, RawPeer, subscribePacket } from "./_raw_peer.ts";

const collect = (globalThis as { gc?: () => void }).gc;
const rounds = 3, perRound = 1_000;

const broker = await startBroker({
  ...{ hostname: "127.0.0.1", port: 0, operator: { username: "$site", password: "x" } },
  log: { debug() {}, info() {}, warn() {}, error() {} },
});

/** Logs in under a new name, talks, and leaves: politely, without a word, or cut for what it said. */
async function visit(i: number): Promise<void> {
  const id = `lamp-${i}`;
  const up = `edgeward/meter/up/${id}`, down = `edgeward/meter/down/${id}`;
  using peer = await RawPeer.login(broker.port, id, { will: { topic: up, payload: utf8("gone") } });
  await peer.send(subscribePacket(1, [down, "#"]), publishPacket(up, utf8("x"), { id: 1 }));
  await peer.receive();
  await peer.receive();
  await peer.send(Uint8Array.of(0x40, 2, 0, 1));
  if (i % 3 === 1) return;
  await peer.send(i % 3 === 0 ? Uint8Array.of(0xe0, 0) : publishPacket("elsewhere", utf8("")));
  while (await peer.receive() !== undefined);
}

const heaps: number[] = [];
for (let round = 0; round < rounds; round++) {
  for (let i = 0; i < perRound; i += 10) {
    const names = Array.from({ length: 10 }, (_, j) => round * perRound + i + j);
    await Promise.all(names.map(visit));
  }
  collect?.();
  collect?.();
  heaps.push(Deno.memoryUsage().heapUsed);
}
await broker[Symbol.asyncDispose]();
await Deno.stdout.write(utf8(JSON.stringify(heaps)));
