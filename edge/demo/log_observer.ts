/**
 * Looks at the cloud's log as an outsider does who knows the keys of the sites and nothing else, over
 * HTTP. It remembers the first checkpoint that it saw: at the end the log must have grown out of that,
 * be whole and cosigned, and prove what the cloud says of a window.
 */
import { equalBytes } from "../../core/base/bytes.ts";
import { CodedError, messageOf } from "../../core/base/errors.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import { pause } from "../../core/services/pause.ts";
import { splitOrigin } from "../../core/services/tlog/mod.ts";
import { parseProof } from "../../core/trust/log/proof_file.ts";
import { decodeLogEntry } from "../../core/wire/log_entry.ts";
import type { Found } from "../audit/finding.ts";
import { httpSource } from "../audit/http_source.ts";
import { verifyProof } from "../audit/proof.ts";
import { cosignaturesOn, openCheckpoint, type Trust } from "../audit/signatures.ts";
import { type LogSource, maxCheckpoint, textOf } from "../audit/source.ts";
import { verifyLog } from "../audit/verify.ts";
import { type DemoSystem, urlOf } from "./system.ts";

export interface LogVerdict {
  /** Entries of the log, as far as they were checked. */
  readonly size: number;
  /** Whether everything held that was checked. */
  readonly checkpoint_verified: boolean;
  /** Whose cosignatures are on the checkpoint. */
  readonly witnesses: number;
}

/** A window that the cloud has of a fog. */
export interface NamedWindow {
  readonly fog: string;
  readonly start: number;
}

/** How often to look for what is not there yet, in milliseconds. */
const interval = 200;
/** Bytes of a statement or proof at the most. */
const maxFile = 1024 * 1024;

const suite = nativeSuite();

export class LogObserver implements Disposable {
  readonly #log: LogSource;
  readonly #windows: LogSource;
  readonly #trust: Trust;
  readonly #first: string;
  readonly #patience: number;

  private constructor(parts: {
    readonly log: LogSource;
    readonly windows: LogSource;
    readonly trust: Trust;
    readonly first: string;
    readonly patience: number;
  }) {
    this.#log = parts.log;
    this.#windows = parts.windows;
    this.#trust = parts.trust;
    this.#first = parts.first;
    this.#patience = parts.patience;
  }

  /**
   * Begins with the first checkpoint, which may have to be waited for.
   * @param options.patience milliseconds for whatever has to be waited for
   * @throws CodedError
   */
  static async open(
    { cloud, keys }: Pick<DemoSystem, "cloud" | "keys">,
    { patience = 30_000 }: { patience?: number } = {},
  ): Promise<LogObserver> {
    const url = urlOf(cloud);
    using stack = new DisposableStack();
    const log = stack.use(httpSource(`${url}/log`));
    const windows = stack.use(httpSource(`${url}/cloud-summary`));
    const bytes = await eventually(() => log.read("checkpoint", maxCheckpoint), patience);
    if (bytes === null) {
      throw new CodedError("log_incomplete", "Cannot watch the log: it has no checkpoint");
    }
    const first = textOf(bytes, "checkpoint");
    const { generation } = splitOrigin(openCheckpoint(first, "checkpoint").origin);
    const { witnesses } = keys;
    const trust = { key: keys.log(generation), witnesses, quorum: witnesses.length };
    stack.move();
    return new LogObserver({ log, windows, trust, first, patience });
  }

  /**
   * Checks everything, the proof of a window included if one is named. What does not hold is given
   * beside the verdict.
   */
  async verify(window: NamedWindow | null): Promise<{ log: LogVerdict; trouble: Error | null }> {
    const facts: { size?: number; witnesses?: readonly { time: string | null }[] } = {};
    const found: Found = (check) => void Object.assign(facts, check.facts);
    let trouble: Error | null = null;
    try {
      await eventually(() => this.#log.read("witnessed", maxCheckpoint), this.#patience);
      const earlier = [{ note: this.#first, path: "the first checkpoint" }];
      if (window !== null) {
        earlier.push({ note: await this.#verifyWindow(window), path: "the proof's checkpoint" });
      }
      for (const since of earlier) {
        await verifyLog({
          ...{ suite, source: this.#log, trust: this.#trust, withEntries: true, since, found },
          ...{ copy: null, progress: () => {} },
        });
      }
    } catch (error) {
      trouble = new CodedError(
        "log_unverified",
        `The log of the cloud does not verify: ${messageOf(error)}`,
        {
          hint: "this is a fault of edgeward: please report it with the lines above",
          cause: error,
        },
      );
    }
    const { size = 0, witnesses = [] } = facts;
    const cosigned = witnesses.filter(({ time }) => time !== null).length;
    return { log: { size, checkpoint_verified: trouble === null, witnesses: cosigned }, trouble };
  }

  /** Checks what the cloud says of a window. Gives the checkpoint under which it is proved. */
  async #verifyWindow({ fog, start }: NamedWindow): Promise<string> {
    const query = new URLSearchParams({ fog, window: String(start) });
    let last: { text: string; statement: Uint8Array } | null = null;
    // until the witnesses have cosigned it, and no revision has come between the two answers
    await eventually(async () => {
      const proof = await this.#windows.read(`proof?${query}`, maxFile);
      const statement = await this.#windows.read(`statement?${query}`, maxFile);
      if (proof === null || statement === null) return null;
      last = { text: textOf(proof, "the proof"), statement };
      return this.#isComplete(last) ? last : null;
    }, this.#patience);
    if (last === null) {
      throw new CodedError("log_incomplete", "Cannot find a proof of the last window");
    }
    const { text, statement } = last as { text: string; statement: Uint8Array };
    verifyProof({
      ...{ suite, text, path: "the proof", trust: this.#trust, found: () => {} },
      given: { bytes: statement, path: "the summary" },
    });
    return parseProof(text).checkpoint;
  }

  #isComplete({ text, statement }: { text: string; statement: Uint8Array }): boolean {
    const { checkpoint, extra } = parseProof(text);
    const signed = openCheckpoint(checkpoint, "the proof");
    const cosignatures = cosignaturesOn(suite, signed, { trust: this.#trust, path: "the proof" });
    const named = extra === undefined ? null : decodeLogEntry(extra).statement;
    return cosignatures.every(({ time }) => time !== null) && named !== null &&
      equalBytes(named, suite.sha256(statement));
  }

  [Symbol.dispose](): void {
    this.#log[Symbol.dispose]();
    this.#windows[Symbol.dispose]();
  }
}

/** Asks until there is an answer, and then gives it; null when there is none in time. */
async function eventually<T>(
  ask: () => Promise<T | null>,
  patience: number,
): Promise<T | null> {
  for (const deadline = AbortSignal.timeout(patience);;) {
    const answer = await ask();
    if (answer !== null || deadline.aborted) return answer;
    await pause(interval, deadline);
  }
}
