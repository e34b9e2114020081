/**
 * The memory that aedes is given: none. Sessions end with their connection, nobody relies on retained
 * messages, and QoS 2 is not accepted, so there is nothing to remember. aedes' own memory would keep
 * an entry for every client id that ever acknowledged a message.
 */
import { Readable } from "node:stream";

type Nothing = () => Promise<void>;

/** Every method that aedes 1.2 calls on its persistence. */
export class NoMemory {
  // aedes looks for an async function here
  async setup(): Promise<void> {}

  readonly storeRetained: Nothing = nothing;
  readonly createRetainedStreamCombi = nobody;
  readonly createRetainedStream = nobody;

  readonly addSubscriptions: Nothing = nothing;
  readonly removeSubscriptions: Nothing = nothing;
  readonly cleanSubscriptions: Nothing = nothing;
  readonly subscriptionsByClient = none;
  readonly subscriptionsByTopic = none;

  readonly outgoingEnqueue: Nothing = nothing;
  readonly outgoingEnqueueCombi: Nothing = nothing;
  readonly outgoingUpdate: Nothing = nothing;
  readonly outgoingClearMessageId: Nothing = nothing;
  readonly outgoingStream = nobody;

  readonly incomingStorePacket: Nothing = nothing;
  readonly incomingGetPacket = (): Promise<never> => Promise.reject(new Error("no such packet"));
  readonly incomingDelPacket: Nothing = nothing;
  readonly cleanIncoming: Nothing = nothing;

  /** The will itself stays with its client while that is connected. */
  readonly putWill: Nothing = nothing;
  readonly delWill: Nothing = nothing;
  readonly streamWill = nobody;
}

function nothing(): Promise<void> {
  return Promise.resolve();
}

function none(): Promise<never[]> {
  return Promise.resolve([]);
}

function nobody(): Readable {
  return Readable.from([]);
}
