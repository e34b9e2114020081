/** The table `[plugins.share-gateway]`. */
import { z } from "zod";
import { type Id, isId } from "../../core/base/id.ts";
import { duration, filePath } from "../../core/host/config/mod.ts";
import { isTimeZone, parseWindow, type TimeWindow } from "../../core/services/hours.ts";
import type { Rate } from "../../core/services/token_bucket.ts";
import { rate } from "./_rate_text.ts";

const expectedWindow = 'expected a window such as "mon-fri 06:00-22:00"';
const windowHint = 'days are "mon", "mon-fri", "sat,sun" or "daily"; times are 00:00 to 24:00';

const hours = () =>
  z.array(
    z.string({ error: expectedWindow }).transform((text, context): TimeWindow => {
      const window = parseWindow(text);
      if (window !== null) return window;
      const params = { hint: windowHint };
      context.addIssue({ code: "custom", message: expectedWindow, input: text, params });
      return z.NEVER;
    }),
  ).max(32);

/** A table by the identifiers of devices. */
const byDevice = <T extends z.ZodType>(table: T) =>
  z.record(z.string(), table).superRefine((tables, context) => {
    for (const name of Object.keys(tables)) {
      if (isId(name)) continue;
      const params = { hint: "use 1 to 64 letters, digits, hyphens and underscores" };
      const message = "expected the identifier of a device";
      context.addIssue({ code: "custom", path: [name], message, params });
    }
  });

const ofDevice = z.object({
  approval: z.boolean().optional(),
  hours: hours().optional(),
  rate: rate().optional(),
});

const faces = z.object({
  authorize: z.boolean().default(false)
    .describe("Answer POST /authorize, POST /event and GET /status for devices of the prototypes."),
  fragment_token_file: filePath().optional()
    .describe("File with the bearer token of GET /fragment, or env:NAME; with it that is answered.")
    .meta({ example: "/etc/edgeward/fragment.token" }),
  fragment_device: z.string().refine(isId, "expected an identifier").optional()
    .describe("Whose piece GET /fragment gives, where several devices are in the table below.")
    .meta({ example: "kiosk-7" }),
  devices: byDevice(z.object({
    secret_file: filePath().optional(),
    volume: z.string().regex(/^[0-9a-f]{32}$/, "expected a volume's id: 32 hexadecimal digits"),
  })).default({})
    .describe(
      "By device: the file with the secret that it signs with, and the volume (xor or shamir) whose " +
        'piece it gets: { "kiosk-7" = { secret_file = "kiosk-7.secret", volume = "0011…" } }.',
    )
    .meta({
      example: {
        "kiosk-7": {
          secret_file: "/etc/edgeward/kiosk-7.secret",
          volume: "00112233445566778899aabbccddeeff",
        },
      },
    }),
}).superRefine(({ authorize, fragment_token_file, fragment_device, devices }, context) => {
  const refuse = (key: string, message: string, hint: string) =>
    context.addIssue({ code: "custom", path: [key], message, params: { hint } });
  for (const [device, { secret_file }] of Object.entries(devices)) {
    if (authorize && secret_file === undefined && fragment_token_file === undefined) {
      const message = `expected a secret_file for "${device}": it cannot sign without a secret`;
      refuse("devices", message, "name the file that holds the secret which the device has");
    }
  }
  if (fragment_token_file === undefined) return;
  const isNamed = fragment_device === undefined
    ? Object.keys(devices).length === 1
    : Object.hasOwn(devices, fragment_device);
  if (!isNamed) {
    const message = "expected one of the devices below";
    refuse("fragment_device", message, "name the device whose piece GET /fragment gives");
  }
});

export const config = z.object({
  hours: hours().default([])
    .describe(
      'When volumes may be opened, as ["mon-fri 06:00-22:00", "sat 08:00-12:00"]; always, if it is empty.',
    )
    .meta({ example: ["mon-fri 06:00-22:00", "sat 08:00-12:00"] }),
  timezone: z.string().default("UTC")
    .refine(isTimeZone, { error: "expected the name of a time zone", params: zoneHint() })
    .describe("The time zone of hours.")
    .meta({ example: "Europe/Berlin" }),
  approval: z.boolean().default(false)
    .describe("Ask a person at every start of a device before its volume is opened."),
  approval_ttl: duration({ min: "10s", max: "1d" }).prefault("10m")
    .describe(
      "How long a request waits for a person, and how long the person's answer is good for.",
    ),
  rate: rate().prefault("6/m")
    .describe("How often one device may ask, and how often at once."),
  rate_all: rate().prefault("20/s")
    .describe("How often all devices together may ask."),
  on_clone: z.enum(["deny", "alarm"]).default("deny")
    .describe(
      'When a device seems to exist twice: "deny" refuses it until an operator clears it, "alarm" ' +
        "raises the alarm and goes on.",
    ),
  mount_within: duration({ min: "5s", max: "1d" }).prefault("2m")
    .describe(
      "After a release a device reports within this time that it has mounted, or it is an alarm.",
    ),
  max_volumes: z.int().min(1).max(1_000).default(16)
    .describe("Volumes that one device may have here."),
  devices: byDevice(ofDevice).default({})
    .describe(
      'Approval, hours and rate of a device that differ from those above, by device: { "kiosk-7" = ' +
        "{ approval = true } }.",
    )
    .meta({ example: { "kiosk-7": { approval: true, hours: ["daily 06:00-22:00"] } } }),
  seal_key_file: filePath().optional()
    .describe(
      "File of at least 16 bytes, or env:NAME: a second lock on what this gateway keeps secret. It " +
        "may be on a token that is plugged in; without it the role does not start.",
    )
    .meta({ example: "/media/token/share.key" }),
  gateways: z.array(z.object({ code_file: filePath() })).max(32).default([])
    .describe(
      "Other gateways to deal a group with, each with what `edgeward admin enrol gateway ID --json` " +
        'printed there: [{ code_file = "gw-2.json" }]; env:NAME is a code_file, too.',
    )
    .meta({ example: [{ code_file: "/etc/edgeward/gw-2.json" }] }),
  faces: faces.prefault({})
    .describe(
      "Answers for devices of the two prototypes: pieces only, and only over TLS or from this machine.",
    ),
});

export type Config = z.output<typeof config>;
export type FacesConfig = Config["faces"];

/** What counts for one device. */
export interface DeviceRules {
  readonly approval: boolean;
  readonly hours: readonly TimeWindow[];
  readonly rate: Rate;
}

export function rulesOf({ devices, approval, hours, rate }: Config, device: Id): DeviceRules {
  const own = Object.hasOwn(devices, device) ? devices[device]! : {};
  return {
    approval: own.approval ?? approval,
    hours: own.hours ?? hours,
    rate: own.rate ?? rate,
  };
}

/** Root paths that are answered. */
export function facesOf({ faces }: Pick<Config, "faces">): readonly string[] {
  return [
    ...faces.authorize ? ["/authorize", "/event", "/status"] : [],
    ...faces.fragment_token_file === undefined ? [] : ["/fragment"],
  ];
}

function zoneHint() {
  return { hint: 'for example "Europe/Berlin"; `timedatectl list-timezones` lists them' };
}
