/**
 * The notifier in processes of their own: one that dies between a decision and its message, one that
 * opens storage when a person in Telegram says so, and one whose token is nowhere but in its file.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseId } from "../../core/base/id.ts";
import { httpDoor } from "./_doors.ts";
import { HostProcess } from "./_host_process.ts";
import { Stranger } from "./_stranger.ts";
import { eventually } from "./_test_site.ts";
import { BotApi, type Message } from "./bot_api.ts";
import { expectDone, Gateways } from "./gateways.ts";
import { temporaryFolder } from "./program.ts";
import { SiteProcess } from "./site_process.ts";

const ann = 1_001;

Deno.test("a site that dies between decision and message decides once, and sets the message right", async () => {
  for (const method of ["editMessageText", "answerCallbackQuery"]) {
    await using folder = await temporaryFolder();
    await using api = await BotApi.start();
    const person = api.person(ann, "Ann");
    person.says("hello");
    const tables = `[plugins.fog-aggregator]\n${await notifier(folder.path, api)}`;
    await using site = await SiteProcess.start(join(folder.path, "fog"), "fog-1", tables);
    const id = parseId("pump-7");
    await using door = await httpDoor(site, "meter", { id, url: site.url });
    await expectDone(site.operate(["peers", "open", "--for", "10m"]));
    await new Stranger(id, door).meet();
    const question = await asked(api, /pump-7 wants to join/);
    const hang = api.trouble("hang", { methods: [method] });
    const pressed = person.presses(question, "Approve");
    await eventually(`${method} is under way`, () => hang.hanging > 0 || undefined);
    await site.kill();
    hang[Symbol.dispose]();
    await site.start();
    await pressed;
    const edited = await api.sees(ann, /pump-7[^]*Approved by @?ann/i);
    assert.deepEqual([edited.id, edited.buttons], [question.id, []]);
    assert.deepEqual((await site.peers()).map(({ state }) => state), ["approved"]);
    await site.stop();
    assert.deepEqual(decisionsIn(site.dataDir), ["device.approved"], method);
  }
});

Deno.test("a device's storage opens when a person in Telegram says yes, and stays shut at a no", async () => {
  await using folder = await temporaryFolder();
  await using api = await BotApi.start();
  const person = api.person(ann, "Ann");
  person.says("hello");
  const tables = `approval = true\n${await notifier(folder.path, api)}`;
  await using gateways = await Gateways.start(folder.path, { n: 1, tables });
  await gateways.deal(1);
  const device = await gateways.device("kiosk-1");
  const secret = new TextEncoder().encode("the key of the till");
  let last = 0;
  const decided = async <T>(work: Promise<T>, verdict: "Approve" | "Deny"): Promise<T> => {
    const question = await asked(api, /kiosk-1/, { after: last });
    last = question.id;
    await person.presses(question, verdict);
    return await work;
  };
  const volume = await decided(device.seal("till", secret), "Approve");
  const unlock = (out: string) =>
    device.run("unlock", "--out", `${volume}.${out}`, "--deadline", "60s", volume);
  await expectDone(decided(unlock("1"), "Approve"));
  assert.deepEqual(await Deno.readFile(`${volume}.1`), secret);
  const { code, stderr } = await decided(unlock("2"), "Deny");
  assert.equal(code, 3, stderr);
  await api.sees(ann, /kiosk-1[^]*Denied by @?ann/i);
});

Deno.test("the token is in no line of the log, no error, no answer and no file of the site", async () => {
  await using folder = await temporaryFolder();
  await using api = await BotApi.start();
  const person = api.person(ann, "Ann");
  person.says("hello");
  const tables = `[log]\nlevel = "debug"\n${await notifier(folder.path, api)}`;
  const said: string[] = [];
  await using site = await HostProcess.start(folder.path, tables);
  const operate = async (...args: string[]) => {
    const { stdout, stderr } = await site.operate(args);
    said.push(stdout, stderr);
  };
  said.push((await person.asks("/status")).text);
  for (const fault of ["drop", "bad gateway", "lose"] as const) {
    using _ = api.trouble(fault, { times: 4 });
    await operate("status");
    person.says("/whoami");
    await eventually("it asks again", () => api.isPolled || undefined);
  }
  await api.goAway();
  await eventually("it complains", () => {
    return site.written.some((line) => line.includes("reached")) || undefined;
  });
  await operate("doctor");
  await operate("status", "--json");
  await api.comeBack();
  // a bot that Telegram does not know, and a file with something else in it
  const wrong = `${api.token.slice(0, -4)}AAAA`;
  for (const token of [wrong, `token ${api.token}`]) {
    await Deno.writeTextFile(join(folder.path, "token"), token);
    site.signal("SIGHUP");
    await operate("doctor");
    await operate("status", "--json");
    await operate("audit", "show", "--last", "50");
  }
  await site.stop();
  const secret = api.token.split(":")[1]!.slice(0, -4);
  assert.ok(!(said.join("\n") + site.written.join("\n")).includes(secret));
  await Deno.remove(join(folder.path, "token"));
  for await (const path of filesIn(folder.path)) {
    const text = new TextDecoder("latin1").decode(await Deno.readFile(path));
    assert.ok(!text.includes(secret), path);
  }
});

/** The notifier's table, with its token in the folder. */
async function notifier(folder: string, api: BotApi): Promise<string> {
  const token = join(folder, "token");
  await Deno.writeTextFile(token, `${api.token}\n`, { mode: 0o600 });
  return `[plugins.telegram-notifier]
token_file = ${JSON.stringify(token)}
api_root = "${api.url}"
chats = [${ann}]
users = { "${ann}" = "operator" }
group_within = "300ms"`;
}

/** A question in Ann's chat. @param options.after a message before it */
function asked(api: BotApi, what: RegExp, { after = 0 } = {}): Promise<Message> {
  return eventually(
    `Ann is asked ${what}`,
    () =>
      api.told(ann).find(({ id, text, buttons }) => {
        return id > after && what.test(text) && buttons.length > 0;
      }),
    60_000,
  );
}

/** What people in Telegram have decided, as the site has it on record. */
function decisionsIn(dataDir: string): unknown[] {
  using db = new DatabaseSync(join(dataDir, "edgeward.db"), { readOnly: true });
  const query = `SELECT type FROM audit WHERE actor = 'telegram:${ann}' AND type LIKE 'device.%'`;
  return db.prepare(query).all().map(({ type }) => type);
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* filesIn(path);
    else if (isFile) yield path;
  }
}
