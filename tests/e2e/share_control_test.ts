/**
 * Who decides about a volume: an operator who revokes a device between two requests, a person who
 * approves or denies a start, and the counter of starts that a copied device betrays itself by.
 */
import assert from "node:assert/strict";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { DeviceHome } from "../../edge/device/home.ts";
import { unlock } from "../../edge/device/unlock.ts";
import { expectDone, Gateways, type Opening } from "./gateways.ts";
import { run, temporaryFolder } from "./program.ts";

const secret = new TextEncoder().encode("the key of the till");

Deno.test("revocation bites between two requests, at every gateway", async () => {
  await using folder = await temporaryFolder();
  await using gateways = await Gateways.start(folder.path, { n: 3 });
  await gateways.deal(2);
  const device = await gateways.device("kiosk-1");
  const volume = await device.seal("till", secret);
  const [first, second, third] = gateways.sites;

  // one session for both requests
  const suite = nativeSuite();
  const home = DeviceHome.open(suite, device.dir);
  await (await unlock(home, { suite, file: volume }))[Symbol.asyncDispose]();
  await expectDone(first!.operate(["peers", "revoke", "device/kiosk-1"]));
  const once = JSON.parse(
    await expectDone(device.run("unlock", "--json", "--out", volume + ".1", volume)),
  );
  const { outcome, why } = (once as Opening).gateways.find(({ id }) => id === "gw-1")!;
  assert.equal(outcome, "denied");
  assert.match(why!, /refuses this device/);

  for (const site of [second!, third!]) {
    await expectDone(site.operate(["peers", "revoke", "device/kiosk-1"]));
  }
  const out = `${volume}.2`;
  const shut = await device.run("unlock", "--json", "--out", out, "--deadline", "5s", volume);
  assert.equal(shut.code, 3, shut.stderr);
  const told = JSON.parse(shut.stdout) as Opening;
  assert.equal(told.opened, false);
  // two of three are enough to know, so one of them may not have been heard
  const outcomes = told.gateways.map(({ outcome }) => outcome);
  assert.ok(outcomes.filter((outcome) => outcome === "denied").length >= 2, `${outcomes}`);
  assert.ok(!outcomes.includes("good"), `${outcomes}`);
  await assert.rejects(Deno.stat(out), Deno.errors.NotFound);
});

Deno.test("with approval a start waits for a person at k gateways, whose no is a no", async () => {
  await using folder = await temporaryFolder();
  await using gateways = await Gateways.start(folder.path, { n: 3, tables: "approval = true" });
  await gateways.deal(2);
  const device = await gateways.device("kiosk-1");
  await using person = new Person(gateways);
  person.decide("approve");
  const volume = await device.seal("till", secret);
  await expectDone(device.run("unlock", "--out", `${volume}.1`, "--deadline", "30s", volume));
  assert.deepEqual(await Deno.readFile(`${volume}.1`), secret);

  person.decide("deny");
  const denied = await device.run("unlock", "--out", `${volume}.2`, "--deadline", "30s", volume);
  assert.equal(denied.code, 3, denied.stderr);
  person.decide(null);
  const waiting = await device.run("unlock", "--out", `${volume}.3`, "--deadline", "2s", volume);
  assert.equal(waiting.code, 3, waiting.stderr);
  assert.match(waiting.stderr, /approv/);
});

Deno.test("a copied device is noticed, refused, and let in again by an operator", async () => {
  await using folder = await temporaryFolder();
  await using gateways = await Gateways.start(folder.path, { n: 1 });
  await gateways.deal(1);
  const device = await gateways.device("kiosk-1");
  const volume = await device.seal("till", secret);
  const copy = `${device.dir}-copy`;
  await new Deno.Command("cp", { args: ["-a", device.dir, copy] }).output();
  const openAt = (dir: string) =>
    run(["device", "unlock", "--dir", dir, "--out", `${volume}.out`, volume]);

  await expectDone(openAt(device.dir));
  const { code, stderr } = await openAt(copy);
  assert.equal(code, 3, stderr);
  assert.match(stderr, /gw-1.*(clone|copy|twice)/i);
  // the real one is refused as well: nobody can tell which is which
  assert.equal((await openAt(device.dir)).code, 3);
  const [gateway] = gateways.sites;
  await expectDone(gateway!.operate(["share", "clear", "kiosk-1"]));
  await expectDone(openAt(device.dir));
});

/** Somebody who answers every request that any gateway shows, one way or the other. */
class Person implements AsyncDisposable {
  readonly #gateways: Gateways;
  #verdict: "approve" | "deny" | null = null;
  #isHere = true;
  readonly #work: Promise<void>;

  constructor(gateways: Gateways) {
    this.#gateways = gateways;
    this.#work = this.#watch();
  }

  decide(verdict: "approve" | "deny" | null): void {
    this.#verdict = verdict;
  }

  async #watch(): Promise<void> {
    while (this.#isHere) {
      for (const site of this.#gateways.sites) {
        const verdict = this.#verdict;
        if (verdict === null) continue;
        const stdout = await expectDone(site.operate(["share", "requests", "--json"]));
        for (const line of stdout.split("\n").filter((line) => line !== "")) {
          const { id, state } = JSON.parse(line) as { id: string; state: string };
          if (state === "pending") await site.operate(["share", verdict, id]);
        }
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isHere = false;
    await this.#work;
  }
}
