#!/usr/bin/env python3
"""Proves, from the database alone and with none of the server's code, that nothing acknowledged was lost or doubled.

    checker.py DATABASE_URL [ACKNOWLEDGED.jsonl]       sqlite:PATH or postgres://…

Each finding is a line; exit status 1 when there is one. What is checked:

- every acknowledged answer has its event, its stored outcome and its change, with the same ids;
- one idempotency key has one event, and an applied event of a person with a key has exactly one key;
- every event is in the log or waits for it, never both and never neither, in gapless indexes, with the hash of its very
  bytes; the root over all of them is the stored one; every full tile holds what the leaves say;
- sealed values are those the leaves commit to;
- for each entity: versions rise by one from event to event, each *before* is the *after* of the event before it, and the
  row stands at the version of its last event, which entity_head names;
- what belongs to a mutation was written with it: the status history and the outbox have one entry for each event that
  changed a tenant's status, and none besides.
"""
import base64
import collections
import json
import sqlite3
import sys
import time

import merkle

TABLES = {
    "staff": "staff", "approval_signature": "approval_signatures", "exchange_rate": "exchange_rates",
    "role": "roles", "role_permission": "role_permissions", "grant": "grants",
    "approval_rule": "approval_rules", "approval": "approvals", "factor": "factors", "tenant": "tenants",
    "user": "users", "membership": "memberships", "drift": "drifts", "runtime_token": "runtime_tokens",
    "segment": "segments", "discrepancy": "discrepancies", "webhook": "webhooks", "delivery": "deliveries",
    "setting": "settings", "role_separation": "role_separations", "staff_flag": "staff_flags",
    "recovery": "recoveries", "breakglass": "breakglass_sessions", "service_account": "service_accounts",
    "scim_token": "scim_tokens", "scim_user": "scim_users", "pending_grant": "pending_grants",
    "recovery": "recoveries", "access_review": "access_reviews", "access_review_item": "access_review_items",
    "access_review_plan": "access_review_plans", "compliance_exception": "compliance_exceptions",
    "clock_jump": "clock_jumps", "worker": "workers",
}


