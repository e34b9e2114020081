/**
 * Topic names and topic filters (MQTT 3.1.1 §4.7). Names are checked before they are sent, because
 * brokers answer a bad one by closing the connection for everything else that runs over it.
 */

/** Whether a message may be published to the name. Control characters are legal, yet brokers close on them. */
export function isTopic(text: string): boolean {
  // deno-lint-ignore no-control-regex -- control characters are what is looked for
  return text.length > 0 && text.length <= 1024 && !/[#+\u0000-\u001f\u007f-\u009f]/.test(text);
}

/** Whether the text is a topic filter: `+` for one whole level, `#` for the rest at the end. */
export function isFilter(text: string): boolean {
  const levels = text.split("/");
  return levels.every((level, i) =>
    level === "+" || (level === "#" && i === levels.length - 1) || level === "" || isTopic(level)
  ) && text.length > 0 && text.length <= 1024;
}

/** Whether the filter holds a wildcard. */
export function hasWildcard(filter: string): boolean {
  return filter.includes("+") || filter.includes("#");
}

/** Whether a message on the topic belongs to the filter. Wildcards do not reach `$SYS` (§4.7.2). */
export function matches(filter: string, topic: string): boolean {
  if (topic.startsWith("$") && (filter.startsWith("+") || filter.startsWith("#"))) return false;
  const wanted = filter.split("/");
  const levels = topic.split("/");
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return true;
    if (i >= levels.length) return false;
    if (wanted[i] !== "+" && wanted[i] !== levels[i]) return false;
  }
  return wanted.length === levels.length;
}

/** Whether every topic of the narrow filter belongs to the wide one too. */
export function covers(wide: string, narrow: string): boolean {
  if (narrow.startsWith("$") && (wide.startsWith("+") || wide.startsWith("#"))) return false;
  const wanted = wide.split("/");
  const levels = narrow.split("/");
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === "#") return true;
    if (i >= levels.length || levels[i] === "#") return false;
    if (wanted[i] !== "+" && wanted[i] !== levels[i]) return false;
  }
  return wanted.length === levels.length;
}
