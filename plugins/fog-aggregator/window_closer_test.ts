/** The chain of summaries as the closer makes it: signed, gapless, each link over the one before. */
import assert from "node:assert/strict";
import { StatementVerifier } from "../../core/trust/statement.ts";
import { decodeSummary, summaryType } from "../../core/wire/summary.ts";
import {
  batch,
  hostOf,
  minute,
  noon,
  reading,
  suite,
  type TestStore,
  until,
  withStore,
} from "./_real_store.ts";
import { config } from "./config.ts";
import type { Store } from "./store.ts";
import { WindowCloser } from "./window_closer.ts";

const settings = config.parse({ window: "60s", grace: "5s" });

/** Runs a closer for as long as `use` takes. */
async function whileClosing(
  test: TestStore,
  { host }: ReturnType<typeof hostOf>,
  use: (closer: WindowCloser) => Promise<void>,
  store: Store = test.store,
): Promise<void> {
  const closer = new WindowCloser(host, settings, store, { summary() {}, trouble() {} });
  closer.start();
  try {
    await use(closer);
  } finally {
    await closer.stop();
  }
}

async function insert(store: Store, ...seqs: number[]): Promise<ReadonlySet<number>> {
  return (await store.insert(() => [batch(seqs.map((seq) => reading(seq)))])).windows;
}

function pendingIs(store: Store, n: number): () => Promise<boolean> {
  return async () => (await store.pending(99)).length === n;
}

Deno.test("WindowCloser makes a gapless chain of signed summaries, over a restart too", async () => {
  await withStore(async (test) => {
    const fake = hostOf(() => test.now);
    await insert(test.store, 0, 60, 120);
    await whileClosing(test, fake, () => until("three", pendingIs(test.store, 3)));

    const again = await test.reopen();
    await whileClosing(test, fake, async (closer) => {
      await insert(again, 180).then((windows) => closer.expect(windows));
      await until("four", pendingIs(again, 4));
    }, again);

    const verifier = new StatementVerifier(suite, fake.signer.publicKey, summaryType);
    let prev: Uint8Array | null = null;
    for (const [i, { epoch, seq, hash, statement }] of (await again.pending(99)).entries()) {
      const summary = decodeSummary(verifier.open(statement));
      const start = noon - (10 - i) * minute;
      assert.deepEqual([summary.fog_id, summary.epoch, summary.seq], ["fog-1", 1, i + 1]);
      assert.deepEqual([epoch, seq], [1, i + 1]);
      assert.deepEqual(summary.window, { start, end: start + minute });
      assert.deepEqual([summary.revision, summary.n], [0, 1]);
      assert.deepEqual(summary.prev, prev);
      assert.deepEqual(hash, suite.sha256(statement));
      prev = suite.sha256(statement);
    }
    const closed = fake.events.filter(({ type }) => type === "fog.window_closed");
    assert.equal(closed.length, 4);
  });
});

Deno.test("WindowCloser closes a window again for a late reading: the next link, one revision on", async () => {
  await withStore(async (test) => {
    const fake = hostOf(() => test.now);
    await insert(test.store, 1, 3);
    await whileClosing(test, fake, async (closer) => {
      await until("the first", pendingIs(test.store, 1));
      closer.expect(await insert(test.store, 2));
      await until("the revision", pendingIs(test.store, 2));
    });
    const verifier = new StatementVerifier(suite, fake.signer.publicKey, summaryType);
    const [first, second] = (await test.store.pending(9)).map(({ statement }) =>
      decodeSummary(verifier.open(statement))
    );
    assert.deepEqual(second?.window, first?.window);
    assert.deepEqual([first?.revision, second?.revision], [0, 1]);
    assert.deepEqual([first?.n, second?.n], [2, 3]);
  });
});

Deno.test("WindowCloser waits for the end of a window and its grace", async () => {
  await withStore(async (test) => {
    const fake = hostOf(() => test.now);
    await insert(test.store, 0, 600);
    const [, start] = await test.store.dirtyWindows();
    test.now = start! + minute + 5_000 - 1;
    await whileClosing(test, fake, async () => {
      await until("the first", pendingIs(test.store, 1));
      assert.deepEqual(await test.store.dirtyWindows(), [start]);
      test.now++;
      await until("the second", pendingIs(test.store, 2));
    });
  });
});
