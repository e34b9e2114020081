/** What an operator does about devices: say yes or no, clear a device, erase a volume. All in the log. */
import { fromHex } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { decide, type RequestRow, type Verdict } from "./approvals.ts";
import type { Changes } from "./changes.ts";
import type { Config } from "./config.ts";
import type { Pieces } from "./pieces.ts";
import { clearDevice, removeVolume } from "./store.ts";

export class OperationError extends CodedError<"device_unknown" | "volume_unknown"> {
  override readonly name = "OperationError";
}

export interface Operations {
  /** @throws RequestError */
  decide(id: string, verdict: Verdict, by: string): Promise<RequestRow>;
  /** The next start of the device is taken, whichever it is. @throws OperationError "device_unknown" */
  clear(device: Id, by: string): Promise<void>;
  /** Forgets a volume and erases its piece. @throws OperationError "volume_unknown" */
  erase(device: Id, volume: string, by: string): Promise<void>;
}

export function operationsOf(
  { audit, clock, db }: Pick<Host & Services, "audit" | "clock" | "db">,
  config: Pick<Config, "approval_ttl">,
  { changes, pieces, wake }: { changes: Changes; pieces: Pieces; wake: () => void },
): Operations {
  const change = (device: Id, job: Parameters<typeof db.write<void>>[0]) =>
    changes.during(device, () => db.write(job));
  return {
    async decide(id, verdict, by) {
      const decision = { verdict, by, now: clock(), ttl: config.approval_ttl };
      const decided = await db.write(async (tx) => {
        const { request, isNew } = await decide(tx, id, decision);
        const { device, volume, boot } = request;
        const detail = { request: id, volume, boot };
        const type = `unlock.${verdict}`;
        if (isNew) await audit.append(tx, { type, actor: by, subject: device, detail });
        return request;
      });
      wake();
      return decided;
    },

    async clear(device, by) {
      await change(device, async (tx) => {
        if (!await clearDevice(tx, device)) {
          throw new OperationError("device_unknown", `Cannot clear "${device}": it never asked`, {
            hint: "GET /share-gateway/devices lists the devices that have asked",
          });
        }
        await audit.append(tx, { type: "unlock.cleared", actor: by, subject: device });
      });
      wake();
    },

    async erase(device, volume, by) {
      await change(device, async (tx) => {
        const name = { device, volume: fromHex(volume) };
        if (!await removeVolume(tx, name)) {
          throw new OperationError(
            "volume_unknown",
            "Cannot erase the volume: it is not known here",
          );
        }
        await pieces.delete(tx, name);
        await audit.append(tx, {
          ...{ type: "unlock.erased", actor: by, subject: device, detail: { volume } },
        });
      });
      wake();
    },
  };
}
