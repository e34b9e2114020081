/**
 * Random numbers that are looked up instead of drawn one after the other: the same keys give the same
 * number, in any order, without state. It is splitmix32 (Steele, Lea, Flood 2014, cut down to 32 bits,
 * with the multipliers of Wellons' "hash prospector"), each key stirred into the state in turn. For
 * simulating households, not for secrets.
 */

/** A number in [0, 1) for these keys, which count modulo 2³². */
export function draw(...keys: readonly number[]): number {
  let state = 0;
  for (const key of keys) state = mix((state ^ key) + 0x9e3779b9);
  return state / 2 ** 32;
}

function mix(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad);
  h = Math.imul(h ^ (h >>> 15), 0x735a2d97);
  return (h ^ (h >>> 15)) >>> 0;
}
