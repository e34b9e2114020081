/**
 * The site's master key for sealing, which has versions: the newest seals, and every one that is
 * still kept opens. A version is on disk before it seals anything, and off it before it is forgotten.
 */
import type { Secret } from "../base/secret.ts";

/** @property version 1 to 255, as sealed values name it */
export interface KeyVersion {
  readonly version: number;
  /** 32 bytes. */
  readonly key: Secret<Uint8Array>;
}

export class SealingKey {
  readonly #save: (versions: readonly KeyVersion[]) => void;
  #versions: readonly KeyVersion[];

  /**
   * @param versions at least one, the oldest first
   * @param save puts these in the place of those on disk, or throws and leaves the disk as it is
   */
  constructor(
    versions: readonly KeyVersion[],
    save: (versions: readonly KeyVersion[]) => void,
  ) {
    this.#versions = versions;
    this.#save = save;
  }

  get newest(): KeyVersion {
    return this.#versions.at(-1)!;
  }

  /** Every version kept, the oldest first: more than one only until a rotation has ended. */
  get versions(): readonly number[] {
    return this.#versions.map(({ version }) => version);
  }

  find(version: number): KeyVersion | undefined {
    return this.#versions.find((one) => one.version === version);
  }

  /** Seals with this key from now on. @throws what saving throws, and then nothing has changed */
  add(key: Secret<Uint8Array>): KeyVersion {
    // the number of a version that was forgotten long ago is free again
    const added = { version: this.newest.version % 255 + 1, key };
    if (this.find(added.version) !== undefined) {
      throw new Error("Cannot add a version: none was ever forgotten");
    }
    this.#replace([...this.#versions, added]);
    return added;
  }

  /** What an older version has sealed cannot be opened ever again. @throws what saving throws */
  forgetBefore({ version }: KeyVersion): void {
    const kept = this.#versions.findIndex((one) => one.version === version);
    const forgotten = this.#versions.slice(0, kept);
    if (kept <= 0) return;
    this.#replace(this.#versions.slice(kept));
    for (const { key } of forgotten) key.wipe();
  }

  #replace(versions: readonly KeyVersion[]): void {
    this.#save(versions);
    this.#versions = versions;
  }
}
