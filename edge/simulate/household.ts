/**
 * Reads the format of "Individual household electric power consumption" (UCI Machine Learning
 * Repository, CC BY 4.0): a header line, then one line a minute, fields separated by semicolons,
 * `dd/mm/yyyy` and `H:MM:SS`, kilowatts and volts as decimals, `?` or nothing where a value is missing.
 *
 * Copies of it in the wild differ, and all of these are read: a field, some fields or whole lines in
 * quotes; a decimal comma; more columns, in any order; CRLF; a byte order mark.
 */
import { CodedError } from "../../core/base/errors.ts";

/** One minute. Rows keep the numbers that they have in the file, so missing values stay as nulls. */
export interface HouseholdRow {
  /** Local time of the household, `yyyy-mm-ddThh:mm`. */
  readonly date_time: string;
  readonly power_W: number | null;
  readonly voltage_mV: number | null;
}

export class HouseholdError extends CodedError<"household_malformed"> {
  override readonly name = "HouseholdError";
}

/** Twice what the original holds: 2,075,259 rows of almost four years. */
const maxRows = 4_000_000;
const maxLineLength = 4_096;

const columns = ["Date", "Time", "Global_active_power", "Voltage"] as const;

/** @throws HouseholdError with the number of the line */
export function parseHousehold(text: string): HouseholdRow[] {
  // blank lines at the end are none, and the end of a line is trimmed with its last field
  const [header = "", ...lines] = text.trimEnd().split("\n", maxRows + 2);
  const places = placesIn(fieldsOf(header, 1));
  if (lines.length === 0) {
    throw malformed(1, "no row follows it", "after the header comes one line a minute");
  }
  if (lines.length > maxRows) {
    throw malformed(
      lines.length + 1,
      `more than ${maxRows} rows`,
      "cut the file into smaller ones",
    );
  }
  return lines.map((line, i) => rowOf(fieldsOf(line, i + 2), places, i + 2));
}

/** Quotes only decorate here: no field of this format holds a semicolon or a quote. */
function fieldsOf(content: string, line: number): string[] {
  if (content.length > maxLineLength) {
    throw malformed(line, `longer than ${maxLineLength} characters`, "is this a text file?");
  }
  return (content.includes('"') ? content.replaceAll('"', "") : content).split(";");
}

/** Where the columns are that we need. */
function placesIn(header: readonly string[]): number[] {
  const names = header.map((name) => name.trim()); // which a byte order mark does not survive
  return columns.map((column) => {
    const place = names.indexOf(column);
    if (place >= 0) return place;
    throw malformed(
      1,
      `there is no column ${column}`,
      `the first line names the columns, separated by semicolons: ${columns.join(";")}`,
    );
  });
}

function rowOf(fields: readonly string[], places: readonly number[], line: number): HouseholdRow {
  const [date, time, power, voltage] = places.map((place) => fields[place]?.trim());
  if (date === undefined || time === undefined || power === undefined || voltage === undefined) {
    throw malformed(line, "it has fewer fields than the header", "is the file cut off here?");
  }
  const voltage_mV = thousandths(voltage, line);
  if (voltage_mV !== null && voltage_mV < 0) throw noNumber(voltage, line);
  return { date_time: dateTime(date, time, line), power_W: thousandths(power, line), voltage_mV };
}

function dateTime(date: string, time: string, line: number): string {
  const [, day = "", month = "", year = ""] = /^(\d\d?)\/(\d\d?)\/(\d{4})$/.exec(date) ?? [];
  const [, hour = "", minute] = /^([01]?\d|2[0-3]):([0-5]\d):[0-5]\d$/.exec(time) ?? [];
  const exists = Number(day) >= 1 && Number(month) >= 1 && Number(month) <= 12 &&
    // day 0 of the next month is the last of this one
    Number(day) <= new Date(Date.UTC(Number(year), Number(month), 0)).getUTCDate();
  if (exists && minute !== undefined) {
    return `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}T` +
      `${hour.padStart(2, "0")}:${minute}`;
  }
  throw malformed(
    line,
    `${shown(`${date} ${time}`)} is no date and time`,
    "dates are written 31/12/2007, times 23:59:00",
  );
}

/** Decimal text times 1000, rounded half up; null where the value is missing. */
function thousandths(text: string, line: number): number | null {
  if (text === "" || text === "?") return null;
  // nine digits before the point stay exact, and within what a reading can bear
  const parts = /^([+-]?)(?=[.,]?\d)(\d{0,9})(?:[.,](\d*))?$/.exec(text);
  if (parts === null) throw noNumber(text, line);
  const [, sign, whole = "", fraction = ""] = parts;
  const kept = Number(whole + fraction.slice(0, 3).padEnd(3, "0"));
  const rest = fraction.slice(3).replace(/0+$/, "");
  if (sign !== "-") return rest >= "5" ? kept + 1 : kept;
  return 0 - (rest > "5" ? kept + 1 : kept);
}

function noNumber(text: string, line: number): HouseholdError {
  return malformed(
    line,
    `${shown(text)} is not a number of the expected kind`,
    'decimals are written 0.326, a missing value is "?" or nothing',
  );
}

function shown(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

function malformed(line: number, what: string, hint: string): HouseholdError {
  return new HouseholdError(
    "household_malformed",
    `Cannot read the household file: line ${line}: ${what}`,
    { hint },
  );
}
