#!/usr/bin/env python3
"""Verifies a package of evidence with nothing but the log's public key. Independent of the server's code.

    verify_evidence.py PACKAGE.tar KEY      KEY is the text of /log/key (name+hexid+base64)

Needs Python 3 and its package cryptography. Checks the digest of every file, the receipt of every event, and that each row is
what the events made it: begun by its making, in versions without a gap, each with the reason its decision gives, and in the
versions that the event which ended the review commits to. Exit status 0 on success, with a line, and one more where less than
that is proven; 1 and the reason otherwise.
"""
import hashlib
import json
import sys
import tarfile

import verify_receipt
from verify_receipt import Bad


def unpack(path):
    files = {}
    with tarfile.open(path, "r:") as archive:
        for member in archive:
            if not member.isreg() or member.name.startswith("/") or ".." in member.name.split("/"):
                raise Bad("the package holds something that is no plain file")
            if member.name in files:
                raise Bad("the package holds %s twice" % member.name)
            files[member.name] = archive.extractfile(member).read()
    return files


def check_files(files, manifest):
    named = {"manifest.json"}
    for artefact in manifest["artefacts"]:
        named.add(artefact["path"])
        data = files.get(artefact["path"])
        if data is None:
            raise Bad("%s is named in the manifest and not there" % artefact["path"])
        if hashlib.sha256(data).hexdigest() != artefact["sha256"] or len(data) != artefact["size_bytes"]:
            raise Bad("%s is not the file that the manifest names" % artefact["path"])
    for path in files:
        if path not in named:
            raise Bad("%s is not named in the manifest" % path)


# How the event that ends a review counts its items.
COUNTS = ("kept", "revoked", "ended")


class Rows:
    """What the events made of each row."""

    def __init__(self, types):
        self.types, self.states = types, {}

    def see(self, receipt, event):
        for number, change in enumerate(event.get("changes", [])):
            if change["type"] not in self.types:
                continue
            key = (change["type"], change["id"])
            known = self.states.get(key)
            names = {side: "changes.%d.%s" % (number, side) for side in ("before", "after")}
            sealed = {side: receipt["sealed"].get(name, {}).get("value") for side, name in names.items()}
            if sealed["after"] is None and names["after"] not in receipt.get("erased", {}):
                raise Bad("%s: what %s %s became is not in the package" % (event["id"], *key))
            if known is None and "before" in change:
                raise Bad("%s: the events about %s %s do not begin with its making" % (event["id"], *key))
            version = (sealed["after"] or {}).get("version")
            if known and known[2] and version and version != known[2] + 1:
                raise Bad("%s: an event about %s %s is missing before it" % (event["id"], *key))
            if known and sealed["before"] and known[1] and sealed["before"] != known[1]:
                raise Bad("%s: %s %s was not what the event before left it as" % (event["id"], *key))
            counted = (known[2] + 1 if known[2] else None) if known else None if "before" in change else 1
            self.states[key] = (event["id"], sealed["after"], version or counted)

    def check_end(self, event):
        """Compares what an event that ends something says of its items with what they are by then. Answers whether it commits to
        their versions; None where it ends nothing."""
        facts, target = event.get("facts", {}), event.get("target")
        counts = [facts.get(state) for state in COUNTS]
        digest = facts.get("items_sha256")
        ends = any(target and (change["type"], change["id"]) == (target["type"], target["id"]) for change in event.get("changes", []))
        if not ends or (digest is None and None in counts):
            return None
        items = {key[1]: state for key, state in self.states.items() if key[0] == target["type"] + "_item"}
        lines = sorted(("%s %d\n" % (id, version or 0)).encode() for id, (_, _, version) in items.items())
        if digest is not None and digest != hashlib.sha256(b"".join(lines)).hexdigest():
            raise Bad("%s: its rows ended in other versions than the package has: an event is missing" % event["id"])
        if None not in counts:
            states = [document and document["state"] for _, document, _ in items.values()]
            for state, count in zip(COUNTS, counts):
                if not states.count(state) <= count <= states.count(state) + states.count(None):
                    raise Bad("%s: it counts %d %s, and the package has %d" % (event["id"], count, state, states.count(state)))
            if sum(counts) != len(items):
                raise Bad("%s: it counts %d in all, and the package has %d" % (event["id"], sum(counts), len(items)))
        return digest is not None


def verify(files, key):
    manifest = json.loads(files["manifest.json"])
    if manifest.get("postern_evidence") != 1:
        raise Bad("this is no package of evidence")
    check_files(files, manifest)
    proven = []
    for path in sorted(files):
        if path.startswith("receipts/"):
            receipt = json.loads(files[path])
            event, _ = verify_receipt.verify(receipt, key)
            if path != "receipts/%s.json" % event["id"]:
                raise Bad("%s is the receipt of another event" % path)
            proven.append((receipt["index"], receipt, event))
    proven.sort(key=lambda one: one[0])
    rows = Rows(set(manifest["types"]))
    events = {}
    ends = []
    for _, receipt, event in proven:
        rows.see(receipt, event)
        ends.append(rows.check_end(event))
        events[event["id"]] = (receipt, event)
    claimed = json.loads(files["rows.json"])["rows"]
    if {(row["type"], row["id"]) for row in claimed} != set(rows.states) or len(claimed) != len(rows.states):
        raise Bad("the rows are not those the events are about")
    if (manifest["subject"]["type"], manifest["subject"]["id"]) not in rows.states:
        raise Bad("the package says nothing of what it is about")
    for row in claimed:
        who = "%s %s" % (row["type"], row["id"])
        event, document, _ = rows.states[(row["type"], row["id"])]
        if row.get("event") != event:
            raise Bad("%s: the last event about it is %s" % (who, event))
        if document is not None and row["document"] != document:
            raise Bad("%s is not what %s made it" % (who, event))
        decision = row["document"].get("event_id")
        if decision is None:
            if "reason" in row:
                raise Bad("%s has a reason of nobody" % who)
            continue
        if decision not in events:
            raise Bad("%s: the event that decided it is not in the package" % who)
        receipt, event = events[decision]
        if row["document"]["decided_by"] != event["actor"]["id"] \
                or row["document"]["reason_code"] != event.get("reason_code") \
                or row.get("reason") != receipt["sealed"].get("justification", {}).get("value"):
            raise Bad("%s: who decided it, or why, is not what %s says" % (who, decision))
    ends = [end for end in ends if end is not None]
    return manifest, claimed, proven, ends


def main(path, key):
    manifest, rows, proven, ends = verify(unpack(path), key)
    print("valid: %s, %d rows proven by %d events, for %s" % (
        manifest["subject"]["id"], len(rows), len(proven), ", ".join(one["id"] for one in manifest["controls"])))
    if not ends:
        print("no event here says how it ended: one that came after the last of each row would not be missed")
    elif not all(ends):
        print("what ended it commits to no versions, as older events do: what was decided is compared by counts")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2])
    except (Bad, KeyError, ValueError, tarfile.TarError) as error:
        sys.exit("not valid: %s" % error)
