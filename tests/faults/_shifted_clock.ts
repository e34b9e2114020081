/** Makes the clock of a process wrong, before its program begins: by SHIFT_CLOCK milliseconds. */

const shift = Number(Deno.env.get("SHIFT_CLOCK"));
const RealDate = Date;

globalThis.Date = class extends RealDate {
  constructor(...parts: [] | [number]) {
    super(...(parts.length > 0 ? parts : [RealDate.now() + shift]) as [number]);
  }

  static override now(): number {
    return RealDate.now() + shift;
  }
} as DateConstructor;
