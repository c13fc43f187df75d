#!/usr/bin/env python3
"""Writes Golden/event-v1.json: events of version 1 with the exact leaf bytes they must have.

The encoder here is written from RFC 8785 and docs of the event format alone and shares nothing with the server's.
    python3 e2e/golden_events.py            writes the file
    python3 e2e/golden_events.py --check    fails when the committed file differs
"""
import base64
import datetime
import hashlib
import pathlib
import sys

FILE = pathlib.Path(__file__).resolve().parent.parent / "Golden" / "event-v1.json"
EXACT = 2**53 - 1


class Decimal(str):
    """A number with a fraction: raw in the draft, a string in anything that is hashed."""


def quote(text):
    out = ['"']
    short = {0x08: "\\b", 0x09: "\\t", 0x0A: "\\n", 0x0C: "\\f", 0x0D: "\\r", 0x22: '\\"', 0x5C: "\\\\"}
    for char in text:
        code = ord(char)
        if code in short:
            out.append(short[code])
        elif code < 0x20:
            out.append("\\u%04x" % code)
        else:
            out.append(char)
    return "".join(out) + '"'


def jcs(value, raw=False):
    """RFC 8785 text. `raw` leaves large integers and decimals as JSON numbers (used for drafts only)."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, Decimal):
        return str(value) if raw else quote(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, int):
        return str(value) if raw or -EXACT <= value <= EXACT else quote(str(value))
    if isinstance(value, list):
        return "[" + ",".join(jcs(v, raw) for v in value) + "]"
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(quote(n) + ":" + jcs(value[n], raw) for n in names) + "}"
    raise TypeError(type(value))


def b64(data):
    return base64.b64encode(data).decode()


def time(micros):
    whole = datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)
    return whole.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def seal(case, draft):
    """The leaf and the sealed row of a draft, with salts SHA-256("salt:<case>:<n>") in the order of commitment."""
    drawn = []
    sealed_row = {}

    def commit(name, value):
        salt = hashlib.sha256(("salt:%s:%d" % (case, len(drawn))).encode()).digest()
        drawn.append(salt)
        sealed_row[name] = {"salt": b64(salt), "value": value}
        return b64(hashlib.sha256(salt + jcs(value).encode("utf-8")).digest())

    leaf = {"v": 1, "id": draft["id"], "at": time(draft["at"])}
    for name in ("class", "action", "outcome", "actor", "retention_class"):
        leaf[name] = draft[name]
    if "auth" in draft:
        auth = draft["auth"]
        leaf["auth"] = {"session": auth["session"], "factors": auth["factors"], "mfa_at": time(auth["mfa_at"])}
    for name in ("client", "acting_as", "tenant", "target", "reason_code", "policy_version", "request_id", "operation_id",
                 "approval_id", "linked", "facts"):
        if name in draft:
            leaf[name] = draft[name]
    if draft.get("changes"):
        leaf["changes"] = []
        for index, change in enumerate(draft["changes"]):
            entry = {"type": change["type"], "id": change["id"]}
            for side in ("before", "after"):
                if side in change:
                    entry[side] = commit("changes.%d.%s" % (index, side), change[side])
            leaf["changes"].append(entry)
    if draft.get("sealed"):
        leaf["sealed"] = {name: commit(name, draft["sealed"][name]) for name in sorted(draft["sealed"])}
    return jcs(leaf).encode("utf-8"), sealed_row


EVENT = "evt_01KAYB1YB2QW3E4R5T6Y7V8A9"
MINIMAL = {
    "id": EVENT + "A", "at": 1_795_353_120_123_456, "class": "system", "action": "log.opened", "outcome": "applied",
    "actor": {"type": "system", "id": "bootstrap"}, "retention_class": "soc2_iso_7y",
}
CASES = {
    "minimal": MINIMAL,
    "every member": {
        "id": EVENT + "B", "at": 1_795_353_120_000_001, "class": "mutation", "action": "tenant.suspend",
        "outcome": "applied", "actor": {"type": "staff", "id": "stf_01KAYB1YB2QW3E4R5T6Y7V8A90"},
        "auth": {"session": "ses_01KAYB1YB2QW3E4R5T6Y7V8A90", "factors": ["password", "totp"],
                 "mfa_at": 1_795_353_000_500_000},
        "client": "console", "acting_as": "usr_01KAYB1YB2QW3E4R5T6Y7V8A90", "tenant": "ten_01KAYB1YB2QW3E4R5T6Y7V8A90",
        "target": {"type": "tenant", "id": "ten_01KAYB1YB2QW3E4R5T6Y7V8A90"}, "reason_code": "non_payment",
        "policy_version": 12, "request_id": "req_01KAYB1YB2QW3E4R5T6Y7V8A90",
        "operation_id": "op_01KAYB1YB2QW3E4R5T6Y7V8A90", "approval_id": "apr_01KAYB1YB2QW3E4R5T6Y7V8A90",
        "linked": EVENT + "A", "retention_class": "financial_7y",
        "facts": {"rows": 2, "nested": {"b": [1, 2, {"z": None, "a": True}], "a": False}},
        "changes": [
            {"type": "tenant", "id": "ten_01KAYB1YB2QW3E4R5T6Y7V8A90",
             "before": {"id": "ten_01KAYB1YB2QW3E4R5T6Y7V8A90", "version": 3, "status": "active", "name": "Acme Robotics"},
             "after": {"id": "ten_01KAYB1YB2QW3E4R5T6Y7V8A90", "version": 4, "status": "suspended", "name": "Acme Robotics"}},
            {"type": "grant", "id": "grt_01KAYB1YB2QW3E4R5T6Y7V8A90", "after": {"id": "grt_01KAYB1YB2QW3E4R5T6Y7V8A90", "version": 1}},
            {"type": "membership", "id": "mem_01KAYB1YB2QW3E4R5T6Y7V8A90", "before": {"version": 1}},
        ],
        "sealed": {"justification": "Invoice 4711 is 60 days overdue.", "actor_ip": "203.0.113.7",
                   "user_agent": "Mozilla/5.0", "ticket": "SUP-12", "details": {"sent": []}},
    },
    "text beyond ASCII": {
        **MINIMAL, "id": EVENT + "C", "facts": {"städte": ["Zürich", "東京", "Αθήνα", "🦆", "e\u0301 is not \u00e9"]},
        "sealed": {"justification": "Kündigung – „sofort“ 🦆"},
    },
    "control characters": {
        **MINIMAL, "id": EVENT + "D",
        "facts": {"all": "".join(chr(code) for code in range(1, 32)), "quotes": "\"\\/\u007f\u0080\u2028\u2029", "tab\tname": "\b\f\n\r"},
    },
    "names beyond the basic plane sort by UTF-16": {
        **MINIMAL, "id": EVENT + "E",
        "facts": {"\ue000": 1, "\U0001f986": 2, "\ufb33": 3, "\u20ac": 4, "a": 5, "A": 6, "1": 7, "": 8, "\r": 9, "\u00f6": 10},
        "sealed": {"details": {"\U00010000": "low surrogate", "\uffff": "last of the plane"}},
    },
    "numbers": {
        **MINIMAL, "id": EVENT + "F", "at": 0,
        "facts": {"zero": 0, "negative": -1, "largest": EXACT, "beyond": EXACT + 1, "below": -EXACT - 1,
                  "int64": 2**63 - 1, "lowest": -(2**63), "decimal": Decimal("1.50"), "exponent": Decimal("1e3")},
    },
    "empty containers": {
        **MINIMAL, "id": EVENT + "G", "at": 253_402_300_799_999_999, "facts": {"list": [], "object": {}, "text": "", "null": None},
        "sealed": {"details": {}},
    },
}


def document():
    cases = []
    for name, draft in CASES.items():
        leaf, sealed = seal(name, draft)
        cases.append({
            "name": name, "draft": draft, "leaf": b64(leaf), "sealed_row": sealed,
            "leaf_hash": hashlib.sha256(b"\x00" + leaf).hexdigest(),
        })
    body = ",\n".join(jcs(case, raw=True) for case in cases)
    return '{"format":"postern event","version":1,"cases":[\n%s\n]}\n' % body


if __name__ == "__main__":
    text = document().encode("utf-8")
    if "--check" in sys.argv:
        if FILE.read_bytes() != text:
            sys.exit("%s differs from what this script writes" % FILE)
    else:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_bytes(text)
