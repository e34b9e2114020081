/** What the facts about a broker mean for a site. */
import { type BrokerFacts, largestMessage } from "./_probe.ts";

/** Something that the site needs and the broker does not do, in words for the operator. */
export interface Shortcoming {
  /** A sentence part. */
  readonly what: string;
  /** What follows from it, and what to do. */
  readonly hint: string;
}

/** Nothing when all is well. What the site does not need is no shortcoming. */
export function shortcomingsOf(facts: BrokerFacts): Shortcoming[] {
  const { wildcards, qos, largest, forgets } = facts;
  const found: Shortcoming[] = [];
  if (!wildcards) {
    found.push({
      what: "it refuses subscriptions with a wildcard below edgeward/",
      hint: "the site hears no device: let its user read edgeward/# and jrpc/#",
    });
  }
  if (largest === 0) {
    found.push({
      what: "a message below edgeward/ does not come back to its sender",
      hint: "the site may hear nothing, or not be heard: let its user read and write edgeward/# " +
        "and jrpc/#",
    });
  }
  if (largest > 0 && largest < largestMessage) {
    found.push({
      what: `a message of ${largestMessage} bytes does not arrive`,
      hint: `messages of ${largest} bytes do; larger calls and answers are lost: raise the ` +
        "broker's limits on packets and messages",
    });
  }
  if (largest > 0 && qos < 1) {
    found.push({
      what: `it grants QoS ${qos} only`,
      hint: "what is lost on the way is sent again only when its sender notices: allow QoS 1",
    });
  }
  if (forgets === false) {
    found.push({
      what: "it goes on with old sessions where a new one is asked for",
      hint: "messages of long ago may come again; they are refused, and cost time",
    });
  }
  return found;
}
