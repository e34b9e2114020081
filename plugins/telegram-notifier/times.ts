/** Times as people see them in messages, in their own time zone. */

/** `14:32`, and with the day before it where that is not the one of `now`. Both are Unix milliseconds. */
export type Times = (t: number, now: number) => string;

/** @param timezone one that the runtime knows */
export function timesIn(timezone: string): Times {
  const time = {
    timeZone: timezone,
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  } as const;
  const short = new Intl.DateTimeFormat("en-GB", time);
  const day = new Intl.DateTimeFormat("en-GB", {
    ...{ timeZone: timezone, day: "numeric", month: "short" },
  });
  return (t, now) => {
    const [then, today] = [day.format(t), day.format(now)];
    return then === today ? short.format(t) : `${then} ${short.format(t)}`;
  };
}
