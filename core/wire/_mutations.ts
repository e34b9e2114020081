/**
 * Bytes that are almost right, for the tests of parsers: cut, flipped, stretched and crossed samples,
 * and plain noise. All of it follows from the seed.
 */

/** Bytes that mean something to CBOR, to JSON or to a length. */
const telling = [
  ...[0x00, 0x01, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1f, 0x20, 0x3b, 0x40, 0x58, 0x5f, 0x60, 0x78],
  ...[0x7f, 0x80, 0x9b, 0x9f, 0xa0, 0xbb, 0xbf, 0xc0, 0xd2, 0xf4, 0xf6, 0xf7, 0xf9, 0xfb, 0xff],
  ...Array.from('{}[]",:\\-0e.', (character) => character.charCodeAt(0)),
];

/** So many inputs. @param samples at least one, none of them empty */
export function* mutationsOf(
  samples: readonly Uint8Array[],
  options: { seed: number; count: number },
): Generator<Uint8Array> {
  const below = seeded(options.seed);
  const pick = () => samples[below(samples.length)]!;
  for (let n = 0; n < options.count; n++) {
    const kind = below(16);
    if (kind === 0) {
      yield noise(below, below(201));
      continue;
    }
    let bytes = mutated(pick(), below, pick);
    // most parsers look at what comes first: two changes get further than one
    if (kind < 6) bytes = mutated(bytes, below, pick);
    yield bytes;
  }
}

function mutated(
  sample: Uint8Array,
  below: (limit: number) => number,
  pick: () => Uint8Array,
): Uint8Array {
  const at = below(sample.length + 1);
  const length = 1 + below(8);
  switch (below(8)) {
    case 0: // cut
      return sample.slice(0, at);
    case 1: // stretched
      return spliced(sample, sample.length, 0, noise(below, length));
    case 2: // something inserted
      return spliced(sample, at, 0, noise(below, length));
    case 3: // something left out
      return spliced(sample, at, length, new Uint8Array(0));
    case 4: { // crossed with another
      const other = pick();
      return spliced(sample, at, sample.length, other.subarray(below(other.length + 1)));
    }
    case 5: { // a part repeated
      return spliced(sample, at, 0, sample.subarray(at, at + length));
    }
    case 6: { // one bit
      const bytes = sample.slice();
      if (bytes.length > 0) bytes[at % bytes.length]! ^= 1 << below(8);
      return bytes;
    }
    default: { // one byte
      const bytes = sample.slice();
      if (bytes.length > 0) bytes[at % bytes.length] = telling[below(telling.length)]!;
      return bytes;
    }
  }
}

function spliced(
  bytes: Uint8Array,
  at: number,
  remove: number,
  insert: Uint8Array,
): Uint8Array {
  const rest = bytes.subarray(at + remove);
  const joined = new Uint8Array(at + insert.length + rest.length);
  joined.set(bytes.subarray(0, at));
  joined.set(insert, at);
  joined.set(rest, at + insert.length);
  return joined;
}

function noise(below: (limit: number) => number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = below(256);
  return bytes;
}

/** Whole numbers from 0 up to a limit (mulberry32). */
function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return Math.floor(((t ^ t >>> 14) >>> 0) / 2 ** 32 * limit);
  };
}
