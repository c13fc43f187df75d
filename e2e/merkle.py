"""The transparency log's arithmetic, written from RFC 8785, RFC 9162 and the C2SP texts; shares nothing with the server."""
import base64
import hashlib
import json
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(leaf):
    return sha(b"\0", leaf)


def root(hashes):
    """The root over leaf hashes (RFC 9162, section 2.1.1), level by level: a lone node at the end rises unchanged."""
    if not hashes:
        return sha()
    level = list(hashes)
    while len(level) > 1:
        paired = [sha(b"\1", level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            paired.append(level[-1])
        level = paired
    return level[0]


def tile_hashes(leaf_hashes, level):
    """The hashes that stand in the tiles of a level: roots of complete subtrees of 256**level leaves."""
    width = 256**level
    return [root(leaf_hashes[i * width : (i + 1) * width]) for i in range(len(leaf_hashes) // width)]


def tile_path(number):
    """tlog-tiles: 1234067 is x001/x234/067."""
    text = str(number)
    groups = []
    while True:
        groups.insert(0, text[-3:].zfill(3))
        text = text[:-3]
        if not text:
            break
    return "/".join(["x" + group for group in groups[:-1]] + groups[-1:])


def entries(bundle):
    """The leaves of an entries tile."""
    out, at = [], 0
    while at < len(bundle):
        (length,) = struct.unpack_from(">H", bundle, at)
        assert at + 2 + length <= len(bundle), "an entry is cut off"
        out.append(bundle[at + 2 : at + 2 + length])
        at += 2 + length
    return out


def monitor(fetch, key):
    """Reads a whole log as a monitor from outside would: every bundle that is there against its hashes, the hashes against the signed
    root. `fetch(path)` gives status, bytes and, with 410, the problem. Returns the leaves by index, and the minimum index."""
    _, size, head = key.open(fetch("checkpoint")[1].decode())
    hashes, leaves, minimum = [], {}, 0
    for number in range((size + 255) // 256):
        width = min(256, size - number * 256)
        path = tile_path(number) + ("" if width == 256 else f".p/{width}")
        status, tile, _ = fetch("tile/0/" + path)
        assert status == 200 and len(tile) == width * 32, (path, status)
        of_tile = [tile[i : i + 32] for i in range(0, len(tile), 32)]
        status, bundle, problem = fetch("tile/entries/" + path)
        first = number * 256
        if status == 410:
            # Only what ends at the minimum index, or before it, may be withheld (C2SP tlog-tiles, Pruning).
            minimum = problem["minimum_index"]
            assert first + width <= minimum <= size, problem
            assert all(first <= run["first"] <= run["last"] < first + width for run in problem["archived"]), problem
        else:
            assert status == 200, (path, status)
            found = entries(bundle)
            assert [leaf_hash(leaf) for leaf in found] == of_tile, path
            leaves |= {first + i: leaf for i, leaf in enumerate(found)}
        hashes += of_tile
    assert root(hashes) == head, "the tiles do not give the signed root"
    return leaves, minimum


class Key:
    """A note verifier key: name+hexid+base64(0x01‖key)."""

    def __init__(self, text):
        self.name, self.id, encoded = text.strip().split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
        assert raw[0] == 1 and len(raw) == 33, "not an Ed25519 key"
        assert sha(self.name.encode(), b"\n", raw)[:4].hex() == self.id, "the key id does not belong to name and key"
        self.key = Ed25519PublicKey.from_public_bytes(raw[1:])

    def open(self, note):
        """(origin, size, root) of a checkpoint signed by this key; raises when it is not."""
        text, signatures = note.rsplit("\n\n", 1)
        text += "\n"
        for line in signatures.splitlines():
            dash, name, blob = line.split(" ")
            blob = base64.b64decode(blob, validate=True)
            if dash == "\u2014" and name == self.name and blob[:4].hex() == self.id:
                self.key.verify(blob[4:], text.encode())
                origin, size, head = text.splitlines()[:3]
                return origin, int(size), base64.b64decode(head, validate=True)
        raise AssertionError("the checkpoint carries no signature of " + self.name)


def canonical(value):
    """RFC 8785 for what events hold: no floats, integers within 2**53."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(canonical(n) + ":" + canonical(value[n]) for n in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53 - 1:
        return json.dumps(str(value))
    assert not isinstance(value, float), "a float in an event"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def commitment(salt, value):
    return sha(base64.b64decode(salt), canonical(value).encode("utf-8", "surrogatepass"))
