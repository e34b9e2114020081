/**
 * Devices that come without a code: what they know of their site is its address, or its key too. What a
 * real one would show on its display is a line on standard error here.
 */
import { type Command, InvalidArgumentError, Option } from "commander";
import { fromBase64url } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import { type Id, parseId } from "../../core/base/id.ts";
import { brokerAddress } from "../../core/host/broker_access.ts";
import type { SiteConfig } from "../../core/host/config/mod.ts";
import type { Remote } from "../../core/services/sessions/mod.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { fingerprint } from "../../core/trust/fingerprint.ts";
import { fingerprintText } from "../../core/wire/peer.ts";

export interface StrangerOptions {
  readonly withoutCode?: true;
  readonly url?: string;
  readonly siteKey?: Uint8Array;
  readonly site?: Id;
}

export function strangerOptions(command: Command): Command {
  return command
    .option("--without-code", "make first contact and wait for approval, instead of enrolling")
    .addOption(
      new Option("--url <url>", "… at this address (default: the broker of the configuration)")
        .argParser(address),
    )
    .addOption(
      new Option("--site-key <key>", "… knowing the noise_key of the site").argParser(noiseKey),
    )
    .addOption(
      new Option("--site <id>", "… and its name (default: that of the configuration)")
        .argParser(parseId),
    );
}

/**
 * What the strangers know of their site.
 * @param load gives the configuration, which is read only for what the options leave out
 * @throws CodedError "usage"; ConfigError
 */
export async function siteOfStrangers(
  { withoutCode, url, siteKey, site }: StrangerOptions,
  load: () => Promise<SiteConfig>,
): Promise<Remote> {
  if (!withoutCode) {
    throw new CodedError(
      "usage",
      "Cannot use --url, --site-key and --site for devices with a code",
      {
        hint: "add --without-code: a code comes with address and key",
      },
    );
  }
  const known = { url: url ?? brokerOf(await load()) };
  if (siteKey === undefined) return { ...known, site: "" };
  return { ...known, site: site ?? parseId((await load()).site), noiseKey: siteKey };
}

/** What people compare for a device that knows its site's key and so shows no words. */
export function shownFingerprint(noiseKey: Uint8Array): string {
  return fingerprintText(fingerprint(nativeSuite(), "X25519", noiseKey));
}

/** Where devices find the broker of a site. @throws CodedError "usage" */
export function brokerOf({ mqtt }: SiteConfig): string {
  if (mqtt.url !== "embedded") return brokerAddress(mqtt.url, mqtt);
  const { hostname, port } = mqtt.listen;
  const host = hostname === "0.0.0.0" ? "127.0.0.1" : hostname;
  if (port !== 0) return brokerAddress(`mqtt://${host}:${port}`, mqtt);
  throw new CodedError("usage", "Cannot find the site: its broker listens on any free port", {
    hint: "name its address with --url, or with --broker",
  });
}

function address(text: string): string {
  if (URL.canParse(text) && /^(https?|mqtts?|wss?):\/\//.test(text)) return text;
  throw new InvalidArgumentError("expected an address such as mqtt://127.0.0.1:1883.");
}

function noiseKey(text: string): Uint8Array {
  try {
    const key = fromBase64url(text);
    if (key.length === 32) return key;
  } catch { /* said below */ }
  throw new InvalidArgumentError("expected the noise_key that `edgeward admin enrol` prints.");
}
