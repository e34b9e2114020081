"""An independent peer of Edgeward, for tests: a meter, a gateway, or a side of first contact.

    noise_peer.py meter | gateway | contact     one JSON object a line in, one a line out
    noise_peer.py vectors FILE                  recomputes every field of session_v2.json

A line in names an operation and its arguments, `{"op": "open", "frame": "02…"}`; bytes are
hexadecimal. A line out is its result, or `{"refused": reason}` for what the protocol lets a peer
refuse. Anything else that goes wrong is a traceback and the end of the process. It runs on Debian's
python3-dissononce, python3-cbor2 and python3-cryptography.
"""

import base64
import json
import os
import struct
import sys
import urllib.error
import urllib.request

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import _wire as wire
from _vectors import check
from _wire import Frame, Refused

CALL, ANSWER, REFUSAL, ENROLMENT = 1, 2, 3, 4


class Role:
    """What every peer can do once it has a session."""

    session = None

    def do_seal(self, plaintext):
        return {"frame": self.session.seal(bytes.fromhex(plaintext))}

    def do_open(self, frame):
        frame = Frame(bytes.fromhex(frame))
        plaintext, duplicate = self.session.open(frame)
        return {"plaintext": plaintext, "seq": frame.seq, "duplicate": duplicate}

    def do_skip(self, to=None):
        """Rekeys as age does, or leaves numbers out as if their frames had been lost."""
        self.session.skip(to)
        return {"seq": self.session.seq}


class Meter(Role):
    """The device of IKpsk1: it talks HTTP to a site itself."""

    def do_join(self, url, id, enrolment=None, site=None, noise_key=None):
        """Takes what `edgeward admin enrol meter ID --json` printed, or less. Keys are drawn now."""
        self.url = url + "/fog-aggregator/session"
        self.id, self.site, self.psk = id, site, bytes(32)
        if enrolment is not None:
            self.site, noise_key = enrolment["site"], enrolment["noise_key"]
            self.psk = wire.psk(_from_base64url(enrolment["code"]), self.site, self.id)
        self.remote_static = None if noise_key is None else _from_base64url(noise_key)
        self.static = wire.key_pair()
        self.signer = Ed25519PrivateKey.generate()
        self.sign_key = self.signer.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {
            "noise_key": self.static.public.data,
            "sign_key": self.sign_key,
            "fingerprint": wire.fingerprint("X25519", self.static.public.data)[:12],
        }

    def do_handshake(self, times=1, psk=None, site=None):
        """Sends the same message 1 so often; a psk or site of the test's own may be wrong."""
        prologue = wire.prologue("meter", self.site if site is None else site, self.id)
        handshake = wire.Handshake(
            wire.ik_psk1,
            True,
            prologue,
            self.static,
            self.psk if psk is None else bytes.fromhex(psk),
            remote_static=self.remote_static,
        )
        chosen = os.urandom(8)
        body = wire.encode_opening(prologue, handshake.write())
        message_1 = wire.encode_frame(wire.MESSAGE_1, chosen, 0, body)
        answers = [self._post(message_1) for _ in range(times)]
        status, message_2 = answers[0]
        if status != 200:
            return {"status": status}
        frame = Frame(message_2)
        if frame.kind != wire.MESSAGE_2 or frame.session != chosen:
            raise Refused("not message 2 of this handshake")
        if handshake.read(frame.body) != b"":
            raise Refused("a payload in message 2")
        self.session = handshake.session()
        return {"status": status, "session": self.session.id, "same": len(set(answers)) == 1}

    def do_meet(self):
        """First contact with a site of which it knows nothing but the address."""
        contact = Contact(self.static)
        begun = contact.do_begin(self.id, "meter")
        status, message_2 = self._post(begun["frame"])
        if status != 200:
            return {"status": status}
        met = contact.do_end(message_2.hex())
        status, _ = self._post(met["frame"])
        self.session, self.remote_static = contact.session, met["remote_static"]
        return {"status": status, "words": met["words"]}

    def do_enrol(self):
        """The first data frame of a new peer: its statement key. It learns the name of the site."""
        result = self._call(bytes([ENROLMENT]) + wire.canonical({"sign_key": self.sign_key}))
        if "answer" in result:
            self.site = result["answer"]["site"]
        return result

    def do_deliver(self, register, readings, forged=False):
        payload = wire.readings_payload(self.id, register, readings)
        content_type = "application/edgeward-readings+cbor"
        signer = Ed25519PrivateKey.generate() if forged else self.signer
        statement = wire.statement(signer, self.sign_key, content_type, payload)
        return self._call(bytes([CALL]) + statement)

    def do_repeat(self):
        """Sends the last frame again, byte for byte."""
        return self._post(self.last_frame) == (200, self.last_answer)

    def do_alter(self, byte):
        """Sends the last frame with a bit flipped."""
        altered = bytearray(self.last_frame)
        altered[byte] ^= 1
        status, _ = self._post(bytes(altered))
        return status

    def _call(self, message):
        seq = self.session.seq
        self.last_frame = self.session.seal(message)
        status, self.last_answer = self._post(self.last_frame)
        if status != 200:
            return {"status": status}
        frame = Frame(self.last_answer)
        if frame.kind == wire.UNKNOWN_SESSION and frame.session == self.session.id:
            return {"status": status, "unknown": True}
        plaintext, duplicate = self.session.open(frame)
        kind, to = struct.unpack_from(">BQ", plaintext)
        body = plaintext[9:]
        if duplicate or to != seq:
            raise Refused("the answer to another call")
        result = {"status": status, "seq": seq}
        if kind == ANSWER:
            return {**result, "answer": wire.from_canonical(body)}
        if kind == REFUSAL:
            return {**result, "refusal": body.decode("ascii")}
        raise Refused("neither an answer nor a refusal")

    def _post(self, frame):
        headers = {"content-type": "application/octet-stream"}
        request = urllib.request.Request(self.url, frame, headers)
        try:
            with _opener.open(request, timeout=20) as response:
                if response.status == 200:
                    assert response.headers["content-type"] == "application/octet-stream"
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


