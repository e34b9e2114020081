/** The data directory: whether it is there, who may look into it, and whether there is room. */
import { constants } from "node:fs";
import { access, stat, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { socketPath } from "../data_dir.ts";
import type { Finding } from "../plugin.ts";
import { amountText } from "../shown.ts";
import type { Patient } from "./_probe.ts";

/** Bytes below which a site cannot be expected to go on, and below which it will soon not. */
const tooFull = 16e6;
const nearlyFull = 256e6;

/** Of the address of a unix socket (sun_path less the NUL at its end), in bytes. */
const longestSocket = 107;

export async function* dataDir({ config }: Patient): AsyncIterable<Finding> {
  const { data_dir } = config;
  const excess = new TextEncoder().encode(socketPath(data_dir)).length - longestSocket;
  if (excess > 0) {
    yield {
      state: "failed",
      what: `its path is ${excess} bytes too long for the site's socket`,
      hint: "set data_dir to a folder with a shorter path",
    };
  }
  const isThere = await exists(data_dir);
  const folder = isThere ? data_dir : await nearestAncestor(data_dir);
  const info = await stat(folder);
  if (!info.isDirectory()) {
    yield { state: "failed", what: `${folder} is no folder`, hint: "set data_dir to a folder" };
    return;
  }
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const room = `${amountText(free)} free`;
  if (!await mayWrite(folder)) {
    yield {
      state: "failed",
      what: `this user may not write to ${folder}`,
      hint: "ask as the user that runs the site, or give the folder to that user",
    };
  } else if (!isThere) {
    yield { state: "ok", what: `${data_dir} is made by the first start, ${room}` };
  } else if ((info.mode & 0o077) !== 0) {
    yield {
      state: "degraded",
      what: `${data_dir}, mode ${modeText(info.mode)}: other users may look into it, ${room}`,
      hint: `chmod 700 ${data_dir}`,
    };
  } else yield { state: "ok", what: `${data_dir}, mode ${modeText(info.mode)}, ${room}` };
  if (free < nearlyFull) {
    yield {
      state: free < tooFull ? "failed" : "degraded",
      what: `only ${room}`,
      hint: "make room on the disk, or move the folder to a larger one",
    };
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return false;
    throw error;
  }
}

async function nearestAncestor(path: string): Promise<string> {
  let folder = dirname(path);
  while (!await exists(folder)) folder = dirname(folder);
  return folder;
}

async function mayWrite(folder: string): Promise<boolean> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function modeText(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
