/**
 * Volumes that open only with k of n: gateways as processes of their own, every scheme, and one gateway
 * that lies, hangs, is out of date or away. Devices ask as the product's own client does.
 */
import assert from "node:assert/strict";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import type { Scheme } from "../../core/trust/share/scheme.ts";
import { DeviceHome } from "../../edge/device/home.ts";
import { unlock, UnlockFailed, type UnlockReport } from "../../edge/device/unlock.ts";
import { type Device, expectDone, Gateways } from "./gateways.ts";
import type { Lie } from "./lying_gateway.ts";
import { temporaryFolder } from "./program.ts";

const suite = nativeSuite();
const secret = new TextEncoder().encode("the key of the till");

/** Opens the volume and reads it; the text that was sealed, and how it went. */
async function open(device: Device, file: string, deadline = 20_000): Promise<UnlockReport> {
  const home = DeviceHome.open(suite, device.dir);
  await using volume = await unlock(home, { suite, file, deadline });
  const chunks: Uint8Array[] = [];
  for await (const chunk of volume.chunks()) chunks.push(chunk.slice());
  assert.deepEqual(Uint8Array.from(chunks.flatMap((chunk) => [...chunk])), secret);
  volume.report("MOUNT_OK");
  return await volume.settle();
}

async function staysShut(device: Device, file: string): Promise<void> {
  await assert.rejects(open(device, file, 1_500), (error) => {
    assert.ok(error instanceof UnlockFailed, String(error));
    assert.equal(error.code, "unreachable");
    assert.equal(error.report.opened, false);
    return true;
  });
}

function* subsets(n: number, k: number, from = 0): Generator<number[]> {
  if (k === 0) return yield [];
  for (let first = from; first <= n - k; first++) {
    for (const rest of subsets(n, k - 1, first + 1)) yield [first, ...rest];
  }
}

/** Lets only these gateways run meanwhile: the others hang, as machines in trouble do. */
async function withOnly(
  { sites }: Gateways,
  running: readonly number[],
  act: () => Promise<unknown>,
): Promise<void> {
  const hanging = sites.filter((_, i) => !running.includes(i));
  for (const site of hanging) site.signal("SIGSTOP");
  try {
    await act();
  } finally {
    for (const site of hanging) site.signal("SIGCONT");
  }
}

for (const [k, n] of [[2, 3], [3, 5]] as const) {
  Deno.test(`${k} of ${n}: any ${k} gateways open, and no ${k - 1}, by every scheme`, async () => {
    await using folder = await temporaryFolder();
    await using gateways = await Gateways.start(folder.path, { n });
    await gateways.deal(k);
    const device = await gateways.device("kiosk-1");
    const volumes = {
      voprf: await device.seal("voprf", secret),
      shamir: await device.seal("shamir", secret, "--scheme", "shamir", "--threshold", `${k}`),
      xor: await device.seal("xor", secret, "--scheme", "xor"),
    };
    for (const running of subsets(n, k)) {
      await withOnly(gateways, running, async () => {
        for (const scheme of ["voprf", "shamir"] as const) {
          const { gateways: outcomes } = await open(device, volumes[scheme]);
          const good = outcomes.filter(({ outcome }) => outcome === "good").map(({ id }) => id);
          assert.deepEqual(good, running.map((i) => `gw-${i + 1}`), scheme);
        }
      });
    }
    for (const running of subsets(n, k - 1)) {
      await withOnly(gateways, running, async () => {
        for (const scheme of ["voprf", "shamir"] as const) await staysShut(device, volumes[scheme]);
      });
    }
    const all = gateways.sites.map((_, i) => i);
    await open(device, volumes.xor);
    await withOnly(gateways, all.slice(1), () => staysShut(device, volumes.xor));
    await withOnly(gateways, all.slice(0, -1), () => staysShut(device, volumes.xor));
  });
}

