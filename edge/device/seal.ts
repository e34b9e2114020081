/**
 * Making a volume. The gateways give what its key is made from, or take their pieces of it; then the
 * payload is sealed beside its place, opened once from what the disk holds, and only then put into its
 * place. Until then nothing has changed but that gateways know of a volume that may never be.
 */
import { toHex } from "../../core/base/bytes.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import { keyEncryptionKey } from "../../core/trust/share/kek.ts";
import { splitSecret } from "../../core/trust/share/pieces.ts";
import type { Scheme } from "../../core/trust/share/scheme.ts";
import type { Boot, PieceScheme } from "../../core/wire/unlock.ts";
import {
  encodeVolumeHead,
  payloadKey,
  type PieceHeader,
  unwrapFileKey,
  verifyVolumeHead,
  type VolumeHeader,
  type VoprfHeader,
  wrapFileKey,
} from "../../core/wire/volume.ts";
import { agreedRoster } from "./agreed_roster.ts";
import { depositPieces } from "./deposit.ts";
import { DeviceError } from "./error.ts";
import { GatewayLink, type GatewayOutcome, type LinkOptions } from "./gateway_link.ts";
import type { DeviceHome } from "./home.ts";
import { PendingFile } from "./pending_file.ts";
import { Quorum } from "./quorum.ts";
import { type Input, type Progress, VolumeFile, writeVolume } from "./volume_file.ts";

export interface SealOptions extends LinkOptions {
  readonly input: Input;
  /** Where the volume goes. */
  readonly output: string;
  readonly scheme: Scheme;
  /** How many gateways open it: of `shamir` more than half unless said, else what the scheme says. */
  readonly threshold?: number | undefined;
  /** Milliseconds for the gateways: 30,000 unless said. */
  readonly deadline?: number;
  readonly onProgress?: Progress;
}

export interface Sealed {
  /** In hexadecimal. */
  readonly volume: string;
  readonly scheme: Scheme;
  readonly k: number;
  readonly n: number;
  /** Bytes of the payload. */
  readonly size: number;
  readonly gateways: readonly GatewayOutcome[];
}

/** What the gateways have given: the volume's secret, and what its header says of it. */
interface Spread {
  readonly result: Uint8Array;
  readonly gateways: readonly GatewayOutcome[];
  readonly of:
    | Pick<VoprfHeader, "scheme" | "roster">
    | Pick<PieceHeader, "scheme" | "k" | "pieces">;
}

/** @throws DeviceError, GatewaysError */
export async function seal(home: DeviceHome, options: SealOptions): Promise<Sealed> {
  const { suite, scheme, output } = options;
  await using file = await PendingFile.create(output, { mode: 0o644 });
  const volume = suite.randomBytes(16);
  const { result, gateways, of } = await spread(home, { ...options, volume });
  const kek = keyEncryptionKey(suite, { result, deviceSecret: home.secret.reveal(), volume });
  result.fill(0);
  const fileKey = suite.randomBytes(32);
  const header: VolumeHeader = {
    ...{ ...of, volume, salt: suite.randomBytes(32) },
    wrapped: wrapFileKey(suite, { kek, volume, fileKey }),
  };
  const key = payloadKey(suite, { fileKey, salt: header.salt });
  const head = encodeVolumeHead(suite, { header, fileKey });
  fileKey.fill(0);
  try {
    const size = await writeVolume(file, { ...options, head, key });
    await file.sync();
    await requireOpens(suite, { path: file.temporary, kek, size });
    await file.commit();
    const { k, n } = header.scheme === "voprf"
      ? header.roster
      : { k: header.k, n: header.pieces.length };
    return { volume: toHex(volume), scheme, k, n, size, gateways };
  } finally {
    key.fill(0);
    kek.fill(0);
  }
}

async function spread(
  home: DeviceHome,
  options: SealOptions & { volume: Uint8Array },
): Promise<Spread> {
  const { deadline = 30_000, scheme } = options;
  requireGateways(home, scheme === "voprf" ? 1 : 2);
  const started = performance.now();
  using _lock = await home.lock(deadline);
  const boot = home.begin({ volume: null, goesOn: true });
  const within = deadline - (performance.now() - started);
  if (scheme === "voprf") return await evaluated(home, { ...options, boot, within });
  return await deposited(home, { ...options, scheme, boot, within });
}

