/**
 * One answer on its way out: evaluated or fetched, written down with its entry in the log, and worth
 * nothing to anybody before that is on disk.
 */
import { toHex } from "../../core/base/bytes.ts";
import type { Host } from "../../core/host/plugin.ts";
import type { AuditEntry } from "../../core/services/audit.ts";
import type { Queries } from "../../core/services/db/mod.ts";
import type { Answer } from "../../core/trust/share/scheme.ts";
import { volumeInput } from "../../core/trust/share/voprf.ts";
import { type Boot, requestName, type UnlockRequest } from "../../core/wire/unlock.ts";
import { approver } from "./approvals.ts";
import type { Keyshare } from "./group.ts";
import type { Pieces } from "./pieces.ts";
import { recordAll, type Release as ReleaseFacts, type ReleaseRecord } from "./releases.ts";
import { addVolume, type Caller } from "./store.ts";
import type { Tidings } from "./tidings.ts";

/** A request for an answer. */
export interface Ask {
  readonly caller: Caller;
  readonly request: UnlockRequest;
  /** What names the release, where the caller knows of no starts. */
  readonly mark?: Boot;
  /** Whether the device has no way to report what became of it. */
  readonly isMute?: boolean;
  /** Runs first in the transaction: takes what makes a request work once, or throws. */
  readonly claim?: (tx: Queries) => Promise<void>;
}

type Needs = Pick<Host, "audit" | "clock" | "evaluation" | "suite">;

interface Parts {
  readonly pieces: Pieces;
  readonly tidings: Tidings;
}

export class Release {
  readonly id: string;
  readonly #host: Needs;
  readonly #parts: Parts;
  readonly #asked: Ask;
  #answer: Answer | null = null;

  constructor(host: Needs, parts: Parts, asked: Ask) {
    this.#host = host;
    this.#parts = parts;
    this.#asked = asked;
    const { caller: { device }, request: { volume, boot } } = asked;
    this.id = requestName(host.suite, { device, volume, boot });
  }

  get answer(): Answer {
    return this.#answer!;
  }

  /** Evaluates. @param keyshare what was decided by: a later decision by another one is a no */
  async prepare(keyshare: Keyshare | null): Promise<void> {
    const { scheme, volume, proof } = this.#asked.request;
    if (scheme !== "voprf" || keyshare === null) return;
    this.#answer = await this.#host.evaluation.evaluate({
      ...{ proof, publicShare: keyshare.publicShare, share: keyshare.share.reveal() },
      input: volumeInput(this.#asked.caller.device, volume),
    });
  }

  /**
   * Puts it down, and has the answer then. Returns what to tell once that is on disk.
   * @param options.due when a report of it is due; null when none is awaited
   */
  async write(
    tx: Queries,
    { known, due, isApproved }: { known: boolean; due: number | null; isApproved: boolean },
  ): Promise<() => void> {
    const { audit, clock } = this.#host;
    const { caller: { device }, request: { volume, scheme, seal, boot } } = this.#asked;
    if (scheme !== "voprf") {
      const piece = await this.#parts.pieces.find(tx, { device, volume });
      if (piece === null) throw new Error("Cannot release a piece: it is not among the secrets");
      this.#answer = { answer: piece, proof: null };
    } else if (!known) {
      const row = { scheme, k: null, n: null, index: null, sealing: seal ? boot.id : null };
      await addVolume(tx, { device, volume }, { ...row, at: clock() });
    }
    const by = isApproved ? await approver(tx, { device, volume, boot }) : null;
    const { release, entry } = this.line(due, by);
    // one behind the other, without waiting for the first
    await Promise.all([recordAll(tx, [release]), audit.append(tx, entry)]);
    return () => this.tell();
  }

  /** What it leaves behind. @param by who has approved it */
  line(
    due: number | null,
    by: string | null = null,
  ): { release: ReleaseRecord; entry: AuditEntry } {
    const release = { ...this.#release, at: this.#host.clock(), due };
    const { device, volume, boot, scheme, epoch, seal } = release;
    const { proof } = this.#asked.request;
    return {
      release,
      entry: {
        ...{ type: "unlock.released", actor: device, subject: device },
        detail: {
          ...{ volume: toHex(volume), scheme, epoch, seal, proof, ...bootDetail(boot) },
          ...(by !== null && { approved_by: by }),
        },
      },
    };
  }

  /** Once it is on disk. */
  tell(): void {
    this.#parts.tidings.released(this.#release);
  }

  get #release(): ReleaseFacts {
    const { caller: { device }, request, mark: boot = request.boot } = this.#asked;
    const { volume, scheme, epoch, seal } = request;
    return { device, volume, boot, scheme, epoch, seal };
  }

  wipe(): void {
    this.#answer?.answer.fill(0);
    this.#answer = null;
  }
}

/** A start as entries of the log have it. */
export function bootDetail({ counter, id }: Boot): { boot: number; boot_id: string } {
  return { boot: counter, boot_id: toHex(id) };
}
