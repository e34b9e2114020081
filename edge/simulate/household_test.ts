/** The household format as the original and its copies have it, and what is refused. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { HouseholdError, type HouseholdRow, parseHousehold } from "./household.ts";

const header = "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity";

Deno.test("parseHousehold() reads the original", () => {
  const text = `${header};Sub_metering_1\n` +
    "16/12/2006;17:24:00;4.216;0.418;234.840;18.400;0.000\n" +
    "21/12/2006;11:23:00;?;?;?;?;\n" +
    "1/1/2007;0:05:00;0.080;0.418;241;18.400;0.000\n";
  assert.deepEqual(parseHousehold(text), [
    { date_time: "2006-12-16T17:24", power_W: 4216, voltage_mV: 234_840 },
    { date_time: "2006-12-21T11:23", power_W: null, voltage_mV: null },
    { date_time: "2007-01-01T00:05", power_W: 80, voltage_mV: 241_000 },
  ]);
});

Deno.test("parseHousehold() reads every dress that the same rows come in", () => {
  const plain = `${header}\n01/02/2007;00:00:00;0.326;0.128;243.15;1.4\n` +
    "01/02/2007;00:01:00;;0.13;?;1.4";
  const expected = [
    { date_time: "2007-02-01T00:00", power_W: 326, voltage_mV: 243_150 },
    { date_time: "2007-02-01T00:01", power_W: null, voltage_mV: null },
  ];
  const lines = plain.split("\n");
  const dresses = {
    plain,
    "a last line end": plain + "\n",
    "blank lines at the end": plain + "\r\n\r\n",
    CRLF: lines.join("\r\n"),
    "a byte order mark": "\ufeff" + plain,
    "quoted fields": plain.replaceAll(/[^;\n]+/g, '"$&"'),
    "a byte order mark before quotes": "\ufeff" + plain.replaceAll(/[^;\n]+/g, '"$&"'),
    "mixed quotes": plain.replace("0.326", '"0.326"').replace("Time", '"Time"'),
    "quoted lines": lines.map((line) => `"${line}"`).join("\n"),
    "decimal commas": lines.map((line) => line.replaceAll(".", ",")).join("\n"),
    "spaces around fields": plain.replaceAll(";", " ; "),
    "more columns": lines.map((line) => `x;${line};y`).join("\n"),
    "another order": lines.map((line) => line.split(";").reverse().join(";")).join("\n"),
  };
  for (const [dress, text] of Object.entries(dresses)) {
    assert.deepEqual(parseHousehold(text), expected, dress);
  }
});

Deno.test("parseHousehold() turns decimals into integers, rounding halves up", () => {
  const cases: [string, number][] = [
    ["0", 0],
    ["0.326", 326],
    ["4.35", 4350], // 4.35 * 1000 is 4349.999… in floating point
    [".5", 500],
    ["7.", 7000],
    ["+1.0", 1000],
    ["1.0004", 1000],
    ["1.0005", 1001],
    ["1.00049999", 1000],
    ["9.9995", 10_000],
    ["-0.326", -326],
    ["-1.0005", -1000],
    ["-1.00050001", -1001],
    ["-0.0001", 0],
    ["999999999.999", 999_999_999_999],
  ];
  for (const [decimal, power_W] of cases) assert.equal(row({ power: decimal }).power_W, power_W);
});

Deno.test("parseHousehold() gives back any number of thousandths", () => {
  fc.assert(fc.property(fc.nat({ max: 12_000_000 }), fc.constantFrom(".", ","), (n, point) => {
    const decimal = `${Math.floor(n / 1000)}${point}${String(n % 1000).padStart(3, "0")}`;
    const { power_W, voltage_mV } = row({ power: decimal, voltage: decimal });
    assert.deepEqual([power_W, voltage_mV], [n, n]);
  }));
});

Deno.test("parseHousehold() names the line that it cannot read", () => {
  const good = "01/02/2007;00:00:00;0.326;0.128;243.15;1.4";
  const cases: [string, RegExp][] = [
    ["", /line 1: there is no column Date/],
    [header, /line 1: no row follows it/],
    [`${header}\r\n\r\n`, /line 1: no row follows it/],
    [good, /line 1: there is no column Date/],
    ["Date,Time,Global_active_power,Voltage\n", /line 1: there is no column Date/],
    ["Date;Time;Voltage\n", /line 1: there is no column Global_active_power/],
    [`${header}\n${good}\n01/02/2007;00:00:00;0.3`, /line 3: it has fewer fields/],
    [`${header}\n\n${good}`, /line 2: it has fewer fields/],
    [`${header}\n${"1".repeat(5000)}`, /line 2: longer than 4096/],
    ...["x", "1e3", "1.2.3", "-", ".", "0x10", "1 000", "NaN", "1".repeat(10)].map((
      bad,
    ): [string, RegExp] => [
      `${header}\n${good.replace("0.326", bad)}`,
      /line 2: ".*" is not a num/,
    ]),
    [`${header}\n${good.replace("243.15", "-1")}`, /line 2: "-1" is not a number/],
    ...["31/04/2007", "29/02/2007", "0/1/2007", "1/13/2007", "1/0/2007", "2007-02-01", "1/2/07"]
      .map((
        bad,
      ): [string, RegExp] => [
        `${header}\n${good.replace("01/02/2007", bad)}`,
        /line 2: ".*" is no date/,
      ]),
    ...["24:00:00", "0:60:00", "00:00", "00:00:61", "noon"].map((
      bad,
    ): [string, RegExp] => [
      `${header}\n${good.replace("00:00:00", bad)}`,
      /line 2: ".*" is no date/,
    ]),
  ];
  for (const [text, message] of cases) {
    assert.throws(() => parseHousehold(text), (error) => {
      assert.ok(error instanceof HouseholdError);
      assert.equal(error.code, "household_malformed");
      assert.match(error.message, message);
      assert.ok(error.hint);
      return true;
    });
  }
});

Deno.test("parseHousehold() knows leap days", () => {
  assert.equal(row({ date: "29/02/2008" }).date_time, "2008-02-29T00:00");
});

Deno.test("parseHousehold() throws nothing but HouseholdError", () => {
  const piece = fc.constantFrom(
    '"',
    ";",
    "\n",
    "\r\n",
    "?",
    "1/2/2007",
    "0:00:00",
    "0.1",
    header,
    "é",
  );
  fc.assert(fc.property(fc.array(piece), (pieces) => {
    try {
      parseHousehold(`${header}\n${pieces.join("")}`);
    } catch (error) {
      assert.ok(error instanceof HouseholdError);
    }
  }));
});

Deno.test("parseHousehold() refuses more rows than four million", () => {
  const text = `${header}${"\n;".repeat(5_000_000)}`;
  assert.throws(() => parseHousehold(text), /line 4000002: more than 4000000 rows/);
});

const real = new URL("../../../shared/data/household_power_2007-02-01_02.txt", import.meta.url);

Deno.test({
  name: "parseHousehold() reads two real days (skipped where ../shared/data is missing)",
  ignore: Deno.env.get("CI") !== "true" && !exists(new URL(".", real)),
  fn() {
    const rows = parseHousehold(Deno.readTextFileSync(real));
    assert.equal(rows.length, 2_880);
    assert.deepEqual(rows[0], { date_time: "2007-02-01T00:00", power_W: 326, voltage_mV: 243_150 });
    assert.deepEqual(rows[2_879], {
      date_time: "2007-02-02T23:59",
      power_W: 3_680,
      voltage_mV: 240_370,
    });
    rows.forEach(({ date_time, power_W, voltage_mV }, i) => {
      const minute = new Date(Date.UTC(2007, 1, 1, 0, i)).toISOString().slice(0, 16);
      assert.equal(date_time, minute);
      assert.ok(power_W !== null && power_W > 0 && power_W < 12_000);
      assert.ok(voltage_mV !== null && voltage_mV > 220_000 && voltage_mV < 260_000);
    });
  },
});

function row(
  { date = "01/02/2007", power = "0.326", voltage = "243.150" },
): HouseholdRow {
  const [only] = parseHousehold(`${header}\n${date};00:00:00;${power};0;${voltage};0`);
  return only!;
}

function exists(url: URL): boolean {
  try {
    return Deno.statSync(url).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
