#!/usr/bin/env python3
"""Verifies a JSONL export with nothing but the log's public key. Independent of the server's code.

    verify_export.py [--csv TABLE.csv] EXPORT.jsonl KEY [OLDER_CHECKPOINT ...]

A full export must give the signed root (and that of every older checkpoint given); in a filtered one every event must
carry its proof. Every sealed value is checked against its commitment, and in a full export every erased one against what
its erasure committed to, and the entries that left for an archive against what the retention committed to. An archive is a
filtered export without sealed values. With --csv the table must hold the same entries in the same order, each cell being what
the leaf and the sealed values that were just verified say. Exit status 0 on success; 1 and the reason otherwise.
"""
import base64
import csv
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


class Table:
    """The comma-separated values of an export, compared with its lines."""

    SEALED = ("justification", "ticket", "actor_ip", "user_agent")
    FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")

    def __init__(self, file):
        self.rows = csv.DictReader(file, strict=True)

    @classmethod
    def text(cls, value):
        """A cell: nothing, a number as it is, text with the apostrophe that keeps a spreadsheet from calculating it."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return str(value)
        value = value if isinstance(value, str) else jcs(value)
        return "'" + value if value.startswith(cls.FORMULA) else value

    def see(self, line, event, hashed, where):
        row = next(self.rows, None)
        if row is None:
            raise Bad("%s: the table ends before this entry" % where)
        expected = dict.fromkeys(self.rows.fieldnames, "")
        expected.update(index=str(line["index"]), id=line["id"], leaf_hash=hashed.hex(), pruned_by=line.get("pruned_by", ""),
                        erased=" ".join(sorted(line.get("erased", {}))))
        if event is not None:
            parts = {"actor": event["actor"], "target": event.get("target", {})}
            for name in self.rows.fieldnames:
                whole, _, part = name.partition("_")
                if name in self.SEALED:
                    if name in line.get("sealed", {}) and name not in line.get("erased", {}):
                        expected[name] = self.text(line["sealed"][name]["value"])
                elif whole in parts and part in ("type", "id"):
                    expected[name] = self.text(parts[whole].get(part))
                elif name in event:
                    expected[name] = self.text(event[name])
        if row != expected:
            wrong = [name for name in expected if row.get(name) != expected[name]] or ["the number of cells"]
            raise Bad("%s: the table says something else of entry %d in %s" % (where, line["index"], ", ".join(wrong)))

    def check(self):
        if next(self.rows, None) is not None:
            raise Bad("the table holds entries that the export does not")


def verify(lines, key, older, table=None):
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
            hashed = retentions.claim(line)
            grow(line, hashed, where)
            if table:
                table.see(line, None, hashed, where)
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
        if table:
            table.see(line, event, hashed, where)
        erasures.see(line, event)
        retentions.see(event)
        count += 1
    if footer != count:
        raise Bad("the export is cut off")
    if header["full"] and tree.size != size:
        raise Bad("the export holds %d of %d entries" % (tree.size, size))
    if table:
        table.check()
    if header["full"]:
        erasures.check()
        retentions.check()
    return count, values, size


if __name__ == "__main__":
    arguments = sys.argv[1:]
    path = None
    if arguments[:1] == ["--csv"]:
        path, arguments = arguments[1], arguments[2:]
    if len(arguments) < 2:
        sys.exit(__doc__)
    try:
        notes = [open(note, encoding="utf-8").read() for note in arguments[2:]]
        table = Table(open(path, encoding="utf-8", newline="")) if path else None
        with open(arguments[0], encoding="utf-8") as file:
            count, values, size = verify(iter(file), arguments[1], notes, table)
    except (Bad, KeyError, ValueError, StopIteration, csv.Error) as error:
        sys.exit("not valid: %s" % error)
    print("valid: %d events of a log of %d, with %d sealed members shown" % (count, size, values)
          + (", and the table says the same" if path else ""))