/** What is wrong with the one gateway, and what the report has to say of it. */
const troubles: readonly {
  lie: Lie;
  schemes: readonly Scheme[];
  outcome: RegExp;
  why: RegExp;
}[] = [
  { lie: "alters", schemes: ["voprf", "shamir"], outcome: /^bad$/, why: /proof|element|piece/ },
  { lie: "outdated", schemes: ["voprf"], outcome: /^bad$/, why: /proof/ },
  { lie: "confuses", schemes: ["voprf"], outcome: /^bad$/, why: /proof/ },
  { lie: "confuses", schemes: ["shamir"], outcome: /^denied$/, why: /volume/ },
];

Deno.test("2 of 3: whatever one gateway does, the volume opens 100 of 100 times, and the report names it", async (t) => {
  await using folder = await temporaryFolder();
  await using gateways = await Gateways.start(folder.path, { n: 3 });
  await gateways.deal(2);
  const device = await gateways.device("kiosk-1");
  const volumes: Partial<Record<Scheme, string>> = {
    voprf: await device.seal("voprf", secret),
    shamir: await device.seal("shamir", secret, "--scheme", "shamir", "--threshold", "2"),
  };

  /** Gives how often the gateway was too late to be judged: that is named, too, and is no lie. */
  async function opens100(
    scheme: Scheme,
    expected: { outcome: RegExp; why: RegExp },
  ): Promise<number> {
    let late = 0;
    for (let i = 0; i < 100; i++) {
      const report = await open(device, volumes[scheme]!);
      const [one, culprit, other] = report.gateways;
      assert.deepEqual([one!.outcome, other!.outcome], ["good", "good"], JSON.stringify(report));
      if (culprit!.outcome === "late") {
        assert.match(culprit!.why!, /before it answered/);
        late++;
      } else {
        assert.match(culprit!.outcome, expected.outcome, `${scheme}, time ${i}: ${culprit!.why}`);
        assert.match(culprit!.why!, expected.why);
      }
    }
    return late;
  }

  for (const { lie, schemes, ...expected } of troubles) {
    await t.step(`it ${lie} (${schemes.join(", ")})`, async () => {
      await gateways.corrupt(1, lie);
      // on a busy machine an answer may come too late; most do not
      for (const scheme of schemes) assert.ok(await opens100(scheme, expected) <= 50, scheme);
      await gateways.mend(1);
    });
  }
  await t.step("it hangs (voprf, shamir)", async () => {
    await gateways.corrupt(1, "hangs");
    const never = { outcome: /never/, why: /never/ };
    for (const scheme of ["voprf", "shamir"] as const) {
      assert.equal(await opens100(scheme, never), 100);
    }
    await gateways.mend(1);
  });
  await t.step("it is down (voprf, shamir)", async () => {
    await gateways.sites[1]!.kill();
    const expected = { outcome: /^unreachable$/, why: /cannot be reached/ };
    for (const scheme of ["voprf", "shamir"] as const) {
      assert.equal(await opens100(scheme, expected), 0);
    }
  });
});

Deno.test("3 of 5: two liars at once do not keep a volume shut, and both are named", async () => {
  await using folder = await temporaryFolder();
  await using gateways = await Gateways.start(folder.path, { n: 5 });
  await gateways.deal(3);
  const device = await gateways.device("kiosk-1");
  const volume = await device.seal("voprf", secret);
  await gateways.corrupt(0, "alters");
  await gateways.corrupt(3, "outdated");
  const stdout = await expectDone(device.run("unlock", "--json", "--out", `${volume}.out`, volume));
  const { opened, gateways: outcomes } = JSON.parse(stdout) as UnlockReport;
  assert.equal(opened, true);
  assert.deepEqual(await Deno.readFile(`${volume}.out`), secret);
  assert.deepEqual(outcomes.map(({ id, outcome }) => [id, outcome]), [
    ...[["gw-1", "bad"], ["gw-2", "good"], ["gw-3", "good"], ["gw-4", "bad"], ["gw-5", "good"]],
  ]);
  const { code, stderr } = await device.run("unlock", "--out", `${volume}.out`, volume);
  assert.equal(code, 0, stderr);
  for (const culprit of ["gw-1", "gw-4"]) {
    assert.match(stderr, new RegExp(`${culprit}.*(proof|element)`));
  }
});
