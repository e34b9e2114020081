/**
 * Opening a volume: all its gateways are asked at once, and k good answers with the device's own secret
 * give its key. Before anything else is done the key must unwrap, and the header must be as it was
 * sealed. Nothing of the payload is released here: `verify` reads all of it first.
 *
 * The start of the device is on the disk before the first gateway hears of it. What happened is told to
 * every gateway in signed reports, which nothing waits for but `settle`.
 */
import { toHex } from "../../core/base/bytes.ts";
import { CodedError } from "../../core/base/errors.ts";
import { Secret } from "../../core/base/secret.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { keyEncryptionKey } from "../../core/trust/share/kek.ts";
import type { Scheme } from "../../core/trust/share/scheme.ts";
import type { BootEventName } from "../../core/wire/boot_event.ts";
import type { Boot } from "../../core/wire/unlock.ts";
import {
  mountKey,
  payloadKey,
  unwrapFileKey,
  verifyVolumeHead,
  type VolumeHead,
  type VolumeHeader,
} from "../../core/wire/volume.ts";
import { DeviceError, GatewaysError } from "./error.ts";
import type { GatewayOutcome, LinkOptions } from "./gateway_link.ts";
import type { DeviceHome } from "./home.ts";
import { Quorum } from "./quorum.ts";
import { type Progress, VolumeFile } from "./volume_file.ts";

export interface UnlockOptions extends LinkOptions {
  /** The volume: a regular file. */
  readonly file: string;
  /** Milliseconds for the gateways, all together: 10,000 unless said. */
  readonly deadline?: number;
  /** It goes on with the latest start, which a person may have approved by now. */
  readonly sameBoot?: boolean;
}

/** How it went, for people and programs. */
export interface UnlockReport {
  /** In hexadecimal. */
  readonly volume: string;
  readonly scheme: Scheme;
  readonly opened: boolean;
  readonly gateways: readonly GatewayOutcome[];
  readonly boot: { readonly counter: number; readonly id: string };
}

/** It did not open, and this is what was tried. */
export class UnlockFailed extends GatewaysError {
  readonly report: UnlockReport;

  constructor(cause: DeviceError, report: UnlockReport) {
    const { hint = "look at the gateways", message, code } = cause;
    super(code, message, { hint, gateways: report.gateways });
    this.report = report;
  }
}

/** @throws UnlockFailed; DeviceError; VolumeError when the file is no volume, or is cut short */
export async function unlock(home: DeviceHome, options: UnlockOptions): Promise<OpenVolume> {
  const { suite, deadline = 10_000, sameBoot: goesOn = false } = options;
  const started = performance.now();
  await using stack = new AsyncDisposableStack();
  const file = stack.use(await VolumeFile.open(options.file));
  const { header } = file.head;
  using _lock = await home.lock(deadline);
  const boot = home.begin({ volume: header.volume, goesOn });
  const question = { volume: header.volume, boot, seal: false, of: gatewaysOf(header, home) };
  const left = deadline - (performance.now() - started);
  const quorum = stack.use(new Quorum(home, { ...options, question, deadline: left }));
  const about = (gateways: readonly GatewayOutcome[], opened: boolean): UnlockReport => ({
    ...{ volume: toHex(header.volume), scheme: header.scheme, opened, gateways },
    boot: { counter: boot.counter, id: toHex(boot.id) },
  });
  quorum.report("BOOT_LOCKED");
  try {
    const result = await quorum.result();
    const fileKey = openHead(suite, { head: file.head, result, secret: home.secret });
    quorum.report("AUTH_OK");
    if (quorum.roster !== null) home.keepRoster(quorum.roster);
    const resources = stack.move();
    return new OpenVolume({ ...{ suite, file, boot, quorum, fileKey, about, resources } });
  } catch (error) {
    if (error instanceof GatewaysError) throw new UnlockFailed(error, about(error.gateways, false));
    if (!(error instanceof CodedError)) throw error;
    quorum.report("MOUNT_FAIL");
    throw new UnlockFailed(foreign(error), about(await quorum.settle(), false));
  }
}

