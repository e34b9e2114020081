/**
 * The Noise Protocol Framework, revision 34: the handshake state machine over X25519, SHA-256 and
 * ChaChaPoly or AESGCM. One table of patterns, PSK modifiers by name.
 *
 * What it promises is what the pattern promises (rev 34 §7.7): the product uses IKpsk1 and XXpsk3.
 * It does no I/O, keeps no clock, and is used up by one handshake.
 */
import { concat, utf8 } from "../../base/bytes.ts";
import { CodedError } from "../../base/errors.ts";
import type { Aead, KeyPair, Suite } from "../crypto.ts";

type Token = "e" | "s" | "ee" | "es" | "se" | "ss" | "psk";

interface Pattern {
  /** Whether the responder's static key is known before the handshake (`<- s`). */
  readonly knowsResponder: boolean;
  readonly messages: readonly (readonly Token[])[];
}

/** Rev 34 §7.5. NN and NK exist for the published vectors only. */
const patterns: Readonly<Record<string, Pattern>> = {
  NN: { knowsResponder: false, messages: [["e"], ["e", "ee"]] },
  NK: { knowsResponder: true, messages: [["e", "es"], ["e", "ee"]] },
  XX: { knowsResponder: false, messages: [["e"], ["e", "ee", "s", "es"], ["s", "se"]] },
  IK: { knowsResponder: true, messages: [["e", "es", "s", "ss"], ["e", "ee", "se"]] },
};

const lastNonce = new Uint8Array(12).fill(0xff, 4);
const nothing = new Uint8Array(0);

export type NoiseErrorCode =
  | "malformed" // too short, too long, or a message out of turn
  | "static_forged" // the peer's static key does not open: wrong responder key, or altered
  | "payload_forged"; // the payload does not open: wrong psk, prologue or static key, or altered

export class NoiseError extends CodedError<NoiseErrorCode> {
  override readonly name = "NoiseError";
  /** The static key before a payload that did not open: nobody has shown that it is theirs. */
  claimedKey: Uint8Array | undefined;
}

/** What a finished handshake leaves behind (rev 34 §5.2 Split). */
export interface HandshakeResult {
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The handshake hash h: both sides saw the same transcript (§11.2). */
  readonly hash: Uint8Array;
}

/** A Noise message is at most 65,535 bytes (§3). */
export const maxNoiseMessage = 65_535;

export class Handshake {
  readonly #suite: Suite;
  #state: SymmetricState;
  readonly #pattern: readonly (readonly Token[])[];
  readonly #initiator: boolean;
  readonly #psk: Uint8Array | undefined;
  readonly #usesPsk: boolean;
  readonly #static: KeyPair | undefined;
  #ephemeral: KeyPair | undefined;
  #remoteStatic: Uint8Array | undefined;
  #remoteEphemeral: Uint8Array | undefined;
  #turn = 0;

  /**
   * @param protocol as "Noise_IKpsk1_25519_ChaChaPoly_SHA256"
   * @throws NoiseError "malformed" when the protocol is unknown or a key that it needs is missing
   */
  constructor(suite: Suite, protocol: string, options: {
    initiator: boolean;
    prologue: Uint8Array;
    staticKey?: KeyPair | undefined;
    /** For vectors only: everyone else draws a fresh one. */
    ephemeralKey?: KeyPair | undefined;
    remoteStatic?: Uint8Array | undefined;
    psk?: Uint8Array | undefined;
  }) {
    const { knowsResponder, messages, cipher } = parseProtocol(protocol);
    this.#suite = suite;
    this.#initiator = options.initiator;
    this.#pattern = messages;
    this.#static = options.staticKey;
    this.#ephemeral = options.ephemeralKey;
    this.#remoteStatic = options.remoteStatic;
    this.#psk = options.psk;
    this.#usesPsk = messages.some((tokens) => tokens.includes("psk"));
    if (this.#usesPsk && options.psk?.length !== 32) {
      throw new NoiseError("malformed", "Cannot begin the handshake: a 32-byte psk is needed");
    }
    this.#state = SymmetricState.begin(suite, protocol, cipher);
    this.#state.mixHash(options.prologue);
    if (knowsResponder) {
      const responder = options.initiator ? options.remoteStatic : options.staticKey?.publicKey;
      if (responder === undefined) {
        throw new NoiseError("malformed", "Cannot begin the handshake: no responder key");
      }
      this.#state.mixHash(responder);
    }
  }

  /** The peer's static key, once a message has carried it, or as it was given. */
  get remoteStatic(): Uint8Array | undefined {
    return this.#remoteStatic;
  }

  /** Whether all messages have been exchanged. */
  get finished(): boolean {
    return this.#turn === this.#pattern.length;
  }

