/** The group of a gateway that runs on this machine, as its admin socket tells of it. */
import { CodedError } from "../../core/base/errors.ts";
import type { DealStatus, GroupStatus, PlanStatus } from "../../core/wire/group_status.ts";
import { askSite } from "../admin_client.ts";
import { loadSite } from "../options.ts";

/** All of it throws what the site refuses. */
export interface GroupClient {
  /** @param options.live whether the other gateways are asked */
  status(options: { live: boolean }): Promise<GroupStatus>;
  plan(wish: { group: string; threshold: number }): Promise<PlanStatus>;
  /** Begins to deal. */
  deal(): Promise<DealStatus>;
  forget(): Promise<void>;
}

/** @param config the configuration of the site, or its usual place. @throws ConfigError */
export async function groupClient(config: string | undefined): Promise<GroupClient> {
  const { data_dir } = await loadSite(config);
  return groupAt(data_dir);
}

/** @param dataDir of the site */
export function groupAt(dataDir: string): GroupClient {
  const ask = async (path: string, options: { method?: string; body?: unknown } = {}) => {
    try {
      return await askSite(dataDir, `/share-gateway/group${path}`, options);
    } catch (error) {
      throw error instanceof CodedError && error.code === "not_found" ? notPlayed(error) : error;
    }
  };
  return {
    status: async ({ live }) => await ask(live ? "?live=1" : "") as GroupStatus,
    async plan(body) {
      const { plan } = await ask("/plan", { method: "POST", body }) as { plan: PlanStatus };
      return plan;
    },
    async deal() {
      const { deal } = await ask("/deal", { method: "POST" }) as { deal: DealStatus };
      return deal;
    },
    async forget() {
      await ask("", { method: "DELETE" });
    },
  };
}

function notPlayed(cause: CodedError): CodedError {
  return new CodedError("role_off", "The site is no share gateway, or not yet", {
    hint:
      "its configuration needs a table [plugins.share-gateway]; `edgeward status` says whether " +
      "the role waits for something",
    cause,
  });
}