class Gateway(Role):
    """The responder of IKpsk1."""

    def do_listen(self, purpose, site, device, code=None):
        """A device enrolled without a code has a psk of zeros."""
        self.expected = {"purpose": purpose, "site": site, "device": device, "versions": [2]}
        self.psk = bytes(32) if code is None else wire.psk(bytes.fromhex(code), site, device)
        self.static = wire.key_pair()
        return {"static": self.static.public.data}

    def do_answer(self, frame):
        frame = Frame(bytes.fromhex(frame))
        if frame.kind != wire.MESSAGE_1:
            raise Refused("not message 1")
        prologue, said, noise_message = wire.decode_opening(frame.body)
        if said != self.expected:
            raise Refused("for someone else")
        handshake = wire.Handshake(wire.ik_psk1, False, prologue, self.static, self.psk)
        if handshake.read(noise_message) != b"":
            raise Refused("a request in message 1")
        message_2 = wire.encode_frame(wire.MESSAGE_2, frame.session, 0, handshake.write())
        self.session = handshake.session()
        return {
            "frame": message_2,
            "session": self.session.id,
            "remote_static": handshake.remote_static,
        }


class Contact(Role):
    """A side of XXpsk3: a commitment, then two random numbers, then six words to compare."""

    def __init__(self, static=None):
        self.static = static or wire.key_pair()

    def do_begin(self, device, purpose="rpc", psk=None):
        """The initiator's message 1; it knows no site yet."""
        prologue = wire.prologue(purpose, "", device)
        self._prepare(True, prologue, psk)
        self.chosen = os.urandom(8)
        promise = wire.commitment(self.static.public.data, self.random)
        body = wire.encode_opening(prologue, self.handshake.write(promise))
        return {"frame": wire.encode_frame(wire.MESSAGE_1, self.chosen, 0, body)}

    def do_end(self, frame, cheat=False):
        """Takes message 2, gives message 3; who cheats reveals another number than it promised."""
        frame = Frame(bytes.fromhex(frame))
        if frame.kind != wire.MESSAGE_2 or frame.session != self.chosen:
            raise Refused("not message 2 of this handshake")
        theirs = self._random(self.handshake.read(frame.body))
        if cheat:
            self.random = os.urandom(16)
        body = self.handshake.write(self.random)
        message_3 = wire.encode_frame(wire.MESSAGE_3, self.chosen, 0, body)
        words = wire.word_indices(
            self.static.public.data, self.handshake.remote_static, self.random, theirs
        )
        return {"frame": message_3, "words": words, **self._result()}

    def do_answer(self, frame, psk=None):
        """The responder: takes message 1, gives message 2."""
        frame = Frame(bytes.fromhex(frame))
        if frame.kind != wire.MESSAGE_1:
            raise Refused("not message 1")
        prologue, said, noise_message = wire.decode_opening(frame.body)
        if said["site"] != "" or 2 not in said["versions"]:
            raise Refused("for someone else")
        self._prepare(False, prologue, psk)
        self.chosen = frame.session
        self.promised = self.handshake.read(noise_message)
        body = self.handshake.write(self.random)
        return {"frame": wire.encode_frame(wire.MESSAGE_2, self.chosen, 0, body)}

    def do_conclude(self, frame):
        """Takes message 3."""
        frame = Frame(bytes.fromhex(frame))
        if frame.kind != wire.MESSAGE_3 or frame.session != self.chosen:
            raise Refused("not message 3 of this handshake")
        theirs = self._random(self.handshake.read(frame.body))
        device = self.handshake.remote_static
        if wire.commitment(device, theirs) != self.promised:
            raise Refused("the promise is broken")
        words = wire.word_indices(device, self.static.public.data, theirs, self.random)
        return {"words": words, **self._result()}

    def _prepare(self, initiator, prologue, psk):
        """A device that was enrolled without a code has a psk of zeros."""
        self.random = os.urandom(16)
        psk = bytes(32) if psk is None else bytes.fromhex(psk)
        self.handshake = wire.Handshake(wire.xx_psk3, initiator, prologue, self.static, psk)

    def _random(self, payload):
        if len(payload) != 16:
            raise Refused("malformed")
        return payload

    def _result(self):
        self.session = self.handshake.session()
        return {
            "session": self.session.id,
            "static": self.static.public.data,
            "remote_static": self.handshake.remote_static,
        }


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def serve(role):
    for line in sys.stdin:
        request = json.loads(line)
        try:
            result = getattr(role, "do_" + request.pop("op"))(**request)
        except Refused as refusal:
            result = {"refused": str(refusal)}
        print(json.dumps(result, default=bytes.hex), flush=True)


def main(arguments):
    roles = {"meter": Meter, "gateway": Gateway, "contact": Contact}
    match arguments:
        case [name] if name in roles:
            serve(roles[name]())
        case ["vectors", path]:
            check(path)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
