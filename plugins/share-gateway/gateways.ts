/**
 * The other gateways that this one may call: those that have enrolled it. Their codes are read anew for
 * each ceremony, so that a file may come while the site runs; a channel stays as long as its code does.
 */
import { toHex } from "../../core/base/bytes.ts";
import { messageOf } from "../../core/base/errors.ts";
import type { Id } from "../../core/base/id.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { readSecret } from "../../core/services/secret_reference.ts";
import type { Channel } from "../../core/services/sessions/mod.ts";
import { type Enrolment, enrolmentFromJson } from "../../core/wire/enrolment.ts";

export interface Gateway {
  readonly id: Id;
  /** From its code: nobody else can answer. */
  readonly noiseKey: Uint8Array;
  readonly channel: Channel;
}

/** What of the configuration is of no use, and why. */
export interface Unusable {
  readonly file: string;
  readonly why: string;
}

/** Of the role's table. */
export interface GatewaysConfig {
  readonly gateways: readonly { readonly code_file: string }[];
}

export interface Gateways {
  /** In the order of the configuration. */
  read(): { readonly gateways: readonly Gateway[]; readonly unusable: readonly Unusable[] };
}

export function gatewaysOf(
  { site, sessions }: Pick<Host & Services, "site" | "sessions">,
  config: GatewaysConfig,
): Gateways {
  const open = new Map<string, Channel>();

  /** A new code, or another address, makes another channel. */
  function channelTo(enrolment: Enrolment): Channel {
    const { site, url, noiseKey, code } = enrolment;
    const name = [site, url, toHex(noiseKey), toHex(code)].join(" ");
    const channel = open.get(name) ?? sessions.dial(enrolment, "share");
    open.set(name, channel);
    return channel;
  }

  return {
    read() {
      const gateways = new Map<Id, Gateway>();
      const unusable: Unusable[] = [];
      for (const { code_file: file } of config.gateways) {
        try {
          const enrolment = enrolmentFromJson(readSecret(file).reveal());
          const { site: id, noiseKey } = enrolment;
          if (id === site) throw new Error("it is a code of this site itself");
          if (gateways.has(id)) throw new Error(`a second code of "${id}"`);
          gateways.set(id, { id, noiseKey, channel: channelTo(enrolment) });
        } catch (error) {
          unusable.push({ file, why: messageOf(error) });
        }
      }
      return { gateways: [...gateways.values()], unusable };
    },
  };
}
