/** QR codes in characters, read back module by module. */
import assert from "node:assert/strict";
import { encode } from "uqr";
import { qrCode } from "./qr_code.ts";

const texts = ["", "x", '{"code":"MRWqMNg83Im7dmXoccVzxw","site":"fog-1"}', "ü".repeat(200)];

Deno.test("qrCode() shows every module of the code, and a margin of four around it", () => {
  for (const text of texts) {
    const { data, size } = encode(text, { ecc: "L", border: 0 });
    for (const colours of [false, true]) {
      const { lines, width } = qrCode(text, { colours });
      const dark = modulesIn(lines);
      assert.equal(width, size + 8);
      for (let y = -4; y < size + 4; y++) {
        for (let x = -4; x < size + 4; x++) {
          assert.equal(dark[y + 4]![x + 4], data[y]?.[x] ?? false, `${text}: ${x}, ${y}`);
        }
      }
    }
  }
});

Deno.test("qrCode() names both of its colours, and none when there should be none", () => {
  const coloured = qrCode("x", { colours: true }).lines;
  for (const line of coloured.slice(0, -1)) {
    // deno-lint-ignore no-control-regex
    assert.match(line, /^\x1b\[38;5;231;48;5;16m[ ▀▄█]+\x1b\[0m$/);
  }
  for (const line of qrCode("x", { colours: false }).lines) assert.match(line, /^[ ▀▄█]+$/);
});

/** Whether each module is dark, of lines in which blocks are light. */
function modulesIn(lines: readonly string[]): boolean[][] {
  return lines.flatMap((line) => {
    const characters = [...line.replace(/[^ ▀▄█]/g, "")];
    return ["▄ ", "▀ "].map((dark) => characters.map((character) => dark.includes(character)));
  });
}
