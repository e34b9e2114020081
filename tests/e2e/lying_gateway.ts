/**
 * A gateway that lies: the product with the keys, the database and the sessions of an honest site, but
 * what its share-gateway says about volumes passes through a liar first. It is a program of its own, so
 * that the product has no switch for it: `lying_gateway.ts LIE run -c site.toml`.
 */
import { dirname } from "node:path";
import { parseConfig } from "../../core/host/config/mod.ts";
import type { Host, Services } from "../../core/host/plugin.ts";
import { startSite } from "../../core/host/site.ts";
import { nativeSuite } from "../../core/services/crypto_native.ts";
import type { Handler, Sessions } from "../../core/services/sessions/mod.ts";
import { deal, publicShare } from "../../core/trust/share/dealing.ts";
import { evaluate, volumeInput } from "../../core/trust/share/voprf.ts";
import {
  decodeUnlockCall,
  decodeUnlockReply,
  encodeUnlockCall,
  encodeUnlockReply,
  type UnlockReply,
  type UnlockRequest,
} from "../../core/wire/unlock.ts";
import { registry } from "../../edge/plugins.ts";

export type Lie = keyof typeof lies;

type Liar = (
  request: UnlockRequest,
  device: Parameters<typeof volumeInput>[0],
  honest: (request: UnlockRequest) => Promise<UnlockReply>,
) => Promise<UnlockReply>;

const suite = nativeSuite();

const lies = {
  /** One bit of the answer is another. */
  async alters(request, _, honest) {
    const reply = await honest(request);
    if ("denied" in reply) return reply;
    const answer = reply.answer.slice();
    answer[7]! ^= 1;
    return { ...reply, answer };
  },
  /** Right answer, right proof, wrong volume. */
  async confuses(request, _, honest) {
    const volume = request.volume.slice();
    volume[0]! ^= 1;
    return await honest({ ...request, volume });
  },
  /** It takes the request and never says anything. */
  hangs: () => new Promise(() => {}),
  /** It answers with a share that it held once, and proves that. */
  async outdated(request, device, honest) {
    const reply = await honest(request);
    if ("denied" in reply) return reply;
    const { shares, commitments } = deal(suite, { k: 2, n: 3 });
    const old = evaluate(suite, {
      share: shares[0]!,
      publicShare: publicShare(commitments, 1),
      input: volumeInput(device, request.volume),
      proof: true,
    });
    return { ...reply, ...old };
  },
} satisfies Record<string, Liar>;

const [lie, , , file] = Deno.args as [Lie, string, string, string];

await startSite(
  await parseConfig(await Deno.readTextFile(file), {
    file,
    dir: dirname(file),
    registry: {
      ...registry,
      async "share-gateway"() {
        const { default: role } = await registry["share-gateway"]!();
        return {
          default: {
            ...role,
            start: (host: Host & Services, config) =>
              role.start({ ...host, sessions: lyingSessions(host.sessions) }, config),
          } satisfies typeof role,
        };
      },
    },
  }),
  { version: "0.0.0-liar" },
);

function lyingSessions(sessions: Sessions): Sessions {
  return {
    ...sessions,
    serve: (purpose, handler) =>
      sessions.serve(purpose, purpose === "unlock" ? lying(handler) : handler),
  };
}

function lying(handler: Handler): Handler {
  return async (bytes, peer) => {
    const call = decodeUnlockCall(bytes);
    if (call.call !== "unlock") return await handler(bytes, peer);
    const honest = async (request: UnlockRequest) => {
      const reply = await handler(encodeUnlockCall({ ...request, call: "unlock" }), peer);
      return decodeUnlockReply(reply);
    };
    return encodeUnlockReply(await lies[lie](call, peer.id, honest));
  };
}
