/** What a sensor is told before it is switched on for the first time, and knows from then on. */
import { toBase64url } from "../../core/base/bytes.ts";
import type { Remote } from "../../core/services/sessions/mod.ts";
import type { BrokerAccess } from "./sensor_connection.ts";
import type { Flash } from "./sensor_flash.ts";
import { SensorError } from "./sensor_link.ts";

export type SensorProfile = "v1" | "v2";

export interface Introduction {
  /** "v2" unless said. */
  readonly profile?: SensorProfile;
  readonly broker?: Partial<BrokerAccess>;
  /** Of v2: an enrolment, or as much of one as it knows. Without a code it waits for approval. */
  readonly site?: Omit<Remote, "url">;
  /** Of v1: the 16 bytes that an admin has entered for it. */
  readonly psk?: Uint8Array;
}

/**
 * Writes into an empty flash what is said; of one that is not empty it only gives what is there, unless
 * the broker has moved. @throws SensorError "usage"
 */
export function introduce(
  flash: Flash,
  { profile: wanted, broker, site, psk }: Introduction,
): { readonly profile: SensorProfile; readonly url: string } {
  const { profile: known, broker: place } = flash.state;
  const profile = wanted ?? known ?? "v2";
  const url = broker?.url ?? place;
  if (known !== null && known !== profile) {
    throw new SensorError("usage", `Cannot play "${flash.id}" by ${profile}: it speaks ${known}`, {
      hint: `leave the profile out, or make new devices in another directory`,
    });
  }
  if (url === null) {
    throw new SensorError("usage", `Cannot play "${flash.id}": its broker is not known`, {
      hint: "name the address of its broker",
    });
  }
  if (known === null) {
    flash.write({
      ...{ profile, broker: url },
      psk: psk === undefined ? null : toBase64url(psk),
      site: site === undefined ? null : {
        site: site.site,
        noise_key: site.noiseKey === undefined ? null : toBase64url(site.noiseKey),
        code: site.code === undefined ? null : toBase64url(site.code),
      },
    });
  }
  return { profile, url };
}
