/**
 * What a log asks a witness over HTTP (C2SP tlog-witness): to cosign a checkpoint, and what it has
 * cosigned. Nothing that it answers is believed without a signature, however long the answer is.
 */
import { toBase64, toHex, utf8 } from "../../base/bytes.ts";
import { CodedError, messageOf } from "../../base/errors.ts";
import { parseCheckpoint } from "../../trust/log/checkpoint.ts";
import { verifyCosignature } from "../../trust/log/cosignature.ts";
import type { Hash } from "../../trust/log/merkle.ts";
import {
  NoteError,
  type NoteKey,
  type NoteSignature,
  parseNote,
  parseSignatures,
  signatureOf,
  verifyText,
} from "../../trust/log/note.ts";
import type { Suite } from "../../trust/crypto.ts";

/** A witness as this site knows it. */
export interface RemoteWitness {
  /** Its submission prefix. */
  readonly url: string;
  readonly key: NoteKey;
}

export type Answered =
  | { readonly kind: "cosigned"; readonly signature: NoteSignature }
  /** It has cosigned another size than the one the proof begins with. */
  | { readonly kind: "size"; readonly size: number }
  /** The checkpoint contradicts what it has cosigned. */
  | { readonly kind: "refused" };

export interface Asking {
  readonly suite: Suite;
  readonly signal: AbortSignal;
}

export class WitnessError extends CodedError<"witness_unreachable" | "witness_wrong"> {
  override readonly name = "WitnessError";
}

/** Bytes of an answer, and milliseconds for one. */
const maxAnswer = 64 * 1024;
const patience = 10_000;

/** @throws WitnessError */
export async function submit(
  { url, key }: RemoteWitness,
  { old, proof, checkpoint, suite, signal }: Asking & {
    readonly old: number;
    readonly proof: readonly Hash[];
    /** The note, signed by the log. */
    readonly checkpoint: string;
  },
): Promise<Answered> {
  const lines = [`old ${old}`, ...proof.map(toBase64)];
  const body = `${lines.join("\n")}\n\n${checkpoint}`;
  const { status, type, text } = await ask(
    `${url}/add-checkpoint`,
    { method: "POST", body },
    signal,
  );
  if (status === 409 && type === "text/x.tlog.size" && /^(0|[1-9]\d{0,15})\n$/.test(text)) {
    return { kind: "size", size: Number(text) };
  }
  if (status === 422) return { kind: "refused" };
  if (status !== 200) throw wrong(`it answers with status ${status}`);
  try {
    const note = { ...parseNote(checkpoint), signatures: parseSignatures(text) };
    verifyCosignature(suite, note, key);
    return { kind: "cosigned", signature: signatureOf(note, key)! };
  } catch (error) {
    if (error instanceof NoteError) throw wrong(error.message, error);
    throw error;
  }
}

/**
 * The newest checkpoint of this site's log that a witness has cosigned, looking through generations
 * from `from` on; null when it has none. Its signature is the log's own: a witness cannot make one up.
 * @throws WitnessError
 */
export async function newestAt(
  { url }: RemoteWitness,
  { keyOf, from, suite, signal }: Asking & {
    readonly keyOf: (generation: number) => NoteKey;
    readonly from: number;
  },
): Promise<string | null> {
  let newest: string | null = null;
  for (let generation = from; generation < from + maxGenerations; generation++) {
    const key = keyOf(generation);
    const path = `${toHex(suite.sha256(utf8(key.name)))}/checkpoint`;
    const { status, text } = await ask(`${url}/${path}`, {}, signal);
    if (status === 404) return newest;
    if (status !== 200) throw wrong(`it answers with status ${status}`);
    try {
      const note = parseNote(text);
      verifyText(suite, note, key);
      if (parseCheckpoint(note.text).origin !== key.name) throw wrong("it serves another log");
    } catch (error) {
      if (error instanceof NoteError) throw wrong(error.message, error);
      throw error;
    }
    newest = text;
  }
  return newest;
}

/** Generations that are looked for at a time. */
const maxGenerations = 100;

/** @throws WitnessError "witness_unreachable" */
async function ask(
  url: string,
  init: RequestInit,
  signal: AbortSignal,
): Promise<{ status: number; type: string | null; text: string }> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  try {
    const response = await fetch(url, {
      ...init,
      client,
      redirect: "error",
      signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]),
    });
    const type = response.headers.get("content-type");
    return { status: response.status, type, text: await textOf(response) };
  } catch (error) {
    if (error instanceof WitnessError) throw error;
    throw new WitnessError("witness_unreachable", messageOf(error), { cause: error });
  }
}

/** @throws WitnessError "witness_wrong" when there is too much of it */
async function textOf({ body }: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "", length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > maxAnswer) throw wrong("its answer is too long");
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function wrong(why: string, cause?: unknown): WitnessError {
  return new WitnessError("witness_wrong", `Cannot use what it answers: ${why}`, { cause });
}
