/**
 * The prefix of a site's MQTT topics (protocols.md §4): levels before every topic of ours, so that
 * several sites can share a broker, or live in a corner of one. None unless set. The address that a
 * peer is given carries it as its fragment, `mqtts://broker.example#plant/hall-2`. Topics of the broker
 * itself, `$…`, are where they are.
 */

const limit = 64;
/** Fewer levels than brokers allow, ours behind them included. */
const pattern = /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+){0,7}$/;

/** Whether the text is a prefix: "", or 1 to 8 levels, without a slash at either end. */
export function isTopicPrefix(text: string): boolean {
  return text === "" || text.length <= limit && pattern.test(text);
}

/** The topic, or the filter, as the broker has it. */
export function withPrefix(prefix: string, topic: string): string {
  return prefix === "" || topic.startsWith("$") ? topic : `${prefix}/${topic}`;
}

/** What is behind the prefix; undefined where the topic has another. */
export function withoutPrefix(prefix: string, topic: string): string | undefined {
  if (prefix === "" || topic.startsWith("$")) return topic;
  return topic.startsWith(`${prefix}/`) ? topic.slice(prefix.length + 1) : undefined;
}
