"""Edgeward's wire, from protocols.md sections 1 to 3 and the standards that it names.

Nothing here is translated from the program: the handshake is dissononce's, CBOR is cbor2's, the
primitives are those of python3-cryptography. What differs from the program is therefore a fault of
one of them, or of the text.
"""

import base64
import copy
import hashlib
import json
import struct

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from dissononce.cipher.chachapoly import ChaChaPolyCipher
from dissononce.dh.x25519.x25519 import PrivateKey, PublicKey, X25519DH
from dissononce.exceptions.decrypt import DecryptFailedException
from dissononce.extras.dh.dangerous.dh_nogen import NoGenDH
from dissononce.hash.sha256 import SHA256Hash
from dissononce.processing.handshakepatterns.interactive.IK import IKHandshakePattern
from dissononce.processing.handshakepatterns.interactive.XX import XXHandshakePattern
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState
from dissononce.processing.modifiers.psk import PSKPatternModifier

MESSAGE_1, MESSAGE_2, MESSAGE_3, DATA, UNKNOWN_SESSION = 1, 2, 3, 4, 5
PURPOSES = ("unlock", "rpc", "meter", "uplink", "keychain", "share", "witness")
GENERATION = 2**16
WINDOW = 64
DAY = 24 * 60 * 60 * 1000

ik_psk1 = PSKPatternModifier(1).modify(IKHandshakePattern())
xx_psk3 = PSKPatternModifier(3).modify(XXHandshakePattern())


class Refused(Exception):
    """What the protocol lets a peer refuse, with a word for the reason."""


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def canonical(item):
    return cbor2.dumps(item, canonical=True)


def from_canonical(data):
    """One item, which must equal its own re-encoding."""
    try:
        item = cbor2.loads(data)
    except (cbor2.CBORDecodeError, UnicodeDecodeError) as error:
        raise Refused("malformed") from error
    if canonical(item) != data:
        raise Refused("malformed")
    return item


# Frames: version(1) = 2 | type(1) | session(8) | seq(8) | body

_header = struct.Struct(">BB8sQ")


def encode_frame(kind, session, seq, body):
    return _header.pack(2, kind, session, seq) + body


class Frame:
    def __init__(self, data):
        if data[:1] not in (b"", b"\2"):
            raise Refused("wrong_version")
        if len(data) < _header.size:
            raise Refused("malformed")
        _, self.kind, self.session, self.seq = _header.unpack_from(data)
        if not 1 <= self.kind <= 5 or (self.kind != DATA and self.seq != 0):
            raise Refused("malformed")
        if self.seq >= 2**53:  # the published vectors say so; the text does not
            raise Refused("malformed")
        self.bytes, self.header, self.body = data, data[: _header.size], data[_header.size :]


def prologue(purpose, site, device, versions=(2,)):
    return canonical(["edgeward", 2, purpose, site, device, list(versions)])


def encode_opening(prologue_bytes, noise_message):
    """The body of a frame of type 1: u16 length | prologue | Noise message."""
    return struct.pack(">H", len(prologue_bytes)) + prologue_bytes + noise_message


def decode_opening(body):
    """The prologue's bytes as received, what they say, and the Noise message."""
    length = int.from_bytes(body[:2], "big")
    prologue_bytes, noise_message = body[2 : 2 + length], body[2 + length :]
    said = from_canonical(prologue_bytes)
    if not isinstance(said, list) or len(said) != 6 or said[:2] != ["edgeward", 2]:
        raise Refused("malformed")
    _, _, purpose, site, device, versions = said
    if purpose not in PURPOSES:
        raise Refused("malformed")
    said = {"purpose": purpose, "site": site, "device": device, "versions": versions}
    return prologue_bytes, said, noise_message


def psk(code, site, device):
    info = site.encode() + b"\0" + device.encode()
    return HKDF(hashes.SHA256(), 32, salt=b"edgeward/psk/2", info=info).derive(code)


# Noise


class Cipher(ChaChaPolyCipher):
    def rekey(self, key):
        """REKEY is the first 32 bytes (rev 34 section 4.2); dissononce 0.34.3 returns all 48."""
        return super().rekey(key)[:32]


class DiffieHellman(X25519DH):
    def dh(self, keypair, publickey):
        try:
            return super().dh(keypair, publickey)
        except ValueError as error:  # all zeros (RFC 7748 section 6.1)
            raise Refused("low_order") from error


def key_pair(secret=None):
    return X25519DH().generate_keypair(None if secret is None else PrivateKey(secret))


