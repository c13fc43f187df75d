"""What is acknowledged survives: the server killed, the database stopped, cut off or full, under load. The checker, which
shares no code with the server, looks at the database afterwards.

POSTERN_KILLS sets how often the server is killed (10)."""
import base64
import collections
import json
import os
import random
import re
import signal
import subprocess
import threading
import time

import checker
import httpx
import load
import merkle
import postern
import psycopg
import pytest

KILLS = int(os.environ.get("POSTERN_KILLS", "10"))


def team(server, size=4):
    """People who may suspend and restore."""
    able = [p for p in server.people() if {"support_l2", "super_admin"} & set(p["roles"])]
    assert able, "the demo has nobody who may suspend"
    signed_in = [server.sign_in(p) for p in able[:size]]
    for person in signed_in:
        person.is_shared = True
    # Fewer people than clients: the same person twice, with keys of their own.
    return [signed_in[n % len(signed_in)] for n in range(size)]


def start_load(server, tmp_path, seed=1):
    people = team(server)
    tenants = [t["id"] for t in people[0].tenants(status="active", limit=12)]
    assert len(tenants) >= 8
    return load.Load(server, people, tmp_path / "acknowledged.jsonl", tenants, seed).start()


def settled(server):
    """True when every event has its leaf."""
    with checker.Database.of(server) as database:
        return database.one("SELECT count(*) FROM log_pending") == 0


def prove(server, generator):
    """Nothing lost, nothing doubled, everything logged, and the server's own verification agrees."""
    assert generator.unexpected == []
    acknowledged = checker.read_acknowledged(generator.path)
    assert len(acknowledged) == generator.acknowledged > 0
    postern.wait_until(lambda: settled(server), 30, "every event to get its leaf")
    with checker.Database.of(server) as database:
        examined = checker.Checker(database)
        findings = examined.run(acknowledged)
    assert findings == [], "\n".join(findings[:20])
    # Also the other way round: what these clients changed, they were told of.
    keys = {answer["key"] for answer in acknowledged}
    stored = {row["key"] for row in examined.keys.values() if row["key"].startswith("e2e-")}
    assert stored == keys, f"{len(stored - keys)} operations happened of which nobody was told"
    verified = server.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    return len(acknowledged)


def acknowledged_more(generator, count, seconds=60):
    goal = generator.acknowledged + count
    postern.wait_until(lambda: generator.acknowledged >= goal or generator.unexpected, seconds,
                       f"{count} more acknowledged operations")


@pytest.mark.parametrize("kills", [KILLS])
def test_kill_9_at_random_moments_loses_and_doubles_nothing(own_server, tmp_path, kills):
    own_server.start()
    generator = start_load(own_server, tmp_path)
    moment = random.Random(20261117)
    starts = []
    for _ in range(kills):
        acknowledged_more(generator, 5)
        time.sleep(moment.uniform(0, 0.4))
        own_server.process.send_signal(signal.SIGKILL)
        own_server.process.wait()
        began = time.monotonic()
        own_server.start()
        starts.append(time.monotonic() - began)
    acknowledged_more(generator, 5)
    generator.stop()
    count = prove(own_server, generator)
    own_server.stop()
    print(f"\n{own_server.database.kind}: {kills} kills, {count} acknowledged, {generator.refused} refused, "
          f"{generator.repeated} repeated, restarts {min(starts):.2f} to {max(starts):.2f} s")


class Looks:
    """People who look for one thing after the other, each thing once, and write down what they were shown."""

    def __init__(self, server, people, clients=12):
        self.server, self.shown, self.unexpected = server, [], []
        self.lock, self.stop_now = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(people[n % len(people)], n), daemon=True) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def work(self, person, n):
        with httpx.Client(base_url=self.server.url, timeout=20, headers=person.http.headers, transport=self.server.transport()) as client:
            number = 0
            while not self.stop_now.is_set():
                number += 1
                what = f"nobody {n} {number}"
                try:
                    answer = client.get("/api/v1/search", params={"q": what})
                except httpx.TransportError:
                    time.sleep(0.05)  # the server was killed
                    continue
                if answer.status_code == 200:
                    with self.lock:
                        self.shown.append(what)
                elif answer.status_code == 429:
                    time.sleep(0.2)
                elif answer.status_code != 503:
                    self.unexpected.append(f"{answer.status_code} {answer.text[:300]}")

    def more(self, count, seconds=60):
        goal = len(self.shown) + count
        postern.wait_until(lambda: len(self.shown) >= goal or self.unexpected, seconds, f"{count} more looks")

    def stop(self):
        self.stop_now.set()
        for thread in self.threads:
            thread.join(30)


