/**
 * Hours of the week in which something may be, or may not: windows such as "mon-fri 06:00-22:00", by the
 * wall clock of a time zone. A window that ends before it begins goes over midnight and belongs to the day on which it
 * begins. The wall clock decides when clocks change, too: what is skipped is missing from a window, what
 * comes twice is in it twice.
 */

const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;
const minutesOfDay = 24 * 60;

/** A window of the week. */
export interface TimeWindow {
  /** On which days it begins, Monday first. */
  readonly days: readonly boolean[];
  /** Minutes after midnight; the end is at most 24:00 and not in it. */
  readonly start: number;
  readonly end: number;
}

/** What a clock on the wall shows. */
export interface WallTime {
  /** 0 is Monday. */
  readonly day: number;
  /** After midnight. */
  readonly minute: number;
}

const form = /^([a-z,-]+) +(\d\d):(\d\d)-(\d\d):(\d\d)$/;

/** Reads a window; null when the text is none. */
export function parseWindow(text: string): TimeWindow | null {
  const [, names, ...digits] = form.exec(text.trim().toLowerCase()) ?? [];
  if (names === undefined) return null;
  const on = daysIn(names);
  const [startHour, startMinute, endHour, endMinute] = digits.map(Number) as [
    ...[number, number, number, number],
  ];
  const start = startHour * 60 + startMinute;
  const end = endHour * 60 + endMinute;
  const isTime = startMinute < 60 && endMinute < 60 && start < minutesOfDay && end <= minutesOfDay;
  return on === null || !isTime || start === end ? null : { days: on, start, end };
}

/** `mon`, `mon,wed`, `fri-mon`, `daily`. */
function daysIn(names: string): boolean[] | null {
  const on = days.map(() => names === "daily");
  if (names === "daily") return on;
  for (const part of names.split(",")) {
    const [first, last = first, more] = part.split("-").map((name) =>
      days.findIndex((day) => day === name)
    ) as [number, number?, number?];
    if (first < 0 || last < 0 || more !== undefined) return null;
    for (let day = first;; day = (day + 1) % days.length) {
      on[day] = true;
      if (day === last) break;
    }
  }
  return on;
}

/** Whether the moment is in one of the windows. Without windows every moment is. */
export function isOpen(windows: readonly TimeWindow[], { day, minute }: WallTime): boolean {
  const before = (day + days.length - 1) % days.length;
  return windows.length === 0 ||
    windows.some(({ days, start, end }) =>
      start < end
        ? days[day]! && start <= minute && minute < end
        : days[day]! && start <= minute || days[before]! && minute < end
    );
}

/** Whether the runtime knows the time zone: "Europe/Vienna", "UTC". */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** A wall clock in a time zone, for Unix milliseconds. Preparing one is dear. */
export function wallClock(timeZone: string): (t: number) => WallTime {
  const format = new Intl.DateTimeFormat("en-US", {
    ...{ timeZone, weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" },
  });
  return (t) => {
    const parts = new Map(format.formatToParts(t).map(({ type, value }) => [type, value]));
    const day = days.findIndex((name) => name === parts.get("weekday")!.toLowerCase());
    return { day, minute: Number(parts.get("hour")) * 60 + Number(parts.get("minute")) };
  };
}
