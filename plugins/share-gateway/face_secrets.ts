/** What the prototypes' faces go by: secrets of devices and the token, read once when the role starts. */
import { fromHex, utf8 } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import { Secret } from "../../core/base/secret.ts";
import type { Host } from "../../core/host/plugin.ts";
import { readSecret } from "../../core/services/secret_reference.ts";
import { CodedError } from "../../core/base/errors.ts";
import type { FacesConfig } from "./config.ts";

export interface FaceSecrets {
  readonly devices: ReadonlyMap<
    Id,
    { readonly secret: Secret<Uint8Array> | null; readonly volume: Uint8Array }
  >;
  /** In the place of the secret of a device that has none. */
  readonly nobody: Secret<Uint8Array>;
  /** SHA-256 of the token; null when there is no `GET /fragment`. */
  readonly tokenHash: Uint8Array | null;
  readonly fragmentDevice: Id | null;
}

/** Bytes below which a secret can be guessed. */
const weak = 16;

/** @throws CodedError "secret_unreadable" */
export function readFaceSecrets(
  { suite, log }: Pick<Host, "suite" | "log">,
  { devices, fragment_token_file, fragment_device }: FacesConfig,
): FaceSecrets {
  const read = (file: string, of: string): Uint8Array => {
    const bytes = utf8(readSecret(file).reveal());
    if (bytes.length === 0) {
      throw new CodedError("secret_unreadable", `Cannot use the secret of ${of}: it is empty`, {
        hint: "write the secret into the file",
      });
    }
    if (bytes.length < weak) log.warn("a secret is so short that it can be guessed", { of });
    return bytes;
  };
  const names = Object.keys(devices) as Id[];
  const token = fragment_token_file === undefined ? null : read(fragment_token_file, "/fragment");
  return {
    devices: new Map(names.map((name) => {
      const { secret_file: file, volume } = devices[name]!;
      const secret = file === undefined ? null : new Secret(read(file, `device "${name}"`));
      return [name, { secret, volume: fromHex(volume) }];
    })),
    nobody: new Secret(suite.randomBytes(32)),
    tokenHash: token && suite.sha256(token),
    fragmentDevice: token === null ? null : (fragment_device as Id | undefined) ?? names[0]!,
  };
}
