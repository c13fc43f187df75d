#!/usr/bin/env python3
"""Verifies a package of evidence with nothing but the log's public key. Independent of the server's code.

    verify_evidence.py PACKAGE.tar KEY      KEY is the text of /log/key (name+hexid+base64)

Needs Python 3 and its package cryptography. Checks the digest of every file, the receipt of every event, and that each row is
what the events made it: begun by its making, in versions without a gap, each with the reason its decision gives. Exit status 0
and one line on success; 1 and the reason otherwise.
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
            self.states[key] = (event["id"], sealed["after"], version or (known[2] + 1 if known and known[2] else None))


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
    for _, receipt, event in proven:
        rows.see(receipt, event)
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
    return manifest, claimed, proven


def main(path, key):
    manifest, rows, proven = verify(unpack(path), key)
    print("valid: %s, %d rows proven by %d events, for %s" % (
        manifest["subject"]["id"], len(rows), len(proven), ", ".join(one["id"] for one in manifest["controls"])))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        main(sys.argv[1], sys.argv[2])
    except (Bad, KeyError, ValueError, tarfile.TarError) as error:
        sys.exit("not valid: %s" % error)