def test_kill_9_while_people_look_loses_no_look(own_server):
    """Looks of the same moment share a commit; what was shown is in the log, once, whenever the server ends."""
    own_server.start()
    looks = Looks(own_server, team(own_server))
    moment = random.Random(20261126)
    for _ in range(5):
        looks.more(40)
        time.sleep(moment.uniform(0, 0.2))
        own_server.process.send_signal(signal.SIGKILL)
        own_server.process.wait()
        own_server.start()
    looks.more(40)
    looks.stop()
    assert looks.unexpected == []
    postern.wait_until(lambda: settled(own_server), 30, "every event to get its leaf")
    with checker.Database.of(own_server) as database:
        assert checker.Checker(database).run() == []
        rows = database.rows("SELECT s.members AS members FROM events e JOIN sealed s ON s.event_id = e.id WHERE e.action = 'tenant.search'")
    recorded = collections.Counter(json.loads(row["members"])["details"]["value"]["query"]["q"] for row in rows)
    assert set(recorded.values()) == {1}
    assert set(looks.shown) <= set(recorded), f"{len(set(looks.shown) - set(recorded))} looks were shown and not recorded"
    verified = own_server.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    own_server.stop()


def test_the_making_of_the_demo_is_killed_on_the_way(own_server):
    """The next start finishes the job, or says that the database is to be made anew and touches nothing."""
    moment = random.Random(7)
    for _ in range(3):
        own_server.launch()
        time.sleep(moment.uniform(0.05, 1.2))
        own_server.kill()
    try:
        own_server.start()
    except AssertionError:
        # Only the embedded database is the demo's own to remove.
        assert own_server.database.kind == "postgres" and own_server.process.returncode not in (0, 1)
        assert re.search("interrupted|did not make this database", own_server.log()), own_server.log()
        own_server.database.drop()
        own_server.database.create()
        own_server.start()
    person = own_server.sign_in(own_server.person("support_l2"))
    assert person.active_tenant()
    with checker.Database.of(own_server) as database:
        assert checker.Checker(database).run() == []
    verified = own_server.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    person.close()


# ---- PostgreSQL in trouble ----------------------------------------------------------------------------------


@pytest.fixture
def cluster_server(own_cluster, tmp_path):
    server = postern.Server(tmp_path / "own", postern.PostgresDatabase(own_cluster.url))
    yield server
    server.kill()


def test_postgresql_restarts_under_load(cluster_server, own_cluster, tmp_path):
    cluster_server.start()
    generator = start_load(cluster_server, tmp_path)
    for mode in ("fast", "immediate"):
        acknowledged_more(generator, 10)
        own_cluster.stop(mode)
        answer = httpx.get(f"{cluster_server.url}/readyz", timeout=30)
        assert answer.status_code == 503
        assert httpx.get(f"{cluster_server.url}/healthz", timeout=30).status_code == 200
        own_cluster.start()
        postern.wait_until(cluster_server.ready, 30, "the server to find its database again")
    acknowledged_more(generator, 10)
    generator.stop()
    prove(cluster_server, generator)
    assert cluster_server.stop()[1] == 0


def test_backends_are_cut_off_under_load(cluster_server, own_cluster, tmp_path):
    cluster_server.start()
    generator = start_load(cluster_server, tmp_path)
    with psycopg.connect(own_cluster.url, autocommit=True) as db:
        for _ in range(20):
            acknowledged_more(generator, 3)
            db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                       [cluster_server.database.name])
    acknowledged_more(generator, 10)
    generator.stop()
    prove(cluster_server, generator)


