#!/usr/bin/env python3
"""Verifies a receipt with nothing but the log's public key. Independent of the server's code.

    verify_receipt.py RECEIPT.json KEY      KEY is the text of /log/key (name+hexid+base64)

Needs Python 3 and its package cryptography (pip install cryptography, or Debian's python3-cryptography).
Checks the checkpoint's signature, the path from the leaf to the signed root, and every sealed value against its
commitment. Exit status 0 and one line on success; 1 and the reason otherwise.
"""
import base64
import hashlib
import json
import sys

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    sys.exit("This needs the package cryptography: pip install cryptography")

EXACT = 2**53 - 1


class Bad(Exception):
    pass


def quote(text):
    short = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}
    out = (short.get(ord(c)) or ("\\u%04x" % ord(c) if ord(c) < 0x20 else c) for c in text)
    return '"' + "".join(out) + '"'


def jcs(value):
    """RFC 8785 for the values events hold: no floats."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int):
        return str(value) if -EXACT <= value <= EXACT else quote(str(value))
    if isinstance(value, list):
        return "[" + ",".join(map(jcs, value)) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(quote(n) + ":" + jcs(value[n]) for n in names) + "}"
    raise Bad("a value is of a kind events do not hold")


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def checkpoint(note, key):
    name, key_id, encoded = key.strip().split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    if raw[0] != 1 or len(raw) != 33:
        raise Bad("the key is not an Ed25519 key")
    if sha(name.encode(), b"\n", raw)[:4].hex() != key_id:
        raise Bad("the key id is not the one of name and key")
    text, signatures = note.rsplit("\n\n", 1)
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, blob = line.split(" ")
        blob = base64.b64decode(blob, validate=True)
        if dash == "\u2014" and signer == name and blob[:4].hex() == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(raw[1:]).verify(blob[4:], text.encode())
            except InvalidSignature:
                raise Bad("the checkpoint's signature is not valid")
            break
    else:
        raise Bad("the checkpoint is not signed by this key")
    origin, size, root = text.splitlines()[:3]
    if origin != name:
        raise Bad("the checkpoint is of another log")
    return int(size), base64.b64decode(root, validate=True)


def root_from(leaf_hash, index, size, proof):
    """RFC 9162 section 2.1.3.2."""
    if not 0 <= index < size:
        raise Bad("the index is outside the tree")
    fn, sn, r = index, size - 1, leaf_hash
    for p in proof:
        if sn == 0:
            raise Bad("the proof is too long")
        if fn & 1 or fn == sn:
            r = sha(b"\x01", p, r)
            while fn and not fn & 1:
                fn >>= 1
                sn >>= 1
        else:
            r = sha(b"\x01", r, p)
        fn >>= 1
        sn >>= 1
    if sn:
        raise Bad("the proof is too short")
    return r


def verify(receipt, key):
    leaf = base64.b64decode(receipt["leaf"], validate=True)
    event = json.loads(leaf)
    if event.get("v") != 1:
        raise Bad("the event is not of version 1")
    size, root = checkpoint(receipt["checkpoint"], key)
    if size != receipt["size"]:
        raise Bad("receipt and checkpoint are of different sizes")
    proof = [base64.b64decode(p, validate=True) for p in receipt["proof"]]
    if root_from(sha(b"\x00", leaf), receipt["index"], size, proof) != root:
        raise Bad("the proof does not lead to the signed root")
    commitments = dict(event.get("sealed", {}))
    for i, change in enumerate(event.get("changes", [])):
        for side in ("before", "after"):
            if side in change:
                commitments["changes.%d.%s" % (i, side)] = change[side]
    for name, member in receipt["sealed"].items():
        if name not in commitments:
            raise Bad("the event has no sealed member " + name)
        salt = base64.b64decode(member["salt"], validate=True)
        if base64.b64encode(sha(salt, jcs(member["value"]).encode())).decode() != commitments[name]:
            raise Bad("the sealed member %s is not what the event commits to" % name)
    return event, size


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            receipt = json.load(file)
        event, size = verify(receipt, sys.argv[2])
    except (Bad, KeyError, ValueError) as error:
        sys.exit("not valid: %s" % error)
    print("valid: %s is entry %d of %d, with %d sealed members shown" % (
        event["id"], receipt["index"], size, len(receipt["sealed"])))
