"""The published session vectors (tests/vectors/session_v2.json), recomputed from their inputs.

Every member of a session is computed here and compared with the published one; a member that is not
known here is a difference too. Words come out as their indices, since no BIP-39 list is at hand.
"""

import json
import sys

import _wire as wire
from _wire import Frame, Refused

SIDES = ("initiator", "responder")


def check(path):
    """Prints the words of each session as JSON; differences go to stderr, and the status is 1."""
    with open(path, encoding="utf-8") as file:
        sessions = json.load(file)["sessions"]
    words, wrong = {}, []
    for session in sessions:
        name = session["name"]
        computed, words[name] = recompute(session)
        published = {key: value for key, value in session.items() if key != "words"}
        wrong += differences(name, published, computed)
        if (session["words"] is None) != (words[name] is None):
            wrong.append(f"{name}.words: {session['words']}")
    print(json.dumps(words))
    if wrong or not sessions:
        sys.exit("\n".join(wrong) or "no session in the file")


def recompute(vector):
    """What the inputs in a vector lead to, and the indices of its words."""
    hello = vector["hello"]
    prologue = wire.prologue(hello["purpose"], hello["site"], hello["device"], hello["versions"])
    code = vector["code"]
    psk = bytes(32)
    if code is not None:
        psk = wire.psk(bytes.fromhex(code), hello["site"], hello["device"])
    pattern = {"IKpsk1": wire.ik_psk1, "XXpsk3": wire.xx_psk3}[vector["pattern"]]
    secrets = {side: party(vector[side]) for side in SIDES}
    publics = {side: secrets[side]["static"].public.data for side in SIDES}

    def handshake(side, heard=prologue):
        return wire.Handshake(
            pattern,
            side == "initiator",
            heard,
            secrets[side]["static"],
            psk,
            ephemeral=secrets[side]["ephemeral"].private.data,
            remote_static=publics["responder"] if needs_key(pattern, side) else None,
        )

    ends = {side: handshake(side) for side in SIDES}
    drawn = bytes.fromhex(vector["drawn_session"])
    payloads = [b"", b""]
    words = None
    if pattern is wire.xx_psk3:
        randoms = [secrets[side]["random"] for side in SIDES]
        payloads = [wire.commitment(publics["initiator"], randoms[0]), randoms[1], randoms[0]]
        words = wire.word_indices(*publics.values(), *randoms)
    messages = []
    for turn, payload in enumerate(payloads):
        writer, reader = SIDES if turn % 2 == 0 else reversed(SIDES)
        message = ends[writer].write(payload)
        assert ends[reader].read(message) == payload
        body = wire.encode_opening(prologue, message) if turn == 0 else message
        frame = wire.encode_frame(wire.MESSAGE_1 + turn, drawn, 0, body)
        messages.append({"from": writer, "payload": payload.hex(), "frame": frame.hex()})

    assert ends["initiator"].hash == ends["responder"].hash
    sessions = {side: ends[side].session() for side in SIDES}
    assert sessions["initiator"].id == sessions["responder"].id
    computed = {
        "name": vector["name"],
        "protocol": ends["initiator"].protocol,
        "pattern": vector["pattern"],
        "hello": hello,
        "code": code,
        **{side: shown(secrets[side]) for side in SIDES},
        "drawn_session": drawn.hex(),
        "psk": psk.hex(),
        "prologue": prologue.hex(),
        "messages": messages,
        "handshake_hash": ends["initiator"].hash.hex(),
        "session": sessions["initiator"].id.hex(),
        "keys": {side: [key.hex() for key in sessions[side].send_keys(3)] for side in SIDES},
        "frames": sealed(sessions, vector["frames"]),
        "deliveries": [delivered(sessions, delivery) for delivery in vector["deliveries"]],
        "refused": [
            answered(lambda heard: handshake("responder", heard), refused)
            for refused in vector["refused"]
        ],
    }
    return computed, words


def needs_key(pattern, side):
    return pattern is wire.ik_psk1 and side == "initiator"


def party(published):
    random = published["random"]
    return {
        "static": wire.key_pair(bytes.fromhex(published["static_secret"])),
        "ephemeral": wire.key_pair(bytes.fromhex(published["ephemeral_secret"])),
        "random": None if random is None else bytes.fromhex(random),
    }


def shown(secrets):
    result = {}
    for name in ("static", "ephemeral"):
        result[f"{name}_secret"] = secrets[name].private.data.hex()
        result[f"{name}_public"] = secrets[name].public.data.hex()
    result["random"] = None if secrets["random"] is None else secrets["random"].hex()
    return result


def sealed(sessions, frames):
    """Seals each frame at its time; the numbers left out in one moment were sent too."""
    result = []
    moments = {side: 0 for side in SIDES}
    for frame in frames:
        side, at = frame["from"], frame["at"]
        session = sessions[side]
        session.age(at)
        if at == moments[side]:
            assert session.seq <= frame["seq"], "numbers of one side must grow"
            session.skip(frame["seq"])
        moments[side] = at
        seq, plaintext = session.seq, bytes.fromhex(frame["plaintext"])
        made = session.seal(plaintext).hex()
        result.append(
            {"from": side, "at": at, "seq": seq, "plaintext": plaintext.hex(), "frame": made}
        )
    return result


def delivered(sessions, delivery):
    result = {"note": delivery["note"], "to": delivery["to"], "frame": delivery["frame"]}
    try:
        frame = Frame(bytes.fromhex(delivery["frame"]))
        plaintext, duplicate = sessions[delivery["to"]].open(frame)
    except Refused as refusal:
        return {**result, "outcome": str(refusal), "plaintext": None}
    outcome = "duplicate" if duplicate else "opened"
    return {**result, "outcome": outcome, "plaintext": plaintext.hex()}


def answered(responder, refused):
    """What a fresh responder says to a message 1."""
    outcome = "none"
    try:
        frame = Frame(bytes.fromhex(refused["message1"]))
        prologue, _, noise_message = wire.decode_opening(frame.body)
        responder(prologue).read(noise_message)
    except Refused as refusal:
        outcome = str(refusal)
    return {"note": refused["note"], "message1": refused["message1"], "outcome": outcome}


def differences(path, published, computed):
    if isinstance(published, dict) and isinstance(computed, dict):
        keys = sorted(published.keys() | computed.keys())
        pairs = [(key, published.get(key, "absent"), computed.get(key, "absent")) for key in keys]
    elif isinstance(published, list) and isinstance(computed, list):
        if len(published) != len(computed):
            return [f"{path}: {len(published)} published, {len(computed)} computed"]
        pairs = [(i, a, b) for i, (a, b) in enumerate(zip(published, computed))]
    else:
        return [] if published == computed else [f"{path}: {published}, computed {computed}"]
    return [line for key, a, b in pairs for line in differences(f"{path}.{key}", a, b)]