def test_a_backend_is_killed_hard_under_load(cluster_server, own_cluster, tmp_path):
    cluster_server.start()
    generator = start_load(cluster_server, tmp_path)
    for _ in range(2):
        acknowledged_more(generator, 10)
        with psycopg.connect(own_cluster.url, autocommit=True) as db:
            row = db.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid() LIMIT 1",
                             [cluster_server.database.name]).fetchone()
        os.kill(row[0], signal.SIGKILL)  # makes the whole cluster recover
        postern.wait_until(cluster_server.ready, 60, "recovery")
    acknowledged_more(generator, 10)
    generator.stop()
    prove(cluster_server, generator)


def test_while_the_database_is_away_every_request_says_so(cluster_server, own_cluster):
    cluster_server.start()
    person = cluster_server.sign_in(cluster_server.person("support_l2"))
    tenant = person.active_tenant()["id"]
    own_cluster.stop("immediate")
    key = postern.new_key()
    for answer in (person.suspend(tenant, key=key, step_up=False), person.get("tenants")):
        assert answer.status_code == 503, answer.text
        assert answer.json()["type"] == "/problems/unavailable" and int(answer.headers["Retry-After"]) > 0
        assert "libpq" not in answer.text and "SELECT" not in answer.text
    page = httpx.get(cluster_server.url + "/tenants", follow_redirects=False, timeout=30)
    assert page.status_code in (303, 302, 503)
    own_cluster.start()
    postern.wait_until(cluster_server.ready, 30, "the server to find its database again")
    answer = person.suspend(tenant, key=key)
    assert answer.status_code == 200, answer.text
    person.close()


def test_the_database_is_down_at_the_start(own_cluster, tmp_path):
    server = postern.Server(tmp_path / "down", postern.PostgresDatabase(own_cluster.url))
    own_cluster.stop("fast")
    done = server.run("demo", seconds=90)
    assert done.returncode not in (0, 1), done.stderr
    assert str(own_cluster.port) in done.stderr or "127.0.0.1" in done.stderr, done.stderr
    assert "Fatal error" not in done.stderr and len(done.stderr.splitlines()) < 10, done.stderr
    own_cluster.start()
    assert server.start().ready()
    server.stop()


def test_a_lock_held_by_somebody_else_ends_in_a_deadline(cluster_server, own_cluster):
    cluster_server.start()
    person = cluster_server.sign_in(cluster_server.person("support_l2"))
    tenant = person.active_tenant()["id"]
    with psycopg.connect(cluster_server.database.url) as db:
        db.execute("SELECT 1 FROM tenants WHERE id = %s FOR UPDATE", [tenant])
        began = time.monotonic()
        answer = person.suspend(tenant)
        assert answer.status_code in (409, 503), answer.text
        assert time.monotonic() - began < 30
        db.rollback()
    assert person.suspend(tenant).status_code == 200
    person.close()


# ---- a backup put back ---------------------------------------------------------------------------------------


class Copy:
    """A copy of a stopped server's database, made and put back as people do it."""

    def __init__(self, server):
        self.server = server
        self.name = server.database.url and server.database.name + "_copy"
        if self.name:
            self.execute(f'CREATE DATABASE "{self.name}" TEMPLATE "{server.database.name}"')
        else:
            self.files = {path: path.read_bytes() for path in self.embedded()}

    def embedded(self):
        """The database's file and what SQLite keeps beside it."""
        main = checker.sqlite_file(self.server.data)
        return [path for path in (main, main.with_name(main.name + "-wal"), main.with_name(main.name + "-shm"))
                if path.exists()]

    def execute(self, *statements):
        with psycopg.connect(self.server.database.admin_url, autocommit=True) as db:
            for statement in statements:
                db.execute(statement)

    def put_back(self):
        if self.name:
            name = self.server.database.name
            self.execute(f'DROP DATABASE "{name}"', f'ALTER DATABASE "{self.name}" RENAME TO "{name}"')
            return
        for path in self.embedded():
            path.unlink()
        for path, content in self.files.items():
            path.write_bytes(content)

    def drop(self):
        if self.name:
            self.execute(f'DROP DATABASE IF EXISTS "{self.name}"')


