"""The checker finds what it is there to find: each case spoils one thing in a small database that is in order."""
import base64
import sqlite3
import time

import checker
import merkle
import pytest

TABLES = """
CREATE TABLE events (id, class, action, outcome, actor_type, actor_id, tenant_id, target_id, operation_id, linked, leaf);
CREATE TABLE event_entity (event_id, type, id);
CREATE TABLE entity_head (type, id, event_id);
CREATE TABLE sealed (event_id, members);
CREATE TABLE sealed_erasure (event_id, member);
CREATE TABLE log_pending (event_id);
CREATE TABLE log_leaf (idx, event_id, hash);
CREATE TABLE log_tile (level, n, hashes);
CREATE TABLE log_state (size, root);
CREATE TABLE log_checkpoint (size, root);
CREATE TABLE idempotency (person, key, operation, event_id);
CREATE TABLE outbox (event_id, kind, tenant_version);
CREATE TABLE tenant_status_history (event_id);
"""


def state(version, status):
    return {"id": "ten_1", "version": version, "status": status, "name": "Café"}


class Rows:
    def __init__(self, path):
        self.path = path
        self.db = sqlite3.connect(path)
        self.db.execute("PRAGMA synchronous = OFF")
        self.db.executescript("BEGIN;" + TABLES + "COMMIT;")
        for table in checker.TABLES.values():
            self.db.execute(f"CREATE TABLE {table} (id, version)")
        self.hashes = []
        self.answers = []

    def event(self, id, key, before, after, at=None):
        salts = {"before": b"b" * 32, "after": b"a" * 32}
        change, members = {"type": "tenant", "id": "ten_1"}, {}
        for side, value in (("before", before), ("after", after)):
            if value:
                salt = base64.b64encode(salts[side]).decode()
                change[side] = base64.b64encode(merkle.commitment(salt, value)).decode()
                members[f"changes.0.{side}"] = {"salt": salt, "value": value}
        action = "tenant.suspend" if before else "tenant.create"
        leaf = {"v": 1, "id": id, "class": "mutation", "action": action, "outcome": "applied",
                "actor": {"type": "staff", "id": "stf_1"}, "tenant": "ten_1",
                "target": {"type": "tenant", "id": "ten_1"}, "operation_id": "op_" + id, "changes": [change]}
        if at:
            leaf["at"] = at
        raw = merkle.canonical(leaf).encode()
        self.db.execute("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?)", (
            id, "mutation", action, "applied", "staff", "stf_1", "ten_1", "ten_1", "op_" + id, None, raw))
        self.db.execute("INSERT INTO event_entity VALUES (?, 'tenant', 'ten_1')", (id,))
        self.db.execute("INSERT INTO sealed VALUES (?, ?)", (id, merkle.canonical(members)))
        self.db.execute("INSERT INTO log_leaf VALUES (?, ?, ?)", (len(self.hashes), id, merkle.leaf_hash(raw)))
        self.hashes.append(merkle.leaf_hash(raw))
        self.db.execute("INSERT INTO idempotency VALUES ('stf_1', ?, ?, ?)", (key, action, id))
        if before and before["status"] != after["status"]:
            self.db.execute("INSERT INTO tenant_status_history VALUES (?)", (id,))
            self.db.execute("INSERT INTO outbox VALUES (?, 'webhook', ?)", (id, after["version"]))
        self.answers.append({"person": "stf_1", "key": key, "tenant": "ten_1", "body": {
            "operation": action, "operation_id": "op_" + id, "event_id": id, "after": after}})

    def findings(self):
        self.db.commit()
        with checker.Database(f"sqlite:{self.path}") as database:
            return checker.Checker(database).run(self.answers)


@pytest.fixture
def rows(tmp_path):
    rows = Rows(tmp_path / "rows.db")
    rows.event("evt_1", "k1", None, state(1, "active"))
    rows.event("evt_2", "k2", state(1, "active"), state(2, "suspended"))
    rows.event("evt_3", "k3", state(2, "suspended"), state(3, "active"))
    rows.db.execute("INSERT INTO entity_head VALUES ('tenant', 'ten_1', 'evt_3')")
    rows.db.execute("INSERT INTO tenants VALUES ('ten_1', 3)")
    rows.db.execute("INSERT INTO log_state VALUES (3, ?)", (merkle.root(rows.hashes),))
    rows.db.execute("INSERT INTO log_checkpoint VALUES (2, ?)", (merkle.root(rows.hashes[:2]),))
    return rows


def test_nothing_is_found_in_order(rows):
    assert rows.findings() == []


