/** What systemd hears, over a socket like its own. */
import assert from "node:assert/strict";
import { openServiceManager } from "./sd_notify.ts";

Deno.test("openServiceManager() says what happens, and that it lives", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/notify`;
  const systemd = Deno.listenDatagram({ transport: "unixpacket", path });
  const hear = async () => new TextDecoder().decode((await systemd.receive())[0]);
  const env: Record<string, string> = {
    NOTIFY_SOCKET: path,
    WATCHDOG_USEC: "20000",
    WATCHDOG_PID: `${Deno.pid}`,
  };
  try {
    await using manager = openServiceManager((name) => env[name]);
    manager.ready("fog-1:\n2 roles");
    assert.equal(await hear(), "READY=1\nSTATUS=fog-1: 2 roles");
    assert.equal(await hear(), "WATCHDOG=1");
    manager.reloading();
    manager.status("half asleep");
    manager.stopping();
    const heard: string[] = [];
    while (heard.length < 3) {
      const message = await hear();
      if (message !== "WATCHDOG=1") heard.push(message);
    }
    assert.match(heard[0]!, /^RELOADING=1\nMONOTONIC_USEC=[1-9]\d+$/);
    assert.deepEqual(heard.slice(1), ["STATUS=half asleep", "STOPPING=1\nSTATUS=stopping"]);
  } finally {
    systemd.close();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("openServiceManager() is silent where there is nobody, or nobody any more", async () => {
  for (const NOTIFY_SOCKET of [undefined, "", "@abstract", "/nowhere/notify"]) {
    const env: Record<string, string | undefined> = { NOTIFY_SOCKET, WATCHDOG_USEC: "1000" };
    await using manager = openServiceManager((name) => env[name]);
    manager.ready("here");
    manager.stopping();
  }
});

Deno.test("openServiceManager() leaves another process's watchdog alone", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/notify`;
  const systemd = Deno.listenDatagram({ transport: "unixpacket", path });
  const env: Record<string, string> = {
    ...{ NOTIFY_SOCKET: path, WATCHDOG_USEC: "1000", WATCHDOG_PID: `${Deno.pid + 1}` },
  };
  const manager = openServiceManager((name) => env[name]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  manager.ready("here");
  await manager[Symbol.asyncDispose]();
  assert.equal(new TextDecoder().decode((await systemd.receive())[0]), "READY=1\nSTATUS=here");
  systemd.close();
  await Deno.remove(folder, { recursive: true });
});
