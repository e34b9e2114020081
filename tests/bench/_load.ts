/**
 * Frames into a site as fast as it takes them, from many peers at once, and the floor of the same
 * work: every frame opened and every signature in it checked by the runtime's own functions.
 */
import type { Responder } from "../../core/services/sessions/mod.ts";
import { nativeOpen, nativeVerify } from "./_native.ts";
import type { BenchPeer, Prepared } from "./_peer.ts";

/** Opens and verifies everything once, and does nothing with it. */
export function openAll(queues: readonly (readonly Prepared[])[]): void {
  for (const queue of queues) {
    for (const { sealed, signed } of queue) {
      nativeOpen(sealed);
      for (const one of signed) nativeVerify(one);
    }
  }
}

/** Sends each peer's frames, the next as soon as an answer has made room; gives the answers' bodies. */
export async function sendAll(
  responder: Responder,
  queues: readonly (readonly Prepared[])[],
  inFlight: number,
): Promise<(Uint8Array | null)[][]> {
  const answers = queues.map((): (Uint8Array | null)[] => []);
  await Promise.all(queues.map(async (queue, i) => {
    let next = 0;
    await Promise.all(Array.from({ length: inFlight }, async () => {
      while (next < queue.length) {
        answers[i]!.push(await responder.receive(queue[next++]!.frame));
      }
    }));
  }));
  return answers;
}

/** Hands every answer to its peer to read. */
export function readAll(
  peers: readonly BenchPeer[],
  answers: readonly (readonly (Uint8Array | null)[])[],
  read: (body: Uint8Array) => void,
): void {
  answers.forEach((ofPeer, i) => {
    for (const answer of ofPeer) read(peers[i]!.read(answer));
  });
}
