"""Large data beside the demo company: whole, always the same, and gone on with after a stop."""
import json
import signal
import sqlite3

import checker
import postern
import pytest
from conftest import new_database

# Two transactions of tenants, of which the second is large enough to be stopped in, and eight of events.
TENANTS, EVENTS = 1501, 1600
MAKE = ("demo", "--tenants", str(TENANTS), "--events", str(EVENTS), "--no-serve")


@pytest.fixture(scope="module")
def makings(tmp_path_factory, request):
    """Made in one go on a database, when it is first asked for: the server, and what was in it then. Looked at by several tests, of
    which the last one changes it."""
    servers, made = [], {}

    def make(kind):
        if kind not in made:
            server = postern.Server(tmp_path_factory.mktemp("large") / "made", new_database(kind, request))
            servers.append(server)
            done = server.run(*MAKE, seconds=300)
            assert done.returncode == 0, done.stderr
            with checker.Database.of(server) as database:
                made[kind] = server, content(database)
        return made[kind]

    yield make
    for server in servers:
        server.kill()
        server.database.drop()


@pytest.fixture
def made(makings, kind):
    return makings(kind)[0]


def content(database):
    """What does not hang on the demo's own people."""
    ours = "(SELECT id FROM tenants WHERE slug LIKE 'tenant-%')"
    queries = (
        "SELECT id, external_id, slug, name, status, plan, tier, region, owner_id, metadata, version, created_at, updated_at, "
        "last_activity_at FROM tenants WHERE slug LIKE 'tenant-%' ORDER BY id",
        "SELECT id, external_id, email, name, created_at FROM users WHERE email LIKE '%@mail.example.test' ORDER BY id",
        f"SELECT id, tenant_id, user_id, role FROM memberships WHERE tenant_id IN {ours} ORDER BY id",
        f"SELECT id, at, class, action, outcome, tenant_id FROM events WHERE tenant_id IN {ours} ORDER BY id",
    )
    return [[tuple(row.values()) for row in database.rows(query)] for query in queries]


def verified(server):
    done = server.run("verify", "--json", seconds=300, POSTERN_ENVIRONMENT="demo")
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["clean"] is True
    return report


def test_it_is_whole_and_has_its_shape(made):
    report = verified(made)
    with checker.Database.of(made) as database:
        tenants, users, memberships, events = content(database)
        assert (len(tenants), len(users), len(memberships)) == (TENANTS, 3 * TENANTS, 3 * TENANTS)
        assert checker.Checker(database).run() == []
        assert database.one("SELECT count(*) FROM log_pending") == 0
        assert report["size"] == database.one("SELECT size FROM log_state")
        signed_in = database.one("SELECT count(*) FROM events WHERE action = 'signin.succeeded' AND at < 1767225600000000")
    first = next(row[0] for row in tenants if row[2] == "tenant-1")
    per_tenant = {}
    for row in events:
        per_tenant[row[5]] = per_tenant.get(row[5], 0) + 1
    assert abs(per_tenant[first] - EVENTS * 0.02) < EVENTS * 0.004
    assert len(events) + signed_in >= EVENTS and signed_in >= EVENTS // 64
    words = {(row[2], row[3], row[4]) for row in events}
    assert {("access", "tenant.view", "applied"), ("mutation", "tenant.update", "applied"),
            ("mutation", "tenant.update", "denied")} <= words
    edits = sum(row[3] == "tenant.update" and row[4] == "applied" for row in events)
    assert edits > EVENTS // 20 and sum(row[10] - 1 for row in tenants) == edits
    assert 0.85 < sum(row[4] == "active" for row in tenants) / TENANTS < 0.95
    times = [row[1] for row in events]
    assert max(times) - min(times) > 700 * 86_400 * 1_000_000
    # The last checkpoint is of everything, and in the file.
    notes = (made.data / "checkpoints.log").read_text().splitlines()
    assert f"\n{report['size']}\n" in json.loads(notes[-1])["note"]


@pytest.mark.only("postgres")
def test_two_makings_are_the_same(makings):
    """On one database and on the other; on the same one a making that was stopped is compared with one that was not."""
    assert makings("postgres")[1] == makings("sqlite")[1]


@pytest.mark.only("sqlite")
def test_a_stopped_making_goes_on_where_it_was(own_server, makings, demos):
    goes_on(own_server, makings("sqlite")[1], demos, signal.SIGINT)


def test_a_killed_making_goes_on_where_it_was(own_server, makings, demos, kind):
    goes_on(own_server, makings(kind)[1], demos, signal.SIGKILL)


