/**
 * Profile v1 byte for byte: v1.json, which a second implementation makes (_v1_plans.ts), is what
 * `playLegacy` makes of its inputs with the product's own code.
 */
import { fromHex, toHex, utf8 } from "../../core/base/bytes.ts";
import { parseId } from "../../core/base/id.ts";
import type { Suite } from "../../core/trust/crypto.ts";
import {
  decodeConnect,
  encodeApprove,
  encodeConnect,
  type LegacyPsk,
  proofOf,
  pskOfCode,
} from "../../core/trust/legacy/connect.ts";
import { DeviceSide } from "../../core/trust/legacy/device_side.ts";
import { GatewaySide } from "../../core/trust/legacy/gateway_side.ts";
import { agree, type HmacLabel } from "../../core/trust/legacy/keys.ts";
import { decodeEnvelope, openMessage, sealMessage } from "../../core/trust/legacy/message.ts";
import { decodeRpc } from "../../core/trust/legacy/rpc.ts";
import { outcomeOf, same } from "./same.ts";
import { scripted } from "./scripted.ts";

type LegacySide = "device" | "gateway";

/** Keys and codes are hexadecimal; what is JSON on the wire is text. */
export interface LegacyVector {
  readonly name: string;
  readonly device_id: string;
  readonly code: string | null;
  readonly psk: string | null;
  readonly device_secret: string;
  readonly device_public: string;
  readonly gateway_secret: string;
  readonly gateway_public: string;
  readonly psk_proof: string | null;
  readonly connect: string;
  readonly approve: string;
  readonly shared: string;
  readonly hmac_label: string;
  readonly hmac_key: string;
  readonly enc_key: string;
  readonly messages: readonly {
    readonly from: LegacySide;
    readonly counter: number;
    readonly seconds: number;
    readonly rpc: string;
    readonly plaintext: string;
    readonly signed: string;
    readonly message: string;
  }[];
  readonly deliveries: readonly {
    readonly note: string;
    readonly to: LegacySide;
    readonly message: string;
    readonly outcome: string;
  }[];
  readonly connects: readonly {
    readonly note: string;
    readonly connect: string;
    readonly outcome: string;
  }[];
  readonly approves: readonly {
    readonly note: string;
    readonly approve: string;
    readonly outcome: string;
  }[];
}

/** Computes what a vector holds from its inputs. @throws Error when something of it differs */
export function playLegacy(suite: Suite, vector: LegacyVector): LegacyVector {
  const device = parseId(vector.device_id);
  const own = suite.x25519.keyPair(fromHex(vector.device_secret));
  const gateway = suite.x25519.keyPair(fromHex(vector.gateway_secret));
  const psk = vector.code === null ? null : pskOfCode(suite, fromHex(vector.code));
  const proof = psk && proofOf(suite, psk, { device, publicKey: own.publicKey });
  const label = vector.hmac_label as HmacLabel;
  const keys = agree(suite, own, gateway.publicKey, { labels: [label] });
  const hmac = keys.hmac[0]!;
  same(agree(suite, gateway, own.publicKey, { labels: [label] }), keys, "the gateway's keys");

  const sides = {
    device: new DeviceSide(suite, { device, psk, clock, keyPair: own, label }),
    gateway: gatewayOf(suite, vector),
  };
  const connect = encodeConnect({ device, publicKey: own.publicKey, proof });
  same(sides.device.connect(), connect, "connect");
  return {
    ...vector,
    device_public: toHex(own.publicKey),
    gateway_public: toHex(gateway.publicKey),
    psk_proof: proof && toHex(proof),
    connect: text(connect),
    approve: text(encodeApprove(gateway.publicKey)),
    shared: toHex(own.sharedSecret(gateway.publicKey)),
    hmac_key: toHex(hmac.key),
    enc_key: toHex(keys.cipher),
    messages: vector.messages.map((given) => {
      const rpc = decodeRpc(utf8(given.rpc));
      const { counter, seconds } = given;
      const message = sealMessage(suite, { cipher: keys.cipher, hmac }, {
        ...{ device, counter, seconds, rpc },
      });
      same(openMessage(suite, keys, decodeEnvelope(message)), { rpc, label }, given.rpc);
      return { ...given, message: text(message) };
    }),
    approves: vector.approves.map(({ note, approve }) => ({
      ...{ note, approve },
      outcome: outcomeOf(() => sides.device.approve(utf8(approve)).stored()),
    })),
    connects: connectsOf(suite, vector, psk),
    deliveries: vector.deliveries.map(({ note, to, message }) => ({
      ...{ note, to, message },
      outcome: deliver(sides[to], message),
    })),
  };
}

/** The gateway's side, with the device approved if it has a psk. */
function gatewayOf(suite: Suite, vector: LegacyVector): GatewaySide {
  const dice = scripted(suite, fromHex(vector.gateway_secret));
  const side = new GatewaySide(dice, { device: parseId(vector.device_id), clock });
  if (vector.code === null) return side;
  const psk = pskOfCode(suite, fromHex(vector.code));
  const { approve, save } = side.approve(decodeConnect(utf8(vector.connect)), psk);
  same(text(approve), vector.approve, "approve");
  save.stored();
  return side;
}

/** Whoever has no psk gets the one of another. */
function connectsOf(suite: Suite, vector: LegacyVector, psk: LegacyPsk | null) {
  const side = new GatewaySide(suite, { device: parseId(vector.device_id), clock });
  const expected = psk ?? pskOfCode(suite, new Uint8Array(16));
  return vector.connects.map(({ note, connect }) => ({
    ...{ note, connect },
    outcome: outcomeOf(() => side.approve(decodeConnect(utf8(connect)), expected)),
  }));
}

function deliver(side: DeviceSide | GatewaySide, message: string): string {
  let kind = "";
  const refusal = outcomeOf(() => {
    const arrival = side.open(decodeEnvelope(utf8(message)));
    if (arrival.kind === "fresh") arrival.save.stored();
    kind = arrival.kind;
  });
  return refusal === "none" ? kind : refusal;
}

/** UTF-8 that was text a moment ago. */
function text(bytes: Uint8Array): string {
  return decodeURIComponent(toHex(bytes).replace(/../g, "%$&"));
}

function clock(): number {
  return 0;
}
