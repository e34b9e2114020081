/**
 * A file that appears whole or not at all: it is written beside its place, synced, and renamed over it.
 * After a crash its place holds what it held before; what was begun is taken away at the next attempt.
 */
import { dirname } from "node:path";
import { messageOf } from "../../core/base/errors.ts";
import { DeviceError } from "./error.ts";

export class PendingFile implements AsyncDisposable {
  readonly path: string;
  /** Where it is until it is committed. */
  readonly temporary: string;
  readonly #file: Deno.FsFile;
  #isOpen = true;
  #isCommitted = false;

  private constructor(path: string, { temporary, file }: { temporary: string; file: Deno.FsFile }) {
    this.path = path;
    this.temporary = temporary;
    this.#file = file;
  }

  /** @throws DeviceError "usage" when there can be no such file */
  static async create(path: string, { mode }: { mode: number }): Promise<PendingFile> {
    const temporary = `${path}.new`;
    try {
      await requireReplaceable(path);
      await Deno.remove(temporary).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
      const file = await Deno.open(temporary, { write: true, createNew: true, mode });
      return new PendingFile(path, { temporary, file });
    } catch (error) {
      if (error instanceof DeviceError) throw error;
      throw new DeviceError("usage", `Cannot write "${path}": ${messageOf(error)}`, {
        hint: "name a file in a directory that exists and that this user may write",
        cause: error,
      });
    }
  }

  /** @throws DeviceError "volume_unwritable" */
  async write(bytes: Uint8Array): Promise<void> {
    await this.#trying(async () => {
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
    });
  }

  /** Waits until all of it is on the disk. @throws DeviceError "volume_unwritable" */
  async sync(): Promise<void> {
    await this.#trying(() => this.#file.sync());
  }

  /** Puts it into its place. @throws DeviceError "volume_unwritable" */
  async commit(): Promise<void> {
    await this.sync();
    this.#close();
    await this.#trying(async () => {
      await Deno.rename(this.temporary, this.path);
      this.#isCommitted = true;
      using directory = await Deno.open(dirname(this.path));
      await directory.sync();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#close();
    if (!this.#isCommitted) await Deno.remove(this.temporary).catch(() => {});
  }

  #close(): void {
    if (this.#isOpen) this.#file.close();
    this.#isOpen = false;
  }

  async #trying(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (cause) {
      throw new DeviceError(
        "volume_unwritable",
        `Cannot write "${this.path}": ${messageOf(cause)}`,
        {
          hint: "is there room on the disk?",
          cause,
        },
      );
    }
  }
}

/** A device, a pipe or a folder is not to be replaced by a file. */
async function requireReplaceable(path: string): Promise<void> {
  try {
    if ((await Deno.stat(path)).isFile) return;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new DeviceError("usage", `Cannot write "${path}": something else than a file is there`, {
    hint: "name a file",
  });
}
