/** Finds the file of vectors that a check needs: ours beside this one, published ones in shared/. */
import { readFileSync } from "node:fs";
import { missing, readVectors } from "./_read.ts";
import type { Check } from "./checks.ts";

/** Whether a check must be skipped here, because its vectors are not part of the project. */
export function lacksVectors({ file }: Check): boolean {
  return missing && isPublished(file);
}

export function vectorsOf({ file }: Check): unknown {
  if (file === null) return null;
  if (isPublished(file)) return readVectors(file);
  return JSON.parse(readFileSync(new URL(file, import.meta.url), "utf8"));
}

function isPublished(file: string | null): boolean {
  return file !== null && file.includes("/");
}