  /** Writes the next message (§5.3 WriteMessage). @throws NoiseError "malformed" out of turn */
  writeMessage(payload: Uint8Array): Uint8Array {
    const parts: Uint8Array[] = [];
    for (const token of this.#nextTokens(true)) {
      if (token === "e") {
        this.#ephemeral ??= this.#suite.x25519.keyPair();
        parts.push(this.#ephemeral.publicKey);
        this.#mixEphemeral(this.#ephemeral.publicKey);
      } else if (token === "s") {
        parts.push(this.#state.encryptAndHash(this.#need(this.#static).publicKey));
      } else {
        this.#mix(token);
      }
    }
    parts.push(this.#state.encryptAndHash(payload));
    const message = concat(...parts);
    if (message.length > maxNoiseMessage) {
      throw new NoiseError("malformed", "Cannot write the handshake message: it is too long");
    }
    this.#turn++;
    return message;
  }

  /**
   * Reads the peer's next message and returns its payload (§5.3 ReadMessage). One that is refused
   * changes nothing: anybody may have sent it, and the genuine one may still come.
   * @throws NoiseError; CryptoError "low_order"
   */
  readMessage(message: Uint8Array): Uint8Array {
    const before = [this.#state.copy(), this.#remoteStatic, this.#remoteEphemeral] as const;
    try {
      const payload = this.#read(message);
      this.#turn++;
      return payload;
    } catch (error) {
      if (error instanceof NoiseError && error.code === "payload_forged") {
        error.claimedKey = this.#remoteStatic;
      }
      [this.#state, this.#remoteStatic, this.#remoteEphemeral] = before;
      throw error;
    }
  }

  #read(message: Uint8Array): Uint8Array {
    let at = 0;
    const take = (length: number): Uint8Array => {
      if (message.length < at + length) {
        throw new NoiseError("malformed", "Cannot read the handshake message: it is too short");
      }
      return message.slice(at, at += length);
    };
    if (message.length > maxNoiseMessage) {
      throw new NoiseError("malformed", "Cannot read the handshake message: it is too long");
    }
    for (const token of this.#nextTokens(false)) {
      if (token === "e") {
        this.#remoteEphemeral = take(32);
        this.#mixEphemeral(this.#remoteEphemeral);
      } else if (token === "s") {
        const opened = this.#state.decryptAndHash(take(this.#state.hasKey ? 48 : 32));
        if (opened === null) {
          throw new NoiseError("static_forged", "Cannot open the peer's static key");
        }
        this.#remoteStatic = opened;
      } else {
        this.#mix(token);
      }
    }
    const payload = this.#state.decryptAndHash(message.slice(at));
    if (payload === null) {
      throw new NoiseError("payload_forged", "Cannot open the handshake payload");
    }
    return payload;
  }

  /** The transport keys. @throws NoiseError "malformed" before the last message */
  split(): HandshakeResult {
    if (!this.finished) throw new NoiseError("malformed", "Cannot split: messages are missing");
    const [first, second] = this.#state.split();
    return {
      sendKey: this.#initiator ? first : second,
      receiveKey: this.#initiator ? second : first,
      hash: this.#state.hash,
    };
  }

  #nextTokens(writing: boolean): readonly Token[] {
    const tokens = this.#pattern[this.#turn];
    const initiatorsTurn = this.#turn % 2 === 0;
    if (tokens === undefined || writing !== (initiatorsTurn === this.#initiator)) {
      throw new NoiseError("malformed", "Cannot go on: it is not this side's turn");
    }
    return tokens;
  }

  #mixEphemeral(publicKey: Uint8Array): void {
    this.#state.mixHash(publicKey);
    if (this.#usesPsk) this.#state.mixKey(publicKey); // §9.2
  }

  #mix(token: Exclude<Token, "e" | "s">): void {
    if (token === "psk") return this.#state.mixKeyAndHash(this.#need(this.#psk));
    // the first letter names the initiator's key, the second the responder's
    const [initiators, responders] = token;
    const mine = (this.#initiator ? initiators : responders) === "e"
      ? this.#ephemeral
      : this.#static;
    const theirs = (this.#initiator ? responders : initiators) === "e"
      ? this.#remoteEphemeral
      : this.#remoteStatic;
    this.#state.mixKey(this.#need(mine).sharedSecret(this.#need(theirs)));
  }

  #need<T>(key: T | undefined): T {
    if (key === undefined) throw new NoiseError("malformed", "Cannot go on: a key is missing");
    return key;
  }
}

/** Rev 34 §5.2, CipherState included. */
class SymmetricState {
  readonly #suite: Suite;
  readonly #cipher: NoiseCipher;
  /** Messages without a psk may begin in clear; then `#key` is undefined. */
  #key: Uint8Array | undefined;
  #nonce = 0;
  #chainingKey: Uint8Array;
  hash: Uint8Array;

  constructor(suite: Suite, cipher: NoiseCipher, hash: Uint8Array) {
    this.#suite = suite;
    this.#cipher = cipher;
    this.#chainingKey = this.hash = hash;
  }

  /** Before anything is mixed in (§5.2 InitializeSymmetric). */
  static begin(suite: Suite, protocol: string, cipher: CipherName): SymmetricState {
    const name = utf8(protocol);
    const hash = name.length <= 32
      ? concat(name, new Uint8Array(32 - name.length))
      : suite.sha256(name);
    return new SymmetricState(suite, noiseCipher(suite, cipher), hash);
  }

  /** One that goes its own way; what they share is never written to. */
  copy(): SymmetricState {
    const copy = new SymmetricState(this.#suite, this.#cipher, this.hash);
    copy.#chainingKey = this.#chainingKey;
    copy.#key = this.#key;
    copy.#nonce = this.#nonce;
    return copy;
  }

  get hasKey(): boolean {
    return this.#key !== undefined;
  }

  mixHash(data: Uint8Array): void {
    this.hash = this.#suite.sha256(this.hash, data);
  }

  mixKey(material: Uint8Array): void {
    const [chainingKey, key] = this.#hkdf(material, 2);
    this.#chainingKey = chainingKey!;
    this.#key = key!;
    this.#nonce = 0;
  }

  mixKeyAndHash(material: Uint8Array): void {
    const [chainingKey, hashed, key] = this.#hkdf(material, 3);
    this.#chainingKey = chainingKey!;
    this.mixHash(hashed!);
    this.#key = key!;
    this.#nonce = 0;
  }

  encryptAndHash(plaintext: Uint8Array): Uint8Array {
    const text = this.#key === undefined
      ? plaintext
      : this.#cipher.seal(this.#key, this.#nonce++, this.hash, plaintext);
    this.mixHash(text);
    return text;
  }

  decryptAndHash(text: Uint8Array): Uint8Array | null {
    const plaintext = this.#key === undefined
      ? text
      : this.#cipher.open(this.#key, this.#nonce++, this.hash, text);
    this.mixHash(text);
    return plaintext;
  }

  split(): [Uint8Array, Uint8Array] {
    const [first, second] = this.#hkdf(nothing, 2);
    return [first!, second!];
  }

  /** Rev 34 §4.3 HKDF: two or three outputs of 32 bytes; it is RFC 5869 with an empty info. */
  #hkdf(material: Uint8Array, outputs: 2 | 3): Uint8Array[] {
    const okm = this.#suite.hkdfSha256(material, this.#chainingKey, nothing, 32 * outputs);
    return [okm.subarray(0, 32), okm.subarray(32, 64), okm.subarray(64)];
  }
}

type CipherName = "ChaChaPoly" | "AESGCM";

/** An AEAD under Noise's nonce rule (§12.3, §12.4). */
export interface NoiseCipher {
  seal(key: Uint8Array, n: number, ad: Uint8Array, plaintext: Uint8Array): Uint8Array;
  open(key: Uint8Array, n: number, ad: Uint8Array, text: Uint8Array): Uint8Array | null;
  /** REKEY(k): the first 32 bytes of ENCRYPT(k, 2^64 − 1, "", 32 zeros) (§4.2). */
  rekey(key: Uint8Array): Uint8Array;
}

/** Binds a Suite's AEAD to Noise: n is little-endian for ChaChaPoly, big-endian for AESGCM. */
export function noiseCipher(suite: Suite, name: CipherName): NoiseCipher {
  const aead: Aead = name === "ChaChaPoly" ? suite.chacha20poly1305 : suite.aes256gcm;
  const [first, step] = name === "ChaChaPoly" ? [4, 1] : [11, -1];
  // one for all messages, since a new one each is 4 % of a frame: an AEAD keeps no argument
  const nonce = new Uint8Array(12);
  function nonceOf(n: number): Uint8Array {
    for (let i = 0, at = first; i < 8; i++, at += step, n = Math.floor(n / 256)) nonce[at] = n;
    return nonce;
  }
  return {
    seal: (key, n, ad, plaintext) => aead.seal(key, nonceOf(n), ad, plaintext),
    open: (key, n, ad, text) => aead.open(key, nonceOf(n), ad, text),
    rekey(key) {
      const sealed = aead.seal(key, lastNonce, nothing, new Uint8Array(32));
      const next = sealed.slice(0, 32);
      sealed.fill(0);
      return next;
    },
  };
}

function parseProtocol(protocol: string): Pattern & { cipher: CipherName } {
  const match = /^Noise_([A-Z]{2})(?:psk([0-3]))?_25519_(ChaChaPoly|AESGCM)_SHA256$/.exec(protocol);
  const pattern = match === null ? undefined : patterns[match[1]!];
  const psk = match?.[2] === undefined ? undefined : Number(match[2]);
  // without a message to stand behind, a psk would be mixed in nowhere
  if (match === null || pattern === undefined || (psk ?? 0) > pattern.messages.length) {
    throw new NoiseError("malformed", `Cannot begin the handshake: unknown protocol "${protocol}"`);
  }
  return {
    knowsResponder: pattern.knowsResponder,
    messages: psk === undefined ? pattern.messages : withPsk(pattern.messages, psk),
    cipher: match[3] as CipherName,
  };
}

/** §9.4: psk0 stands before the first message's tokens, pskN after the N-th message's. */
function withPsk(messages: Pattern["messages"], position: number): Pattern["messages"] {
  return messages.map((tokens, i) => {
    if (position === 0 && i === 0) return ["psk", ...tokens];
    return position === i + 1 ? [...tokens, "psk"] : tokens;
  });
}
