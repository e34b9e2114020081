/** Asking the other gateways who they are: for a plan, before a deal, and to see how the group is. */
import { equalBytes } from "../../core/base/bytes.ts";
import type { Id } from "../../core/base/id.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import {
  decodeHello,
  encodeCeremonyCall,
  type Hello,
  nonceLength,
} from "../../core/wire/ceremony.ts";
import { reasonOf } from "./ceremony_error.ts";
import type { Gateway } from "./gateways.ts";

/** What came of it. */
export type Greeting =
  | { readonly id: Id; readonly hello: Hello; readonly why: null }
  | { readonly id: Id; readonly hello: null; readonly why: string };

/** Asks all of them at once. @param options.within milliseconds */
export function greet(
  suite: Suite,
  gateways: readonly Gateway[],
  { within }: { within: number },
): Promise<Greeting[]> {
  return Promise.all(gateways.map(async (gateway) => {
    const { id } = gateway;
    try {
      return { id, hello: await helloOf(suite, gateway, { within }), why: null };
    } catch (error) {
      return { id, hello: null, why: reasonOf(error) };
    }
  }));
}

async function helloOf(
  suite: Suite,
  { id, noiseKey, channel }: Gateway,
  options: { within: number },
): Promise<Hello> {
  const nonce = suite.randomBytes(nonceLength);
  const hello = decodeHello(
    await channel.call(encodeCeremonyCall({ call: "hello", nonce }), options),
  );
  // the session has shown whose key it is; that it says so itself is what the roster will hold
  const isOwn = hello.id === id && equalBytes(hello.noiseKey, noiseKey) &&
    equalBytes(hello.nonce, nonce);
  if (!isOwn) throw new Error("it says that it is somebody else");
  return hello;
}
