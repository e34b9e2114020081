/**
 * Which handlers want which messages, independent of any connection: it is remembered while the
 * broker is away. A handler that fails is reported and hurts neither the others nor the client.
 */
import { hasWildcard, matches } from "./_topic.ts";
import type { MqttMessage } from "./_link.ts";

export type MqttHandler = (message: MqttMessage) => void;

/** One call of `subscribe`: the same handler may be there twice. */
export interface Subscription {
  readonly filter: string;
  readonly handler: MqttHandler;
}

export class Subscriptions {
  readonly #byFilter = new Map<string, Set<Subscription>>();
  /** The filters that cannot be looked up by topic. */
  readonly #wild = new Set<string>();
  readonly #onFailure: (filter: string, thrown: unknown) => void;

  constructor(onFailure: (filter: string, thrown: unknown) => void) {
    this.#onFailure = onFailure;
  }

  add(subscription: Subscription): void {
    const { filter } = subscription;
    const same = this.#byFilter.get(filter);
    if (same === undefined) this.#byFilter.set(filter, new Set([subscription]));
    else same.add(subscription);
    if (hasWildcard(filter)) this.#wild.add(filter);
  }

  remove(subscription: Subscription): void {
    const { filter } = subscription;
    const same = this.#byFilter.get(filter);
    if (same?.delete(subscription) && same.size === 0) {
      this.#byFilter.delete(filter);
      this.#wild.delete(filter);
    }
  }

  /** Whether anybody wants the filter. */
  has(filter: string): boolean {
    return this.#byFilter.has(filter);
  }

  filters(): string[] {
    return [...this.#byFilter.keys()];
  }

  dispatch(message: MqttMessage): void {
    this.#deliver(message.topic, message);
    for (const filter of [...this.#wild]) {
      if (matches(filter, message.topic)) this.#deliver(filter, message);
    }
  }

  #deliver(filter: string, message: MqttMessage): void {
    for (const { handler } of [...this.#byFilter.get(filter) ?? []]) {
      try {
        // A handler may be async in spite of its type; its rejection must not end the process.
        const result: unknown = handler(message);
        if (result instanceof Promise) result.catch((thrown) => this.#onFailure(filter, thrown));
      } catch (thrown) {
        this.#onFailure(filter, thrown);
      }
    }
  }
}
