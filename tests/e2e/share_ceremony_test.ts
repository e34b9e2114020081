/** `edgeward share …` as an operator meets it: a group is planned, dealt, looked at and left. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { DealStatus, GroupStatus, PlanStatus } from "../../core/wire/group_status.ts";
import { expectDone, Gateways } from "./gateways.ts";
import { run, temporaryFolder } from "./program.ts";

Deno.test("edgeward share says what is wrong on its command line", async () => {
  await using folder = await temporaryFolder();
  const cwd = folder.path;
  await Deno.writeTextFile(join(cwd, "site.toml"), `site = "gw-1"\ndata_dir = "data"\n`);
  const cases: [string[], number, RegExp][] = [
    [["init"], 2, /required option '--group <name>' not specified/],
    [["init", "--group", "home"], 2, /required option '--threshold <k>' not specified/],
    [["init", "--group", "home", "--threshold", "0"], 2, /whole number from 1 to 32/],
    [["init", "--group", "home", "--threshold", "some"], 2, /whole number from 1 to 32/],
    [["init", "--group", "a home", "--threshold", "2"], 2, /identifier/],
    [["deal", "--now"], 2, /unknown option '--now'/],
    [["nonsense"], 2, /unknown command 'nonsense'/],
    [["status"], 4, /it does not run here/],
    [["deal"], 4, /it does not run here/],
    [["forget", "--yes"], 4, /it does not run here/],
  ];
  for (const [args, status, error] of cases) {
    const { code, stdout, stderr } = await run(["share", ...args], { cwd });
    assert.deepEqual({ code, stdout }, { code: status, stdout: "" }, args.join(" "));
    assert.match(stderr, error, args.join(" "));
  }
  const help = await expectDone(run(["share", "--help"]));
  for (const command of ["init", "deal", "status", "forget", "requests", "approve", "deny"]) {
    assert.match(help, RegExp(`^  ${command} `, "m"));
  }
});

Deno.test("edgeward share founds a group, shows it, and leaves it", async () => {
  await using folder = await temporaryFolder();
  await using gateways = await Gateways.start(folder.path, { n: 3 });
  const [dealer, other] = gateways.sites;
  const share = (...args: string[]) => dealer!.operate(["share", ...args]);
  const json = async <T>(...args: string[]) =>
    JSON.parse(await expectDone(share(...args, "--json"))) as T;

  const none = await share("status");
  assert.equal(none.code, 1);
  assert.match(none.stderr, /there is no group\n.*hint: plan one: `edgeward share init/);
  const early = await share("deal");
  assert.deepEqual([early.code, early.stdout], [1, ""]);
  assert.match(early.stderr, /there is no plan\n.*hint: make one/);

  const plan = await json<PlanStatus>("init", "--group", "home", "--threshold", "2");
  assert.deepEqual([plan.group, plan.k, plan.n], ["home", 2, 3]);
  assert.deepEqual(plan.members.map(({ id, reachable }) => `${id} ${reachable}`), [
    "gw-1 true",
    "gw-2 true",
    "gw-3 true",
  ]);
  const told = await share("init", "--group", "home", "--threshold", "3");
  assert.match(told.stdout, /^gw-3 +([0-9a-f]{4}-){5}[0-9a-f]{4} +ready +\S+$/m);
  assert.match(
    told.stderr,
    /every gateway is needed[^]*hint: to deal 3 of 3: `edgeward share deal`/,
  );

  const { deal, group } = await json<GroupStatus & { deal: DealStatus }>("deal");
  assert.deepEqual([deal.state, deal.error, group!.k], ["done", null, 3]);
  const status = await json<GroupStatus>("status");
  assert.deepEqual(status.group, { name: "home", epoch: 1, k: 3, n: 3, index: 1 });
  for (const { reachable, has_roster } of status.members) {
    assert.deepEqual([reachable, has_roster], [true, true]);
  }
  const again = await share("deal");
  assert.equal(again.code, 1);
  assert.match(again.stderr, /has one already\n.*hint: .*edgeward share forget/);

  const asked = await other!.operate(["share", "forget"]);
  assert.equal(asked.code, 2);
  assert.match(asked.stderr, /without --yes: .*no volume of the group opens any more/);
  await expectDone(other!.operate(["share", "forget", "--yes"]));
  const after = await share("status");
  assert.equal(after.code, 1);
  assert.match(after.stdout, /^2 +gw-2 .* yes +no +/m);
  assert.match(after.stderr, /gw-2 does not have the roster/);
});