class Database:
    """Reads only."""

    def __init__(self, url):
        self.is_sqlite = url.startswith("sqlite:")
        if self.is_sqlite:
            self.connection = sqlite3.connect(url.removeprefix("sqlite:"), timeout=30)
            self.connection.execute("PRAGMA query_only = 1")
        else:
            import psycopg

            self.connection = psycopg.connect(url, autocommit=True)
            self.connection.execute("SET default_transaction_read_only = on")

    @classmethod
    def of(cls, server):
        return cls(server.database.url or f"sqlite:{sqlite_file(server.data)}")

    def rows(self, sql, *values):
        cursor = self.connection.execute(sql if self.is_sqlite else sql.replace("%", "%%").replace("?", "%s"), values)
        names = [column[0] for column in cursor.description]
        out = []
        for row in cursor:
            out.append(dict(zip(names, (bytes(v) if isinstance(v, (memoryview, bytearray)) else v for v in row))))
        return out

    def one(self, sql, *values):
        rows = self.rows(sql, *values)
        return next(iter(rows[0].values())) if rows else None

    def snapshot(self):
        """Everything after this is read at one moment."""
        self.connection.execute("BEGIN" if self.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ")

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def sqlite_file(directory):
    """The embedded database's file, whatever it is called."""
    for path in sorted(directory.glob("*.db")) + sorted(directory.glob("*.sqlite*")):
        with open(path, "rb") as f:
            if f.read(16) == b"SQLite format 3\0":
                return path
    raise AssertionError(f"no SQLite database in {directory}")


class Checker:
    def __init__(self, database):
        self.db = database
        self.findings = []

    def note(self, sentence):
        self.findings.append(sentence)

    def run(self, acknowledged=()):
        """The list of findings; empty when all is well."""
        self.db.snapshot()
        self.load()
        self.check_log()
        self.check_entities()
        self.check_keys()
        self.check_companions()
        for answer in acknowledged:
            self.check_acknowledged(answer)
        return self.findings

    def load(self):
        self.events = {}
        for row in self.db.rows("SELECT * FROM events"):
            leaf = json.loads(row["leaf"])
            row["event"] = leaf
            self.events[row["id"]] = row
            for column, value in (
                ("id", leaf["id"]), ("class", leaf["class"]), ("action", leaf["action"]), ("outcome", leaf["outcome"]),
                ("actor_id", leaf["actor"]["id"]), ("tenant_id", leaf.get("tenant")),
                ("target_id", leaf.get("target", {}).get("id")), ("operation_id", leaf.get("operation_id")),
                ("linked", leaf.get("linked")),
            ):
                if row[column] != value:
                    self.note(f"event {row['id']}: column {column} is {row[column]!r}, the leaf says {value!r}")
        self.sealed = {r["event_id"]: json.loads(r["members"]) for r in self.db.rows("SELECT * FROM sealed")}
        self.erased = {(r["event_id"], r["member"]) for r in self.db.rows("SELECT * FROM sealed_erasure")}
        for id in self.events:
            self.check_sealed(id)

    def check_sealed(self, id):
        leaf = self.events[id]["event"]
        commitments = dict(leaf.get("sealed", {}))
        for index, change in enumerate(leaf.get("changes", [])):
            for side in ("before", "after"):
                if side in change:
                    commitments[f"changes.{index}.{side}"] = change[side]
        members = self.sealed.get(id, {})
        for name, commitment in commitments.items():
            if name not in members:
                if (id, name) not in self.erased:
                    self.note(f"event {id}: sealed member {name} is missing and was not erased")
            elif merkle.commitment(members[name]["salt"], members[name]["value"]) != base64.b64decode(commitment):
                self.note(f"event {id}: sealed member {name} is not what the leaf commits to")
        for name in members.keys() - commitments.keys():
            self.note(f"event {id}: sealed member {name} has no commitment")

    def check_log(self):
        leaves = self.db.rows("SELECT * FROM log_leaf ORDER BY idx")
        pending = {r["event_id"] for r in self.db.rows("SELECT event_id FROM log_pending")}
        sequenced = {r["event_id"] for r in leaves}
        for id in self.events.keys() - sequenced - pending:
            self.note(f"event {id} is neither in the log nor pending")
        for id in sequenced & pending:
            self.note(f"event {id} is in the log and still pending")
        for id in (sequenced | pending) - self.events.keys():
            self.note(f"the log names {id}, which is no event")
        for position, row in enumerate(leaves):
            if row["idx"] != position:
                self.note(f"the log has a gap: index {position} is missing")
                break
            event = self.events.get(row["event_id"])
            if event and merkle.leaf_hash(event["leaf"]) != row["hash"]:
                self.note(f"leaf {position} ({row['event_id']}) has not the hash of its bytes")
        self.pending = len(pending)
        hashes = [row["hash"] for row in leaves]
        state = self.db.rows("SELECT * FROM log_state")
        if state:
            size, head = state[0]["size"], state[0]["root"]
            if size != len(hashes):
                self.note(f"log_state says {size} leaves, there are {len(hashes)}")
            if merkle.root(hashes) != head:
                self.note("the stored root is not the root over the leaves")
        elif hashes:
            self.note("there are leaves and no log_state")
        for row in self.db.rows("SELECT * FROM log_checkpoint"):
            if row["size"] > len(hashes) or merkle.root(hashes[: row["size"]]) != row["root"]:
                self.note(f"the checkpoint at size {row['size']} is not a root of this log")
        expected = {}
        level, row = 0, hashes
        while len(row) >= 256:
            for n in range(len(row) // 256):
                expected[level, n] = b"".join(row[n * 256 : n * 256 + 256])
            row = [merkle.root(row[n * 256 : n * 256 + 256]) for n in range(len(row) // 256)]
            level += 1
        stored = {(r["level"], r["n"]): r["hashes"] for r in self.db.rows("SELECT * FROM log_tile")}
        for tile in expected.keys() | stored.keys():
            if expected.get(tile) != stored.get(tile):
                self.note(f"tile {tile[0]}/{tile[1]} is not what the leaves say")

    def check_entities(self):
        chains = collections.defaultdict(list)
        named = {(r["type"], r["id"], r["event_id"]) for r in self.db.rows("SELECT * FROM event_entity")}
        digested = collections.defaultdict(dict)
        # What an erasure reached can't be followed from version to version any more.
        forgotten = set()
        for id, row in self.events.items():
            leaf = row["event"]
            members = self.sealed.get(id, {})
            for index, change in enumerate(leaf.get("changes", [])):
                if (change["type"], change["id"], id) not in named:
                    self.note(f"event {id} changes {change['type']} {change['id']}, event_entity does not say so")
                before, after = (members.get(f"changes.{index}.{s}", {}).get("value") for s in ("before", "after"))
                if any((id, f"changes.{index}.{s}") in self.erased for s in ("before", "after") if s in change):
                    forgotten.add((change["type"], change["id"]))
                elif after is not None and ("before" in change) == (before is not None):
                    chains[change["type"], change["id"]].append((after["version"], before, after, id))
            for entry in (members.get("details", {}).get("value") or {}).get("rows", []):
                digested[entry["type"], entry["id"]][entry["version"]] = (entry["sha256"], id)
        heads = {(r["type"], r["id"]): r["event_id"] for r in self.db.rows("SELECT * FROM entity_head")}
        for (type, id), chain in chains.items():
            if (type, id) in forgotten:
                continue
            # An applied event's changes; a request that waits for approval has them sealed in its details instead.
            chain.sort(key=lambda link: link[0])
            name = f"{type} {id}"
            for index, (version, before, after, event) in enumerate(chain):
                if index:
                    previous_version, _, previous_after, previous_event = chain[index - 1]
                    if version == previous_version:
                        self.note(f"{name}: version {version} was made twice, by {previous_event} and {event}")
                    elif version != previous_version + 1:
                        self.note(f"{name}: no event made the versions between {previous_version} and {version}")
                    elif merkle.canonical(before) != merkle.canonical(previous_after):
                        self.note(f"{name}: what {event} found is not what {previous_event} left")
                elif before is None:
                    if version != 1:
                        self.note(f"{name}: created by {event} with version {version}")
                elif before["version"] in digested[type, id]:
                    digest, origin = digested[type, id][before["version"]]
                    if merkle.sha(merkle.canonical(before).encode()).hex() != digest:
                        self.note(f"{name}: what {event} found is not what {origin} recorded")
                else:
                    self.note(f"{name}: no event made version {before['version']}, which {event} found")
                if before is not None and before["version"] + 1 != version:
                    self.note(f"{name}: {event} went from version {before['version']} to {version}")
            if heads.get((type, id)) != chain[-1][3]:
                self.note(f"{name}: entity_head names {heads.get((type, id))}, the last event is {chain[-1][3]}")
        rows = {}
        for type, table in TABLES.items():
            for row in self.db.rows(f"SELECT id, version FROM {table}"):
                rows[type, row["id"]] = row["version"]
        for entity, version in rows.items():
            if entity in forgotten:
                continue
            last = chains[entity][-1][0] if entity in chains else max(digested.get(entity, {0: None}))
            if version != last:
                self.note(f"{entity[0]} {entity[1]} stands at version {version}, its last event made {last}")
        for entity in (chains.keys() | digested.keys()) - rows.keys():
            self.note(f"{entity[0]} {entity[1]} has events and no row")
        self.chains = chains

    def check_keys(self):
        self.keys = {}
        by_event = collections.Counter()
        for row in self.db.rows("SELECT * FROM idempotency"):
            self.keys[row["person"], row["key"]] = row
            if not row["event_id"] and row["person"].startswith("rtk_"):
                continue  # what a product said was so already
            by_event[row["event_id"]] += 1
            event = self.events.get(row["event_id"])
            if event is None:
                self.note(f"key {row['key']} of {row['person']} points to {row['event_id']}, which is no event")
            elif event["action"] != row["operation"] or row["person"] not in (
                    event["actor_id"], event["event"].get("facts", {}).get("token")):
                self.note(f"key {row['key']} of {row['person']} points to somebody else's event {event['id']}")
        for id, count in by_event.items():
            if count != 1:
                self.note(f"event {id} is the outcome of {count} keys")
        for id, row in self.events.items():
            through_pipeline = row["event"].get("operation_id") and row["outcome"] in ("applied", "requested")
            # Stored outcomes are kept for a day at least and forgotten after.
            a_day_ago = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 24 * 3600))
            may_be_forgotten = row["event"].get("at", a_day_ago) < a_day_ago
            if through_pipeline and row["actor_type"] == "staff" and id not in by_event and not may_be_forgotten:
                self.note(f"event {id} ({row['action']}) by {row['actor_id']} belongs to no key")

    def check_companions(self):
        history = collections.Counter(
            r["event_id"] for r in self.db.rows("SELECT event_id FROM tenant_status_history"))
        outbox = collections.defaultdict(list)
        for row in self.db.rows("SELECT * FROM outbox"):
            outbox[row["event_id"]].append(row)
        a_month_ago = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() - 30 * 24 * 3600))
        moved = {}
        for (type, id), chain in self.chains.items():
            for version, before, after, event in chain:
                if type == "tenant" and before is not None and before["status"] != after["status"]:
                    moved[event] = version
        for event, version in moved.items():
            if history[event] != 1:
                self.note(f"event {event} changed a status and has {history[event]} history entries")
            told = [row for row in outbox[event] if row["kind"] == "webhook"]
            # What was needed to send is kept for 30 days, as configured, and forgotten after.
            if not told and self.events[event]["event"].get("at", a_month_ago) < a_month_ago:
                continue
            if len(told) != 1:
                self.note(f"event {event} changed a status and has {len(told)} webhooks in the outbox")
            elif told[0]["tenant_version"] != version:
                self.note(f"event {event} made version {version}, its webhook carries {told[0]['tenant_version']}")
        for event in history.keys() - self.events.keys():
            self.note(f"the status history names {event}, which is no event")
        for event in outbox.keys() - self.events.keys():
            self.note(f"the outbox names {event}, which is no event")

    def check_acknowledged(self, answer):
        """`answer`: {"person", "key", "tenant", "body"} as a client got it with status 200."""
        body, key = answer["body"], answer["key"]
        event = self.events.get(body["event_id"])
        if event is None:
            self.note(f"LOST: key {key} was acknowledged with event {body['event_id']}, which does not exist")
            return
        if (event["action"], event["target_id"], event["operation_id"], event["outcome"], event["actor_id"]) != (
            body["operation"], answer["tenant"], body["operation_id"], "applied", answer["person"],
        ):
            self.note(f"key {key}: event {event['id']} is not what was acknowledged")
        stored = self.keys.get((answer["person"], key))
        if stored is None or stored["event_id"] != event["id"]:
            self.note(f"key {key}: acknowledged with {event['id']}, stored with {stored and stored['event_id']}")
        link = next((link for link in self.chains["tenant", answer["tenant"]] if link[3] == event["id"]), None)
        if link is None:
            self.note(f"LOST: key {key} was acknowledged, tenant {answer['tenant']} was not changed by {event['id']}")
        elif merkle.canonical(link[2]) != merkle.canonical(body["after"]):
            self.note(f"key {key}: the state of event {event['id']} is not the acknowledged one")


def read_acknowledged(path):
    """Complete lines only: the writer may have been stopped within the last one."""
    with open(path, "rb") as f:
        return [json.loads(line) for line in f if line.endswith(b"\n")]


def main(url, path=None):
    acknowledged = read_acknowledged(path) if path else []
    with Database(url) as database:
        checker = Checker(database)
        findings = checker.run(acknowledged)
    for finding in findings:
        print(finding)
    print(f"{len(checker.events)} events, {checker.pending} pending, {len(checker.chains)} entities, "
          f"{len(acknowledged)} acknowledged answers: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
