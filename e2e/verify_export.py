#!/usr/bin/env python3
"""Verifies a JSONL export with nothing but the log's public key. Independent of the server's code.

    verify_export.py EXPORT.jsonl KEY [OLDER_CHECKPOINT ...]

A full export must give the signed root (and that of every older checkpoint given); in a filtered one every event must
carry its proof. Every sealed value is checked against its commitment, and in a full export every erased one against what
its erasure committed to, and the entries that left for an archive against what the retention committed to. An archive is a
filtered export without sealed values. Exit status 0 on success; 1 and the reason otherwise.
"""
import base64
import json
import sys

from verify_receipt import Bad, checkpoint, jcs, root_from, sha


class Tree:
    """The perfect subtrees of a growing tree, largest first."""

    def __init__(self):
        self.size, self.nodes = 0, []

    def append(self, leaf_hash):
        size = self.size
        while size & 1:
            leaf_hash = sha(b"\x01", self.nodes.pop(), leaf_hash)
            size >>= 1
        self.nodes.append(leaf_hash)
        self.size += 1

    def root(self):
        if not self.nodes:
            return sha(b"")
        result = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            result = sha(b"\x01", node, result)
        return result


class Erasures:
    """Which values are said to be erased by which event, and what those events say they removed."""

    def __init__(self):
        self.claimed, self.removed = {}, {}

    def see(self, line, event):
        if event["action"].startswith("erasure."):
            self.removed[event["id"]] = event.get("facts", {})
        for member, erasure in line.get("erased", {}).items():
            self.claimed.setdefault(erasure, []).append([event["id"], member])

    def check(self):
        for erasure in {*self.claimed, *(id for id, facts in self.removed.items() if facts.get("erased"))}:
            members = sorted(self.claimed.get(erasure, []))
            if sha(jcs(members).encode()).hex() != self.removed.get(erasure, {}).get("erased_sha256"):
                raise Bad("the erasure %s did not remove just the values that are said to be erased by it" % erasure)


class Retentions:
    """Which entries are said to have left for the archive under which event, and what those events say."""

    def __init__(self):
        self.claimed, self.said = {}, {}

    def see(self, event):
        if event["action"] == "retention.pruned":
            self.said[event["id"]] = event["facts"]

    def claim(self, line):
        count, chain = self.claimed.get(line["pruned_by"], (0, bytes(32)))
        hashed = base64.b64decode(line["hash"], validate=True)
        chain = sha(chain, line["index"].to_bytes(8, "big"), hashed)
        self.claimed[line["pruned_by"]] = (count + 1, chain)
        return hashed

    def check(self):
        for id in {*self.claimed, *self.said}:
            count, chain = self.claimed.get(id, (0, bytes(32)))
            facts = self.said.get(id, {})
            if (facts.get("pruned"), facts.get("pruned_sha256")) != (count, chain.hex()):
                raise Bad("the retention %s did not let just the entries go that are said to have left under it" % id)


def sealed_members(line, event, where, archive):
    commitments = dict(event.get("sealed", {}))
    for i, change in enumerate(event.get("changes", [])):
        for side in ("before", "after"):
            if side in change:
                commitments["changes.%d.%s" % (i, side)] = change[side]
    sealed, erased = line.get("sealed", {}), line.get("erased", {})
    for name in sealed:
        if name not in commitments:
            raise Bad("%s: the event has no sealed member %s" % (where, name))
    for name, commitment in commitments.items():
        if name in sealed:
            member = sealed[name]
            salt = base64.b64decode(member["salt"], validate=True)
            if base64.b64encode(sha(salt, jcs(member["value"]).encode())).decode() != commitment:
                raise Bad("%s: the sealed member %s is not what the event commits to" % (where, name))
        elif name not in erased and not archive:
            raise Bad("%s: the sealed member %s is missing" % (where, name))
    return len(sealed)


def verify(lines, key, older):
    header = json.loads(next(lines))
    if header.get("postern_export") != 1:
        raise Bad("this is not an export")
    size, root = checkpoint(header["checkpoint"], key)
    known = {size: [root]}
    for note in older:
        at, other = checkpoint(note, key)
        known.setdefault(at, []).append(other)
    if max(known) > size:
        raise Bad("an older checkpoint is larger than the export's")
    tree, count, values, footer, erasures, retentions = Tree(), 0, 0, None, Erasures(), Retentions()

    def grow(line, hashed, where):
        if line["index"] != tree.size:
            raise Bad("%s: entry %d should stand here" % (where, tree.size))
        tree.append(hashed)
        for expected in known.get(tree.size, []):
            if tree.root() != expected:
                raise Bad("the entries do not give the signed root of %d" % tree.size)

    for number, text in enumerate(lines, 2):
        where = "line %d" % number
        if footer is not None:
            raise Bad(where + ": stands after the end")
        line = json.loads(text)
        if "postern_export_end" in line:
            footer = line["count"]
            continue
        if header["full"] and "pruned_by" in line:
            grow(line, retentions.claim(line), where)
            for member, erasure in line.get("erased", {}).items():
                erasures.claimed.setdefault(erasure, []).append([line["id"], member])
            count += 1
            continue
        leaf = base64.b64decode(line["leaf"], validate=True)
        event = json.loads(leaf)
        if event.get("v") != 1 or event["id"] != line["id"]:
            raise Bad(where + ": not the event it says")
        hashed = sha(b"\x00", leaf)
        if header["full"]:
            grow(line, hashed, where)
        else:
            proof = [base64.b64decode(p, validate=True) for p in line["proof"]]
            if root_from(hashed, line["index"], size, proof) != root:
                raise Bad(where + ": the proof does not lead to the signed root")
        values += sealed_members(line, event, where, header.get("archive", False))
        erasures.see(line, event)
        retentions.see(event)
        count += 1
    if footer != count:
        raise Bad("the export is cut off")
    if header["full"] and tree.size != size:
        raise Bad("the export holds %d of %d entries" % (tree.size, size))
    if header["full"]:
        erasures.check()
        retentions.check()
    return count, values, size


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        notes = [open(path, encoding="utf-8").read() for path in sys.argv[3:]]
        with open(sys.argv[1], encoding="utf-8") as file:
            count, values, size = verify(iter(file), sys.argv[2], notes)
    except (Bad, KeyError, ValueError, StopIteration) as error:
        sys.exit("not valid: %s" % error)
    print("valid: %d events of a log of %d, with %d sealed members shown" % (count, size, values))
