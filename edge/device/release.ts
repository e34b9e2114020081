/**
 * What an open volume is good for: its payload into a file or to standard output, or a command that gets
 * its key. Not a byte of either is released before all of the volume has been read and found whole: a
 * file appears under its name at the end, a pipe and a command get theirs after a first pass.
 */
import { toHex } from "../../core/base/bytes.ts";
import { DeviceError } from "./error.ts";
import { PendingFile } from "./pending_file.ts";
import type { OpenVolume } from "./unlock.ts";
import type { Progress } from "./volume_file.ts";

export const keyFormats = ["raw", "hex"] as const;
export type KeyFormat = typeof keyFormats[number];

/** What takes bytes: standard output. */
export interface Output {
  write(bytes: Uint8Array): Promise<number>;
}

/** @throws VolumeError and there is no file; DeviceError */
export async function releaseToFile(
  volume: OpenVolume,
  { path, onProgress }: { path: string; onProgress?: Progress | undefined },
): Promise<void> {
  await using file = await PendingFile.create(path, { mode: 0o600 });
  let bytes = 0;
  for await (const chunk of volume.chunks()) {
    await file.write(chunk);
    onProgress?.(bytes += chunk.length);
  }
  await file.commit();
}

/** @throws VolumeError before anything was written; DeviceError when nobody takes it all */
export async function releaseToOutput(
  volume: OpenVolume,
  { output, onProgress }: { output: Output; onProgress?: Progress | undefined },
): Promise<void> {
  await volume.verify(onProgress);
  for await (const chunk of volume.chunks()) {
    for (let at = 0; at < chunk.length;) {
      at += await output.write(chunk.subarray(at)).catch((cause) => {
        throw new DeviceError("volume_unwritable", "Cannot write all of the payload", {
          hint: "whatever reads the output has ended before it",
          cause,
        });
      });
    }
  }
}

/**
 * Runs a command by the shell, with the volume's key on its standard input: 32 bytes, or 64 digits and
 * a newline.
 * @param options.aside its output goes to standard error, as ours is a result
 * @throws VolumeError before it has begun; DeviceError "command_failed"
 */
export async function runWithKey(
  volume: OpenVolume,
  { command, format, aside = false, onProgress }: {
    command: string;
    format: KeyFormat;
    aside?: boolean;
    onProgress?: Progress | undefined;
  },
): Promise<void> {
  await volume.verify(onProgress);
  const child = new Deno.Command("sh", {
    args: ["-c", aside ? `exec 1>&2\n${command}` : command],
    stdin: "piped",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  const [, status] = await Promise.all([give(child.stdin, { volume, format }), child.status]);
  if (status.success) return;
  const how = status.signal === null
    ? `ended with ${status.code}`
    : `was ended by ${status.signal}`;
  throw new DeviceError("command_failed", `The volume is open, but the command ${how}`, {
    hint: "the key was on its standard input; see what it printed",
  });
}

async function give(
  stdin: WritableStream<Uint8Array>,
  { volume, format }: { volume: OpenVolume; format: KeyFormat },
): Promise<void> {
  const key = volume.mountKey();
  const bytes = format === "raw"
    ? key.reveal().slice()
    : new TextEncoder().encode(`${toHex(key.reveal())}\n`);
  key.wipe();
  const writer = stdin.getWriter();
  try {
    await writer.write(bytes);
    await writer.close();
  } catch {
    // it has ended, or it has closed its input: whether that was right, its status says
  } finally {
    bytes.fill(0);
  }
}