def goes_on(own_server, whole, demos, how):
    """Beside a demo that is there already: its people are not those of the one made in one go, and the large data is the same."""
    demos.begin(own_server)
    process = own_server.launch(*MAKE).process
    own_server.process = None
    file = own_server.data / "large.json"
    postern.wait_until(lambda: file.exists() or process.poll() is not None, 120, "the large data to begin")
    # Somewhere within it: how much is in is seen from outside.
    with checker.Database.of(own_server) as database:
        postern.wait_until(
            lambda: database.one("SELECT count(*) FROM tenants") > 1000 or process.poll() is not None, 120, "tenants")
    assert process.poll() is None, own_server.log()
    process.send_signal(how)
    status = process.wait(60)
    assert status == (3 if how == signal.SIGINT else -how), own_server.log()
    assert json.loads(file.read_text())["done"] is False
    verified(own_server)
    with checker.Database.of(own_server) as database:
        # What was in hand was finished, and no more.
        assert database.one("SELECT count(*) FROM events WHERE at < 1767225600000000") < EVENTS

    done = own_server.run(*MAKE, seconds=300)
    assert done.returncode == 0, done.stderr
    # All tenants may have been in hand.
    assert "Making tenants" not in done.stderr or "are in already" in done.stderr
    verified(own_server)
    with checker.Database.of(own_server) as database:
        assert content(database) == whole
    assert json.loads(file.read_text())["done"] is True


def test_it_is_made_once(made, makings, kind):
    again = made.run(*MAKE)
    assert again.returncode == 0, again.stderr
    assert "Making tenants" not in again.stderr and "Making events" not in again.stderr, again.stderr
    with checker.Database.of(made) as database:
        assert content(database) == makings(kind)[1]
    other = made.run("demo", "--tenants", str(TENANTS + 1), "--no-serve")
    assert other.returncode == 3 and f"--tenants {TENANTS} --events {EVENTS}" in other.stderr


# Last: it changes what the others look at.
def test_it_is_served_and_worked_on(made):
    made.start()
    person = made.sign_in(made.person("support_l2"))
    found = person.get("search", params={"q": "u1.t77@mail.example.test"}).json()["items"]
    assert found and found[0]["email"] == "u1.t77@mail.example.test"
    tenant = person.get("search", params={"q": "tenant-5"}).json()["items"][0]["id"]
    activity = person.get(f"tenants/{tenant}/activity").json()["items"]
    assert {"tenant.view"} <= {line["action"] for line in activity}
    if person.tenant(tenant)["status"] == "active":
        assert person.suspend(tenant).status_code == 200
    admin = made.sign_in(made.person("super_admin"))
    edit = next(e for e in admin.get("audit-events", params={"action": "tenant.update", "outcome": "applied", "limit": 200}
                                     ).json()["items"] if e.get("tenant"))
    receipt = admin.get(f"audit-events/{edit['id']}/receipt")
    assert receipt.status_code == 200, receipt.text
    for one in (person, admin):
        one.close()
    made.stop()
    verified(made)


@pytest.mark.parametrize("arguments, words", [
    (("--tenants", "0"), ["--tenants", "1 to 5000000"]),
    (("--tenants", "5000001"), ["--tenants", "1 to 5000000"]),
    (("--tenants", "10", "--events", "-1"), ["--events"]),
    (("--tenants", "10", "--events", "50000001"), ["--events", "0 to 50000000"]),
    (("--events", "10"), ["--events", "--tenants"]),
    (("--tenants", "many"), ["--tenants"]),
])
def test_sizes_out_of_bounds_are_refused(tmp_path, arguments, words):
    server = postern.Server(tmp_path / "demo")
    done = server.run("demo", *arguments, "--no-serve")
    assert done.returncode == 2, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert not server.data.exists()


def test_a_database_of_somebody_else_is_left_alone(tmp_path):
    server = postern.Server(tmp_path / "demo", POSTERN_DATABASE_URL=f"sqlite:{tmp_path / 'theirs.db'}")
    with sqlite3.connect(tmp_path / "theirs.db") as theirs:
        theirs.execute("CREATE TABLE mine (x)")
    done = server.run(*MAKE)
    assert done.returncode == 3 and "did not make this database" in done.stderr
    with sqlite3.connect(tmp_path / "theirs.db") as theirs:
        assert theirs.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_no_tenants_get_no_events(own_server, demos):
    demos.begin(own_server)
    done = own_server.run("demo", "--tenants", "1", "--events", "0", "--no-serve", seconds=200)
    assert done.returncode == 0, done.stderr
    verified(own_server)
