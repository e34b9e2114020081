/** What the gateway says of devices where people ask for all of them: whether one is there now. */
import { awayText } from "../../core/base/when.ts";
import type { Host } from "../../core/host/plugin.ts";
import type { Fact } from "../../core/services/desk.ts";
import type { Registry } from "./registry.ts";

export function offerPresence(
  { clock, desk }: Pick<Host, "clock" | "desk">,
  registry: Pick<Registry, "entries">,
): void {
  desk.offerRemarks({
    kind: "device",
    all() {
      const now = clock();
      const all = new Map<string, readonly Fact[]>();
      for (const { id, profile, device: { state, heard } } of registry.entries()) {
        const there = state === "AUTHORIZED" ? "online" : "offline";
        const last = heard === null ? "never heard" : `heard ${awayText(heard, now)}`;
        const spoken = profile === null ? "" : ` (${profile})`;
        all.set(id, [["gateway", `${there}, ${last}${spoken}`]]);
      }
      return Promise.resolve(all);
    },
  });
}
