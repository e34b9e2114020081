/** The parts of unlocking, put together over one group: sessions, faces, upkeep, what operators do. */
import { Hono } from "hono";
import type { Host, Services } from "../../core/host/plugin.ts";
import { forgetRequests } from "./approvals.ts";
import { Changes } from "./changes.ts";
import { type Config, facesOf } from "./config.ts";
import { Denials } from "./denials.ts";
import { offerUnlocks } from "./desk.ts";
import { faceRoutes, maxFaceBody } from "./faces.ts";
import { readFaceSecrets } from "./face_secrets.ts";
import { Gate } from "./gate.ts";
import type { Group } from "./group.ts";
import { Limits } from "./limits.ts";
import { takeReports } from "./mounts.ts";
import { operationsOf } from "./operations.ts";
import { openPieces } from "./pieces.ts";
import { receiveUnlock } from "./receive.ts";
import { gatewayRoutes } from "./routes.ts";
import { Tidings } from "./tidings.ts";
import { Upkeep } from "./upkeep.ts";
import type { Wrapper } from "./wrapping.ts";

export interface Gateway {
  /** For what is below the role's own path. */
  readonly routes: Hono;
}

/** Serves `unlock` sessions, and faces where they are on. @throws Unavailable, CodedError */
export async function openGateway(
  host: Host & Pick<Services, "db" | "http" | "mqtt" | "sessions">,
  config: Config,
  { group, lock }: { group: Group; lock: Wrapper },
): Promise<Gateway> {
  const monotonic = () => performance.now();
  const pieces = await openPieces(host, lock);
  const limits = new Limits(config, monotonic);
  const denials = new Denials(monotonic);
  const tidings = new Tidings(host);
  const upkeep = new Upkeep(host, { group, denials, tidings });
  const wake = () => upkeep.wake();
  const changes = new Changes();
  const gate = new Gate(host, config, { changes, group, pieces, limits, denials, tidings, wake });
  const paths = facesOf(config);
  if (paths.length > 0) {
    const secrets = readFaceSecrets(host, config.faces);
    const faces = faceRoutes(host, { gate, secrets, limits, denials, tidings });
    for (const path of paths) host.http.claim(path, faces[path]!, { maxBody: maxFaceBody });
  }
  const report = takeReports(host, { limits, tidings });
  const operations = operationsOf(host, config, { changes, pieces, wake });
  offerUnlocks(host, { group, operations });
  await host.sessions.serve("unlock", receiveUnlock(host, { gate, group, limits, report }));
  host.defer(host.bus.listen(({ type, subject, detail }) => {
    if (type === "share.refreshed") wake();
    const isOver = type === "device.revoked" || type === "device.removed" ||
      type === "device.replaced";
    if (!isOver || detail["kind"] !== "device") return;
    const forgotten = changes.during(
      subject,
      () => host.db.write((tx) => forgetRequests(tx, subject)),
    );
    forgotten.then(wake, (error) => {
      // they end by themselves, and sessions refuse the device already
      host.log.error("requests of a device could not be forgotten", { device: subject, error });
    });
  }));
  host.defer(() => upkeep.stop());
  await upkeep.survey();
  upkeep.start();
  return { routes: new Hono().route("/", gatewayRoutes(host, { group, operations })) };
}