def records(server, kind):
    """What `checkpoints.log` holds of this kind, oldest first."""
    lines = (server.data / "checkpoints.log").read_text().splitlines()
    return [record[kind] for record in map(json.loads, lines) if kind in record]


def published_size(server):
    """The log's size once a checkpoint of all of it is outside the database."""
    with checker.Database.of(server) as database:
        size = database.one("SELECT size FROM log_state")
        pending = database.one("SELECT count(*) FROM log_pending")
    return size if not pending and records(server, "note")[-1].splitlines()[1] == str(size) else None


def a_day(server, tenants):
    """The server runs, somebody suspends and restores so many tenants, it stops. Answers the log's key and size, and what
    was acknowledged."""
    server.start()
    key = merkle.Key(httpx.get(server.auditor_url + "/log/key", timeout=30).text)
    person = server.sign_in(server.person("support_l2"))
    acknowledged = []
    for index in range(tenants):
        tenant = person.active_tenant(index)["id"]
        for act in (person.suspend, person.restore):
            used = postern.new_key()
            answer = act(tenant, key=used)
            assert answer.status_code == 200, answer.text
            acknowledged.append({"person": person.id, "key": used, "tenant": tenant, "body": answer.json()})
    person.close()

    def served_whole():
        size = published_size(server)
        served = httpx.get(server.auditor_url + "/log/checkpoint", timeout=30).text
        return size and key.open(served)[:2] == (key.name, size)

    for _ in range(3):
        postern.wait_until(served_whole, 30, "a checkpoint of the whole log")
        assert server.stop()[1] == 0
        size = published_size(server)
        if size:
            return key, size, acknowledged
        # The server's own work left an event as it stopped.
        server.start()
    raise AssertionError("three times the server stopped with something that waits for its leaf")


def findings(server, acknowledged):
    with checker.Database.of(server) as database:
        return checker.Checker(database).run(acknowledged)


def signatures(note):
    """The text of a note, and its signatures by key id."""
    text, lines = note.rsplit("\n\n", 1)
    blobs = [base64.b64decode(line.split(" ")[2], validate=True) for line in lines.splitlines()]
    return text + "\n", {blob[:4].hex(): blob[4:] for blob in blobs}


def set_back(server):
    """A day, a copy of the database, another day, and the copy put back."""
    old, size_then, kept = a_day(server, 2)
    copy = Copy(server)
    try:
        _, size_later, lost = a_day(server, 1)
        assert size_later > size_then
        assert findings(server, kept + lost) == []
        copy.put_back()
    finally:
        copy.drop()
    # The copy is whole: only what is known outside the database tells that something is missing.
    assert findings(server, kept) == []
    missed = "\n".join(findings(server, kept + lost))
    assert all(f"LOST: key {answer['key']} was acknowledged" in missed for answer in lost), missed
    return old, size_then, size_later, kept