@pytest.mark.parametrize("spoil, finding", [
    ("DELETE FROM tenant_status_history WHERE event_id = 'evt_2'", "0 history entries"),
    ("DELETE FROM outbox WHERE event_id = 'evt_2'", "0 webhooks"),
    ("INSERT INTO outbox VALUES ('evt_2', 'webhook', 2)", "2 webhooks"),
    ("UPDATE outbox SET tenant_version = 9 WHERE event_id = 'evt_2'", "its webhook carries 9"),
    ("UPDATE tenants SET version = 4", "stands at version 4, its last event made 3"),
    ("DELETE FROM tenants", "has events and no row"),
    ("INSERT INTO users VALUES ('usr_1', 1)", "user usr_1 stands at version 1, its last event made 0"),
    ("DELETE FROM idempotency WHERE key = 'k2'", "belongs to no key"),
    ("INSERT INTO idempotency VALUES ('stf_1', 'k9', 'tenant.suspend', 'evt_2')", "the outcome of 2 keys"),
    ("UPDATE idempotency SET event_id = 'evt_9' WHERE key = 'k2'", "which is no event"),
    ("DELETE FROM log_leaf WHERE idx = 2", "evt_3 is neither in the log nor pending"),
    ("UPDATE log_leaf SET idx = 7 WHERE idx = 1", "index 1 is missing"),
    ("INSERT INTO log_pending VALUES ('evt_3')", "in the log and still pending"),
    ("UPDATE log_leaf SET hash = x'00' WHERE idx = 1", "has not the hash of its bytes"),
    ("UPDATE log_state SET root = x'00'", "the stored root is not"),
    ("UPDATE log_state SET size = 2", "log_state says 2 leaves"),
    ("UPDATE log_checkpoint SET root = x'00'", "the checkpoint at size 2"),
    ("INSERT INTO log_tile VALUES (0, 0, x'00')", "tile 0/0"),
    ("UPDATE entity_head SET event_id = 'evt_2'", "the last event is evt_3"),
    ("UPDATE sealed SET members = replace(members, 'Café', 'Cafe') WHERE event_id = 'evt_2'", "not what the leaf commits to"),
    ("UPDATE sealed SET members = '{}' WHERE event_id = 'evt_2'", "is missing and was not erased"),
    ("UPDATE events SET outcome = 'denied' WHERE id = 'evt_2'", "column outcome is 'denied'"),
    ("DELETE FROM event_entity WHERE event_id = 'evt_2'", "event_entity does not say so"),
])
def test_each_spoiled_row_is_found(rows, spoil, finding):
    assert rows.db.execute(spoil).rowcount == 1
    found = rows.findings()
    assert any(finding in sentence for sentence in found), found


def test_a_doubled_operation_is_found(rows):
    rows.event("evt_4", "k4", state(2, "suspended"), state(3, "active"))
    assert any("version 3 was made twice" in sentence for sentence in rows.findings())


@pytest.mark.parametrize("hours, is_found", [(23, True), (25, False)])
def test_an_outcome_may_be_forgotten_after_a_day_and_not_before(rows, hours, is_found):
    at = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() - hours * 3600))
    rows.event("evt_4", "k4", state(3, "active"), state(4, "suspended"), at)
    rows.answers.pop()
    rows.db.execute("DELETE FROM idempotency WHERE key = 'k4'")
    found = rows.findings()
    assert any("evt_4 (tenant.suspend) by stf_1 belongs to no key" in sentence for sentence in found) == is_found, found


def test_a_broken_chain_is_found(rows):
    rows.event("evt_4", "k4", state(3, "suspended"), state(4, "active"))
    assert any("what evt_4 found is not what evt_3 left" in sentence for sentence in rows.findings())


def test_a_missing_version_is_found(rows):
    rows.event("evt_4", "k4", state(4, "active"), state(5, "suspended"))
    assert any("between 3 and 5" in sentence for sentence in rows.findings())


def test_an_acknowledged_operation_that_is_gone_is_found(rows):
    rows.answers.append({"person": "stf_1", "key": "k8", "tenant": "ten_1", "body": {
        "operation": "tenant.suspend", "operation_id": "op_8", "event_id": "evt_8", "after": state(4, "suspended")}})
    assert any(sentence.startswith("LOST: key k8") for sentence in rows.findings())


def test_an_acknowledged_state_that_is_not_the_recorded_one_is_found(rows):
    rows.answers[1]["body"]["after"] = state(2, "archived")
    assert any("is not the acknowledged one" in sentence for sentence in rows.findings())


def test_a_torn_last_line_is_not_an_acknowledgement(tmp_path):
    path = tmp_path / "acks"
    path.write_bytes(b'{"key": "a"}\n{"key": "b"')
    assert checker.read_acknowledged(path) == [{"key": "a"}]
