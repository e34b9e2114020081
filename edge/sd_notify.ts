/**
 * Telling systemd how the site is (sd_notify(3)): READY, STATUS, RELOADING, STOPPING and the WATCHDOG.
 * Without `NOTIFY_SOCKET` in the environment, everything here does nothing. A watchdog message says
 * that the event loop turns; what else is wrong is the business of `/readyz`.
 */

export interface ServiceManager extends AsyncDisposable {
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** The site serves; also after a reload. */
  ready(text: string): void;
  reloading(): void;
  stopping(): void;
}

const encoder = new TextEncoder();

/** Opens the way to the service manager that the environment names. */
export function openServiceManager(env: (name: string) => string | undefined): ServiceManager {
  const path = env("NOTIFY_SOCKET");
  // the runtime knows no abstract sockets ("@…"); systemd's own is a file
  if (path === undefined || !path.startsWith("/")) return silent;
  const socket = Deno.listenDatagram(
    { transport: "unixpacket" } as Deno.UnixListenOptions & {
      transport: "unixpacket";
    },
  );
  let sending = Promise.resolve();
  const send = (...lines: string[]) => {
    const message = encoder.encode(lines.join("\n"));
    sending = sending
      .then(() => socket.send(message, { transport: "unixpacket", path }))
      .then(() => {}, () => {}); // a manager that is not there needs no message
  };
  const interval = watchdogInterval(env);
  const watchdog = interval === null ? null : setInterval(() => send("WATCHDOG=1"), interval);
  return {
    status: (text) => send(`STATUS=${oneLine(text)}`),
    ready: (text) => send("READY=1", `STATUS=${oneLine(text)}`),
    reloading: () => send("RELOADING=1", `MONOTONIC_USEC=${monotonicMicroseconds()}`),
    stopping: () => send("STOPPING=1", "STATUS=stopping"),
    async [Symbol.asyncDispose]() {
      if (watchdog !== null) clearInterval(watchdog);
      // a manager that does not read must not keep the site from ending
      let timer: ReturnType<typeof setTimeout> | undefined;
      await Promise.race([sending, new Promise((resolve) => timer = setTimeout(resolve, 500))]);
      clearTimeout(timer);
      socket.close();
    },
  };
}

const silent: ServiceManager = {
  ...{ status() {}, ready() {}, reloading() {}, stopping() {} },
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

/** Half of what systemd allows, in milliseconds; null when it does not watch this process. */
function watchdogInterval(env: (name: string) => string | undefined): number | null {
  const microseconds = Number(env("WATCHDOG_USEC"));
  const meant = Number(env("WATCHDOG_PID") ?? Deno.pid) === Deno.pid;
  return meant && microseconds > 0 ? microseconds / 2_000 : null;
}

/** CLOCK_MONOTONIC, which RELOADING=1 must bear; the runtime's own clocks start elsewhere. */
function monotonicMicroseconds(): number {
  try {
    return Math.round(Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) * 1e6);
  } catch {
    return 0;
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ");
}