def test_a_backup_put_back_is_not_served_until_a_successor_log_says_so(own_server):
    """What was published can't be unsaid: the log is not set back in silence, and the way out says what is lost."""
    server = own_server
    old, size_then, size_later, kept = set_back(server)
    known = (server.data / "checkpoints.log").read_bytes()
    for verb in ("demo", "serve"):
        refused = server.run(verb, seconds=60)
        assert refused.returncode == 3, f"{verb}: {refused.returncode} {refused.stderr}"
        for words in (f"{size_later} entries", f"only {size_then}", "set back", "postern audit successor"):
            assert words in refused.stderr, f"{verb}: {refused.stderr}"
    verified = server.run("verify")
    assert verified.returncode == 10, verified.stdout + verified.stderr
    for words in ("log_rewound", f"{size_later} entries", f"holds {size_then}"):
        assert words in verified.stdout, verified.stdout
    # Nor is anything imported into it.
    customers = server.home / "customers.csv"
    postern.write_customers(customers, 1)
    imported = server.run("import", "csv", str(customers))
    assert imported.returncode not in (0, 1) and "set back" in imported.stderr, imported.stdout + imported.stderr
    assert findings(server, kept) == []
    with checker.Database.of(server) as database:
        assert database.one("SELECT count(*) FROM events") == database.one("SELECT size FROM log_state") == size_then
        begins = database.one("SELECT root FROM log_state")

    # Not by accident, and not under the old name.
    origin = old.name + "-2"
    assert server.run("audit", "successor", "--origin", origin).returncode == 2
    assert server.run("audit", "successor", "--origin", old.name, "--yes").returncode == 3
    assert (server.data / "checkpoints.log").read_bytes() == known
    opened = server.run("audit", "successor", "--origin", origin, "--yes")
    assert opened.returncode == 0, opened.stdout + opened.stderr
    assert "Set POSTERN_LOG_ORIGIN to it" in opened.stdout, opened.stdout

    # The record names both states and is signed by both keys.
    (record,) = records(server, "succession")
    assert record in opened.stdout
    text, signed = signatures(record)
    header, old_key, was, new_key, now, _ = text.splitlines()
    new = merkle.Key(new_key)
    assert (header, new.name) == ("postern-succession/v1", origin)
    assert merkle.Key(old_key).key == old.key and new.key != old.key
    for key in (old, new):
        key.key.verify(signed[key.id], text.encode())
    _, last_size, last_root = old.open(records(server, "note")[-1])
    assert last_size == size_later
    assert was == f"{size_later} {base64.b64encode(last_root).decode()}"
    assert now == f"{size_then} {base64.b64encode(begins).decode()}"

    server.settings.update(POSTERN_LOG_ORIGIN=origin, POSTERN_ENVIRONMENT="demo")
    server.arguments = ["serve"]
    key, size_now, after = a_day(server, 1)
    assert (key.name, key.key) == (origin, new.key) and size_now > size_then
    assert findings(server, kept + after) == []
    with checker.Database.of(server) as database:
        told = database.rows("SELECT leaf FROM events WHERE action = 'log.succeeded'")
    assert [json.loads(row["leaf"])["facts"]["record"] for row in told] == [record]
    verified = server.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert origin in verified.stdout


def test_the_demo_goes_on_with_a_successor_log(tmp_path):
    server = postern.Server(tmp_path / "own")
    try:
        old, _, _ = a_day(server, 1)
        opened = server.run("audit", "successor", "--origin", old.name + "-2", "--yes")
        assert opened.returncode == 0, opened.stdout + opened.stderr
        server.settings["POSTERN_LOG_ORIGIN"] = old.name + "-2"
        a_day(server, 1)
        assert server.run("verify").returncode == 0
    finally:
        server.kill()


# ---- disk full ----------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    if os.geteuid() != 0:
        postern.lacking("mounting a small disk needs root")
    where = tmp_path / "disk"
    where.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=0700", "tmpfs", str(where)],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        postern.lacking("mounting is not allowed here: " + mounted.stderr.strip())
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def fill(directory):
    """Takes every free byte of the disk."""
    ballast = directory / "ballast"
    with open(ballast, "wb", buffering=0) as f:
        for size in (1 << 20, 4096, 512, 1):
            try:
                while True:
                    f.write(b"\0" * size)
            except OSError:
                continue
    return ballast


def test_a_full_disk_refuses_and_recovers(small_disk, tmp_path):
    server = postern.Server(small_disk)
    server.log_path = tmp_path / "server.log"
    server.start()
    generator = start_load(server, tmp_path)
    acknowledged_more(generator, 10)
    ballast = fill(small_disk)
    # Every client now meets refusals and repeats; nothing else may happen than 503.
    postern.wait_until(lambda: generator.repeated > 20 or generator.unexpected, 60, "refusals for want of space")
    assert generator.unexpected == []
    assert server.process.poll() is None, server.log()
    ballast.unlink()
    acknowledged_more(generator, 10)
    generator.stop()
    prove(server, generator)
    assert server.stop()[1] == 0


def test_a_disk_full_at_the_start_is_said(small_disk, tmp_path):
    fill(small_disk)
    server = postern.Server(tmp_path / "home", POSTERN_DATA=small_disk / "data")
    done = server.run("demo", seconds=60)
    assert done.returncode not in (0, 1), done.stderr
    assert re.search(r"space|full|store", done.stderr), done.stderr
    assert "Fatal error" not in done.stderr
