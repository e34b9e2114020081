/** Volumes of devices with fake gateways: sealed, opened or refused, and what is told of it. */
import assert from "node:assert/strict";
import { equalBytes } from "../../core/base/bytes.ts";
import type { UnlockRequest } from "../../core/wire/unlock.ts";
import { collected, type FakeGateway, type FakeGroup, inputOf, suite } from "./_fakes.ts";
import type { DeviceErrorCode } from "./error.ts";
import type { DeviceHome } from "./home.ts";
import { seal } from "./seal.ts";
import { unlock, UnlockFailed, type UnlockReport } from "./unlock.ts";

const payload = Uint8Array.from({ length: 200_000 }, (_, i) => 7 * i + (i >> 8));

/** A volume of `payload`; what the gateways were asked until then is forgotten. */
export async function sealed(group: FakeGroup, home: DeviceHome, options: Partial<Sealing> = {}) {
  const output = group.path(`${home.id}.volume`);
  const { scheme = "voprf", threshold } = options;
  await seal(home, { suite, input: inputOf(payload), output, scheme, threshold });
  for (const { calls } of group.gateways) calls.length = 0;
  return output;
}

type Sealing = Pick<Parameters<typeof seal>[1], "scheme" | "threshold">;

/** Opens it, checks the payload, and tells how it went. */
export async function opened(
  home: DeviceHome,
  file: string,
  options: Partial<Parameters<typeof unlock>[1]> = {},
): Promise<UnlockReport> {
  await using volume = await unlock(home, { suite, file, ...options });
  assert.ok(equalBytes(await collected(volume.chunks()), payload));
  volume.report("MOUNT_OK");
  return await volume.settle();
}

/** What it says when it does not open, by this code. */
export async function failed(
  home: DeviceHome,
  file: string,
  options: Partial<Parameters<typeof unlock>[1]> & { code: DeviceErrorCode },
): Promise<UnlockFailed> {
  try {
    await opened(home, file, options);
  } catch (error) {
    assert.ok(error instanceof UnlockFailed, String(error));
    assert.equal(error.code, options.code);
    assert.equal(error.report.opened, false);
    return error;
  }
  assert.fail("It opened");
}

/** `gw-1 good`, or what is said of those who are not. */
export function told({ gateways }: Pick<UnlockReport, "gateways">): string[] {
  return gateways.map(({ id, outcome, why }) =>
    `${id} ${outcome}${why === null ? "" : `: ${why}`}`
  );
}

export function requests({ calls }: FakeGateway): UnlockRequest[] {
  return calls.flatMap((call) => call.call === "unlock" ? [call] : []);
}