type Asking = SealOptions & { volume: Uint8Array; boot: Boot; within: number };

async function evaluated(home: DeviceHome, options: Asking): Promise<Spread> {
  const { suite, volume, boot, within, threshold } = options;
  const started = performance.now();
  await using links = linksOf(home, options);
  const roster = await agreedRoster(home, { suite, links: links.all, within });
  if (threshold !== undefined && threshold !== roster.k) {
    throw new DeviceError("usage", `Cannot seal for ${threshold} gateways: it takes ${roster.k}`, {
      hint: "with voprf the group says how many; leave --threshold out, or use --scheme shamir",
    });
  }
  const question = { volume, boot, seal: true, of: roster };
  const deadline = within - (performance.now() - started);
  await using quorum = new Quorum(home, { ...options, question, deadline });
  const result = await quorum.result();
  const newest = quorum.roster!;
  home.keepRoster(newest);
  const gateways = await quorum.settle();
  return { result, gateways, of: { scheme: "voprf", roster: newest } };
}

async function deposited(
  home: DeviceHome,
  options: Asking & { scheme: PieceScheme },
): Promise<Spread> {
  const { suite, scheme, volume, boot, within } = options;
  await using links = linksOf(home, options);
  const n = links.all.length;
  const k = options.threshold ?? (scheme === "xor" ? n : Math.floor(n / 2) + 1);
  if (k < 2 || k > n || scheme === "xor" && k !== n) {
    throw new DeviceError("usage", `Cannot seal for ${k} of ${n} gateways by ${scheme}`, {
      hint: scheme === "xor" ? "xor takes all of them" : `--threshold is a number from 2 to ${n}`,
    });
  }
  const { secret, pieces, commitments } = await splitSecret(suite, { scheme, k, n });
  try {
    const deposit = { scheme, volume, k, boot, pieces, within };
    const gateways = await depositPieces(links.all, deposit);
    const kept = links.all.map(({ id }, i) => ({ gateway: id, commitment: commitments[i]! }));
    return { result: secret, gateways, of: { scheme, k, pieces: kept } };
  } finally {
    for (const piece of pieces) piece.fill(0);
  }
}

/** @throws DeviceError "usage" */
function requireGateways(home: DeviceHome, least: number): void {
  const { size } = home.gateways();
  if (size >= least) return;
  const there = size === 0 ? "at no gateway" : "at one gateway only";
  throw new DeviceError("usage", `Cannot seal: the device is enrolled ${there}`, {
    hint: "at each gateway: `edgeward admin enrol device ID --json`; here: `edgeward device enrol`",
  });
}

/** Sessions with all gateways that the device is enrolled at. */
function linksOf(home: DeviceHome, options: LinkOptions) {
  const enrolments = [...home.gateways().values()];
  const all = enrolments.map((enrolment) => new GatewayLink(home, { ...options, enrolment }));
  return {
    all,
    async [Symbol.asyncDispose]() {
      await Promise.all(all.map((link) => link[Symbol.asyncDispose]()));
    },
  };
}

/** Reads it back from the disk, as it will be read. @throws VolumeError, DeviceError */
async function requireOpens(
  suite: Suite,
  { path, kek, size }: { path: string; kek: Uint8Array; size: number },
): Promise<void> {
  using file = await VolumeFile.open(path);
  const fileKey = unwrapFileKey(suite, { kek, header: file.head.header });
  if (fileKey === null) throw notWritten(path);
  verifyVolumeHead(suite, { head: file.head, fileKey });
  const key = payloadKey(suite, { fileKey, salt: file.head.header.salt });
  fileKey.fill(0);
  let opened = 0;
  for await (const chunk of file.chunks(suite, key)) opened += chunk.length;
  key.fill(0);
  if (opened !== size) throw notWritten(path);
}

function notWritten(path: string): DeviceError {
  return new DeviceError(
    "volume_unwritable",
    `Cannot seal: "${path}" does not hold what was sealed`,
    {
      hint: "is the disk sound?",
    },
  );
}