class Handshake:
    """One side of a handshake. A fixed ephemeral key is for test vectors only."""

    def __init__(self, pattern, initiator, prologue_bytes, static, psk_bytes, **others):
        remote_static, ephemeral = others.get("remote_static"), others.get("ephemeral")
        dh = DiffieHellman()
        if ephemeral is not None:
            dh = NoGenDH(dh, PrivateKey(ephemeral))
        self._initiator = initiator
        self._messages = list(pattern.message_patterns)
        self._symmetric = SymmetricState(CipherState(Cipher()), SHA256Hash())
        self._state = HandshakeState(self._symmetric, dh)
        self._state.initialize(
            pattern,
            initiator,
            prologue_bytes,
            s=static,
            rs=None if remote_static is None else PublicKey(remote_static),
            psks=[psk_bytes],
        )
        self._ends = None

    @property
    def protocol(self):
        return self._state.protocol_name

    @property
    def hash(self):
        return self._symmetric.get_handshake_hash()

    @property
    def remote_static(self):
        return self._state.rs.data

    def write(self, payload=b""):
        message = bytearray()
        self._messages.pop(0)
        self._ends = self._state.write_message(payload, message)
        return bytes(message)

    def read(self, message):
        payload = bytearray()
        tokens = self._messages.pop(0)
        try:
            self._ends = self._state.read_message(message, payload)
        except DecryptFailedException as error:
            without_static = "s" in tokens and self._state.rs is None
            raise Refused("static_forged" if without_static else "payload_forged") from error
        except ValueError as error:  # a key cut short
            raise Refused("malformed") from error
        return bytes(payload)

    def session(self):
        """What the last message leaves behind."""
        first, second = self._ends
        send, receive = (first, second) if self._initiator else (second, first)
        return Session(send, receive, self.hash)


class Session:
    """Both directions of a session, over the CipherStates of Split()."""

    def __init__(self, send, receive, handshake_hash):
        self.id = sha256(b"edgeward/session", handshake_hash)[:8]
        self.seq = 0
        self._send, self._send_generation = send, 0
        self._now = self._send_began = 0
        self._keys, self._receive_generation = {0: receive}, 0
        self._seen, self._top = {}, -1

    def seal(self, plaintext):
        while self._send_generation < self.seq >> 16:
            self._send.rekey()
            self._send_generation += 1
            self._send_began = self._now
        header = encode_frame(DATA, self.id, self.seq, b"")
        self._send.set_nonce(self.seq)
        self.seq += 1
        return header + self._send.encrypt_with_ad(header, plaintext)

    def skip(self, to=None):
        """Goes to a later number; unless said, to the next generation's first, as age does."""
        self.seq = (self.seq // GENERATION + 1) * GENERATION if to is None else to

    def age(self, now):
        """Lets it be so many milliseconds after the handshake."""
        self._now = now
        if now - self._send_began > DAY:
            self.skip()

    def send_keys(self, count):
        """The next keys to seal with; dissononce has no word for reading one."""
        cipher, keys = copy.copy(self._send), []
        for _ in range(count):
            keys.append(cipher._key)
            cipher.rekey()
        return keys

    def open(self, frame):
        """The plaintext, and whether it is a duplicate."""
        if frame.kind != DATA or frame.session != self.id:
            raise Refused("unknown_session")
        if frame.seq <= self._top - WINDOW:
            raise Refused("replayed")
        generation = frame.seq >> 16
        key = self._key(generation)
        key.set_nonce(frame.seq)
        try:
            plaintext = key.decrypt_with_ad(frame.header, frame.body)
        except DecryptFailedException as error:
            raise Refused("forged") from error
        before = self._seen.get(frame.seq)
        if before is not None and before != frame.bytes:
            raise Refused("replayed")
        self._keys[generation] = key
        if generation > self._receive_generation:
            self._receive_generation = generation
            self._keys = {g: k for g, k in self._keys.items() if g >= generation - 1}
        self._seen[frame.seq] = frame.bytes
        self._top = max(self._top, frame.seq)
        self._seen = {seq: data for seq, data in self._seen.items() if seq > self._top - WINDOW}
        return plaintext, before is not None

    def _key(self, generation):
        if generation in self._keys:
            return self._keys[generation]
        if generation != self._receive_generation + 1:
            raise Refused("out_of_generation")
        following = copy.copy(self._keys[self._receive_generation])
        following.rekey()
        return following


# First contact


def commitment(initiator_static, initiator_random):
    return sha256(b"edgeward/sas", initiator_static, initiator_random)


def word_indices(initiator_static, responder_static, initiator_random, responder_random):
    """Where the six words stand in the BIP-39 list: 66 bits, 11 each."""
    digest = sha256(
        b"edgeward/words", initiator_static, responder_static, initiator_random, responder_random
    )
    bits = int.from_bytes(digest, "big") >> (256 - 66)
    return [(bits >> (11 * i)) & 2047 for i in reversed(range(6))]


# Statements (RFC 9052 section 4.2) and the readings in them


def fingerprint(curve, public_key):
    """SHA-256 of the RFC 7638 thumbprint input (RFC 8037 section 2)."""
    x = base64.urlsafe_b64encode(public_key).rstrip(b"=").decode()
    members = {"crv": curve, "kty": "OKP", "x": x}
    return sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode())


def statement(signer, public_key, content_type, payload):
    header = canonical({1: -19, 3: content_type, 4: fingerprint("Ed25519", public_key)})
    signature = signer.sign(canonical(["Signature1", header, b"", payload]))
    return canonical(cbor2.CBORTag(18, [header, {}, payload, signature]))


def readings_payload(meter, register, readings):
    return canonical({"meter": meter, "register": register, "readings": readings})