/** A volume whose key is there. */
export class OpenVolume implements AsyncDisposable {
  readonly header: VolumeHeader;
  readonly boot: Boot;
  /** Bytes of the payload. */
  readonly size: number;
  readonly #suite: Suite;
  readonly #file: VolumeFile;
  readonly #quorum: Quorum;
  readonly #fileKey: Secret<Uint8Array>;
  readonly #about: (gateways: readonly GatewayOutcome[], opened: boolean) => UnlockReport;
  readonly #resources: AsyncDisposable;

  constructor(opened: {
    suite: Suite;
    file: VolumeFile;
    boot: Boot;
    quorum: Quorum;
    fileKey: Secret<Uint8Array>;
    about: (gateways: readonly GatewayOutcome[], opened: boolean) => UnlockReport;
    resources: AsyncDisposable;
  }) {
    this.header = opened.file.head.header;
    this.boot = opened.boot;
    this.size = opened.file.size;
    this.#suite = opened.suite;
    this.#file = opened.file;
    this.#quorum = opened.quorum;
    this.#fileKey = opened.fileKey;
    this.#about = opened.about;
    this.#resources = opened.resources;
  }

  /** 32 bytes for whatever else the volume guards; wipe them when they have been used. */
  mountKey(): Secret<Uint8Array> {
    const { volume } = this.header;
    return new Secret(mountKey(this.#suite, { fileKey: this.#fileKey.reveal(), volume }));
  }

  /** The payload from its beginning; whether it is whole shows at its end. @throws VolumeError */
  async *chunks(): AsyncGenerator<Uint8Array> {
    const { salt } = this.header;
    const key = payloadKey(this.#suite, { fileKey: this.#fileKey.reveal(), salt });
    try {
      yield* this.#file.chunks(this.#suite, key);
    } finally {
      key.fill(0);
    }
  }

  /** Reads all of it, and throws when it is not as it was sealed. @throws VolumeError */
  async verify(onProgress?: Progress): Promise<void> {
    let bytes = 0;
    for await (const chunk of this.chunks()) {
      onProgress?.(bytes += chunk.length);
      chunk.fill(0);
    }
  }

  /** Tells every gateway what has become of it, and does not wait for them. */
  report(event: Extract<BootEventName, "MOUNT_OK" | "MOUNT_FAIL">): void {
    this.#quorum.report(event);
  }

  /**
   * What each gateway did, once reports have had a moment to arrive. All sessions end.
   * @param opened whether the payload was as it was sealed
   */
  async settle({ opened = true } = {}): Promise<UnlockReport> {
    return this.#about(await this.#quorum.settle(), opened);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#fileKey.wipe();
    await this.#resources[Symbol.asyncDispose]();
  }
}

/** The roster that the device holds goes before the one in the header, which nobody vouches for yet. */
function gatewaysOf(header: VolumeHeader, home: DeviceHome) {
  if (header.scheme !== "voprf") return header;
  return home.roster(header.roster.commitments[0]!) ?? header.roster;
}

/** The file key, once it unwraps and the header verifies. @throws VolumeError, DeviceError */
function openHead(
  suite: Suite,
  { head, result, secret }: { head: VolumeHead; result: Uint8Array; secret: Secret<Uint8Array> },
): Secret<Uint8Array> {
  const { header } = head;
  const { volume } = header;
  const kek = keyEncryptionKey(suite, { result, deviceSecret: secret.reveal(), volume });
  result.fill(0);
  const fileKey = unwrapFileKey(suite, { kek, header });
  kek.fill(0);
  if (fileKey === null) {
    throw new DeviceError("volume_foreign", "Cannot open the volume: its key does not unwrap", {
      hint: "it was sealed by another device or for another group, or its header was altered",
    });
  }
  verifyVolumeHead(suite, { head, fileKey });
  return new Secret(fileKey);
}

function foreign(error: CodedError): DeviceError {
  if (error instanceof DeviceError) return error;
  return new DeviceError("volume_foreign", error.message, {
    hint: error.hint ?? "restore the volume from a backup",
    cause: error,
  });
}
