"""Several servers on one PostgreSQL: they share the work, one leads, any may die, stop, be cut off from the database or have a
wrong clock, and nothing acknowledged is lost or happens twice."""
import http.client
import json
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager

import checker
import httpx
import load
import postern
import psycopg
import pytest
from test_crash import acknowledged_more, settled
from test_deliveries import Receiver, subscribe

SEQUENCER = "log.sequencer"


def metrics(server):
    """The gauges of one server, by name and labels."""
    text = httpx.get(server.metrics_url.replace("localhost", "127.0.0.1") + "/metrics", timeout=10).text
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in lines}


def leads(server, what=SEQUENCER):
    if server.process is None or server.process.poll() is not None:
        return False
    try:
        return metrics(server)[f'postern_leader{{of="{what}"}}'] == 1
    except (httpx.TransportError, KeyError):
        return False


def leader(servers, seconds=20, what=SEQUENCER):
    """The one that leads, and the others."""
    postern.wait_until(lambda: sum(leads(s, what) for s in servers) == 1, seconds, f"one leader of {what}")
    (one,) = [s for s in servers if leads(s, what)]
    return one, [s for s in servers if s is not one]


def team(server):
    """One session a person, used everywhere."""
    able = [p for p in server.people() if {"support_l2", "super_admin"} & set(p["roles"])][:4]
    signed_in = [server.sign_in(p) for p in able]
    for person in signed_in:
        person.is_shared = True
    return [signed_in[n % len(signed_in)] for n in range(4)]


class Work:
    """Load on the servers, each with clients of its own or all behind a balancer, and the proof afterwards."""

    def __init__(self, tmp_path, servers, entrances=None):
        self.servers = servers
        people = team((entrances or servers)[0])
        tenants = [t["id"] for t in people[0].tenants(status="active", limit=12)]
        assert len(tenants) >= 8
        self.loads = [load.Load(entrance, people, tmp_path / f"acknowledged-{n}.jsonl", tenants, seed=n + 1)
                      for n, entrance in enumerate(entrances or servers)]
        with checker.Database.of(servers[0]) as database:
            self.known = {row["key"] for row in database.rows("SELECT key FROM idempotency")}
        for one in self.loads:
            one.start()

    def more(self, count=5, seconds=60):
        for one in self.loads:
            acknowledged_more(one, count, seconds)

    @property
    def troubles(self):
        return [trouble for one in self.loads for trouble in one.troubles]

    def stop(self):
        for one in self.loads:
            one.stop()

    def abandon(self):
        """Whatever became of the test, nobody goes on."""
        for one in self.loads:
            one.open_requests = one.open_requests or []
            one.stop_now.set()
        for one in self.loads:
            for thread in one.threads:
                thread.join(60)

    def prove(self):
        """Nothing lost, nothing doubled, each leaf integrated once, and the server's own verification agrees."""
        assert [u for one in self.loads for u in one.unexpected] == []
        acknowledged = [a for one in self.loads for a in checker.read_acknowledged(one.path)]
        assert len(acknowledged) == sum(one.acknowledged for one in self.loads) > 0
        prove(self.servers[0], acknowledged)
        with checker.Database.of(self.servers[0]) as database:
            stored = {r["key"] for r in database.rows("SELECT key FROM idempotency") if r["key"].startswith("e2e-")}
        # Also the other way round: what these clients changed, they were told of.
        told = {answer["key"] for answer in acknowledged}
        assert told <= stored
        assert stored - told - self.known == set(), "operations happened of which nobody was told"
        return len(acknowledged)


def prove(server, acknowledged=()):
    postern.wait_until(lambda: settled(server), 30, "every event to get its leaf")
    with checker.Database.of(server) as database:
        findings = checker.Checker(database).run(acknowledged)
    assert findings == [], "\n".join(findings[:20])
    verified = server.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def published(server):
    """The size of the newest checkpoint in this server's own file."""
    lines = (server.data / "checkpoints.log").read_text().splitlines()
    notes = [record["note"] for record in map(json.loads, lines) if "note" in record]
    return int(notes[-1].splitlines()[1])


def at_once(*calls):
    """The answers of calls that begin at the same moment."""
    barrier = threading.Barrier(len(calls))
    answers = [None] * len(calls)

    def run(index, call):
        barrier.wait()
        answers[index] = call()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a call hangs"
    return answers


def on(person, server):
    """The same session at another server."""
    return httpx.Client(base_url=server.url, timeout=30, headers=person.http.headers)


@pytest.fixture(scope="module")
def deployment(home, admin_url):
    """Two servers, each with a directory of its own; made once."""
    database = postern.PostgresDatabase(admin_url)
    first = postern.Server(home / "servers-a", database, POSTERN_WEBHOOK_ALLOW_PRIVATE="true",
                           POSTERN_DRAIN_SECONDS="1", POSTERN_STOP_SECONDS="5")
    try:
        first.start()
        second = postern.beside(first, home / "servers-b").start()
        try:
            yield [first, second]
        finally:
            second.kill()
    finally:
        first.kill()
        database.drop()


@pytest.fixture
def pair(deployment):
    """Both run."""
    for server in deployment:
        if server.process.poll() is not None:
            server.start()
    for server in deployment:
        postern.wait_until(server.ready, 30, "both servers")
    return deployment


@pytest.fixture
def working(tmp_path):
    made = []

    def begin(servers, entrances=None):
        made.append(Work(tmp_path, servers, entrances))
        return made[-1]

    yield begin
    for one in made:
        one.abandon()


# ---- one deployment ------------------------------------------------------------------------------------------


def test_work_goes_to_both_and_everything_is_there_once(pair, working):
    work = working(pair)
    one, (other,) = leader(pair)
    work.more(30, 120)
    assert leads(one) and not leads(other)
    work.stop()
    work.prove()
    # The other one keeps what was published as well: its machine too can tell a database that was set back.
    with checker.Database.of(one) as database:
        size = database.one("SELECT max(size) FROM log_checkpoint")
    postern.wait_until(lambda: published(one) == published(other) == size, 10, "the other's file to follow")
    for server in pair:
        said = server.run("doctor")
        assert re.search(rf"{re.escape(SEQUENCER)}: process {one.process.pid}\b", said.stdout), said.stdout


def test_one_key_sent_to_both_servers_is_one_event(pair):
    person = pair[0].sign_in(pair[0].person("support_l2"))
    a, b = (on(person, server) for server in pair)
    tenant = person.active_tenant(2)["id"]
    body = {"input": {}, "reason_code": "non_payment", "justification": "Three invoices are unpaid."}
    back = {"input": {}, "reason_code": "payment_recovered", "justification": "The invoices are paid."}
    person.step_up_if_old()
    for _ in range(6):
        for verb, content in (("suspend", body), ("restore", back)):
            key = {"Idempotency-Key": postern.new_key()}
            path = f"/api/v1/tenants/{tenant}/{verb}"
            answers = at_once(*(lambda c=c: c.post(path, json=content, headers=key) for c in (a, b)))
            for answer in answers:
                assert answer.status_code == 200 or answer.json()["type"].endswith("key-running"), answer.text
            done = [answer for answer in answers if answer.status_code == 200]
            assert done
            # Whoever did it, both know what happened.
            for client in (a, b):
                replay = client.post(path, json=content, headers=key)
                assert replay.status_code == 200 and replay.headers["Idempotency-Replayed"] == "true"
                assert replay.json() == done[0].json()
            with checker.Database.of(pair[0]) as database:
                assert database.one("SELECT count(*) FROM events WHERE operation_id = ?",
                                    done[0].json()["operation_id"]) == 1
    a.close(), b.close(), person.close()
    prove(pair[0])


def test_a_session_of_one_server_is_the_others_and_ends_on_both_at_once(pair):
    first, second = pair
    for near, far in ((first, second), (second, first)):
        person = near.sign_in(near.person("support_l1"))
        elsewhere = on(person, far)
        for _ in range(3):
            assert elsewhere.get("/api/v1/me").json()["staff"]["id"] == person.id
        assert person.http.delete("/api/v1/sessions/current").status_code == 204
        assert elsewhere.get("/api/v1/me").status_code == 401
        elsewhere.close(), person.close()


def test_a_revoked_token_and_an_ended_grant_hold_on_the_other_server_at_once(pair):
    first, second = pair
    admin = first.sign_in(first.person("super_admin"))
    made = admin.operate("runtime-tokens", justification="The nightly sync needs one.",
                         input={"name": "nightly " + postern.new_key(), "scopes": ["registry"]})
    assert made.status_code == 201, made.text
    product = httpx.Client(base_url=second.runtime_url, timeout=30,
                           headers={"Authorization": "Bearer " + made.json()["reveal"]["token"]})
    known = product.get("/runtime/v1/tenants/nobody")
    assert known.status_code == 404, known.text
    assert known.headers["RateLimit-Policy"].startswith('"token";')
    assert admin.operate(f"runtime-tokens/{made.json()['after']['id']}/revoke", "rotated").status_code == 200
    assert product.get("/runtime/v1/tenants/nobody").status_code == 401
    product.close()

    person = first.sign_in(first.person("support_l2"))
    elsewhere = on(person, second)
    tenant = person.active_tenant()["id"]
    path = f"/api/v1/tenants/{tenant}/suspend?dry_run=true"
    body = {"input": {}, "reason_code": "non_payment", "justification": "Three invoices are unpaid."}
    assert elsewhere.post(path, json=body).json()["allowed"] is True
    # A grant has an end; nobody tells the other server that it came.
    with psycopg.connect(first.database.url, autocommit=True) as db:
        # Past the guards, as time would.
        db.execute("SET session_replication_role = replica")
        before = db.execute("SELECT id, expires_at FROM grants WHERE staff_id = %s", [person.id]).fetchall()
        db.execute("UPDATE grants SET expires_at = 1 WHERE staff_id = %s", [person.id])
        try:
            refused = elsewhere.post(path, json=body)
            assert refused.status_code == 403 or refused.json()["allowed"] is False, refused.text
            assert elsewhere.get("/api/v1/tenants").status_code == 403
        finally:
            for id, end in before:
                db.execute("UPDATE grants SET expires_at = %s WHERE id = %s", [end, id])
    assert elsewhere.post(path, json=body).json()["allowed"] is True
    elsewhere.close(), person.close(), admin.close()


def test_one_code_sent_to_both_servers_opens_one_session(pair):
    who = pair[0].person("security")
    app = pair[0].authenticator(who)
    for _ in range(3):
        challenges = []
        for server in pair:
            begun = httpx.post(f"{server.url}/api/v1/sessions", timeout=30,
                               json={"email": who["email"], "password": who["password"]})
            assert begun.status_code == 200, begun.text
            challenges.append(begun.json()["challenge"])
        code = app.next()
        answers = at_once(*(
            lambda s=server, c=challenge: httpx.post(
                f"{s.url}/api/v1/sessions/totp", json={"challenge": c, "code": code}, timeout=30)
            for server, challenge in zip(pair, challenges)))
        assert sorted(answer.status_code for answer in answers) == [201, 401], [a.text for a in answers]


def test_wrong_passwords_are_counted_on_all_servers_together(pair):
    who = pair[0].person("customer_success")
    statuses = []
    for n in range(14):
        answer = httpx.post(f"{pair[n % 2].url}/api/v1/sessions", timeout=30,
                            json={"email": who["email"], "password": "not this one"})
        statuses.append(answer.status_code)
        if answer.status_code == 429:
            break
    # Five are free, wherever they were tried; each challenge counts as one attempt.
    assert statuses[-1] == 429 and len(statuses) <= 7, statuses
    for server in pair:
        answer = httpx.post(f"{server.url}/api/v1/sessions", timeout=30,
                            json={"email": who["email"], "password": who["password"]})
        assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0


# ---- leaders that end ----------------------------------------------------------------------------------------


def test_kill_9_of_the_leader_under_load(pair, working):
    balancer = postern.Balancer(*pair)
    work = working(pair, [balancer, balancer])
    took = []
    for _ in range(2):
        one, (other,) = leader(pair)
        work.more(5)
        one.process.send_signal(signal.SIGKILL)
        began = time.monotonic()
        one.process.wait()
        postern.wait_until(lambda: leads(other), 5, "the other to lead")
        took.append(time.monotonic() - began)
        work.more(5)
        one.start()
    work.stop()
    work.prove()
    balancer.close()
    print(f"\nthe other led after {min(took):.2f} to {max(took):.2f} s")


def test_a_leader_that_stands_still_is_replaced_and_does_not_go_on(pair, working):
    one, (other,) = leader(pair)
    work = working([other])
    work.more(5)
    one.process.send_signal(signal.SIGSTOP)
    try:
        postern.wait_until(lambda: leads(other), 20, "the other to lead")
        work.more(5)
    finally:
        one.process.send_signal(signal.SIGCONT)
    # It wakes up, finds that it was replaced, and serves beside the new one.
    postern.wait_until(lambda: one.ready() and not leads(one), 20, "the old leader to notice")
    work.more(5)
    assert leads(other)
    work.stop()
    work.prove()


def test_a_leader_cut_off_from_its_lock_never_forks_the_log(pair, working):
    """Its other connections stay: it could go on writing, and must not as leader."""
    work = working(pair)
    with psycopg.connect(pair[0].database.url, autocommit=True) as db:
        epoch = db.execute("SELECT epoch FROM log_state").fetchone()[0]

        def cut():
            return db.execute(
                "SELECT count(pg_terminate_backend(a.pid)) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid "
                "WHERE l.locktype = 'advisory' AND a.datname = current_database() AND a.application_name LIKE %s",
                [f"postern {SEQUENCER} %"]).fetchone()[0]

        for _ in range(8):
            work.more(2)
            assert postern.wait_until(cut, 20, "somebody who holds the lock") == 1
        leader(pair)
        work.more(5)
        # One who takes over says so in the state: whoever led before can't commit to it any more.
        assert db.execute("SELECT epoch FROM log_state").fetchone()[0] > epoch + 3
    work.stop()
    work.prove()


def test_kill_9_of_the_leader_during_an_import(pair, tmp_path):
    path = tmp_path / "customers.csv"
    postern.write_customers(path, 1500, first=50_001)
    one, (other,) = leader(pair)
    done = []
    importing = threading.Thread(target=lambda: done.append(other.run("import", "csv", str(path), seconds=120)))
    importing.start()
    with checker.Database.of(one) as database:
        postern.wait_until(lambda: database.one("SELECT count(*) FROM import_rows") or done, 60, "the import")
        one.process.send_signal(signal.SIGKILL)
        one.process.wait()
        importing.join(120)
        assert done and done[0].returncode == 0, done[0].stderr if done else "the import hangs"
        assert database.one("SELECT count(*) FROM tenants WHERE external_id LIKE 'crm-5%'") == 1500
    postern.wait_until(lambda: leads(other), 5, "the other to lead")
    prove(other)


def test_what_a_killed_server_was_sending_is_sent_by_the_other(pair):
    """At least once: the receiver tells a second time by the notice's id."""
    free = threading.Event()
    slow = Receiver(lambda *_: free.wait(30) and 204)
    one, other = pair
    try:
        # The other one is stopped for a moment, so that it is the first that sends.
        admin = one.sign_in(one.person("super_admin"))
        webhook, _ = subscribe(admin, slow.url(), ["tenant.suspended", "tenant.restored"])
        other.process.send_signal(signal.SIGSTOP)
        tenant = admin.active_tenant(5)["id"]
        assert admin.suspend(tenant).status_code == 200
        postern.wait_until(lambda: slow.requests, 20, "the first notice")
        one.kill()
        other.process.send_signal(signal.SIGCONT)
        free.set()
        with psycopg.connect(other.database.url, autocommit=True) as db:
            waits = db.execute("SELECT due_at / 1000000.0 - extract(epoch FROM now()) FROM delivery_lanes "
                               "WHERE lease IS NOT NULL").fetchall()
            assert waits and all(0 < seconds <= 60 for (seconds,) in waits), waits
            # The dead server's lease would run out within a minute: as if that had passed.
            db.execute("UPDATE delivery_lanes SET due_at = due_at - 60000000 WHERE lease IS NOT NULL")
        postern.wait_until(lambda: len(slow.requests) >= 2, 20, "the other to send it")
        with on(admin, other) as elsewhere:
            def delivered():
                query = {"webhook": webhook, "state": "delivered"}
                return elsewhere.get("/api/v1/deliveries", params=query).json()["items"]

            postern.wait_until(delivered, 20, "the delivery to be settled")
            assert len(delivered()) == 1
        ids = {headers["webhook-id"] for _, headers, _ in slow.requests}
        assert len(slow.requests) == 2 and len(ids) == 1
        admin.close()
        prove(other)
    finally:
        other.process.send_signal(signal.SIGCONT)
        free.set()
        slow.close()


# ---- stopping ------------------------------------------------------------------------------------------------


def test_a_server_that_stops_says_so_first_and_finishes_what_it_has_in_hand(pair):
    one, (other,) = leader(pair)
    person = one.sign_in(one.person("support_l2"))
    person.step_up_if_old()
    tenant = person.active_tenant(3)["id"]
    kept = http.client.HTTPConnection("127.0.0.1", one.staff_port, timeout=10)
    kept.request("GET", "/healthz")
    first = kept.getresponse()
    assert first.read() and not first.will_close
    answers = []
    with psycopg.connect(one.database.url) as db:
        # Holds the request in hand over the whole time in which the server still answers.
        db.execute("SELECT 1 FROM tenants WHERE id = %s FOR UPDATE", [tenant])
        asking = threading.Thread(target=lambda: answers.append(person.suspend(tenant)))
        asking.start()
        postern.wait_until(lambda: db.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ).fetchone()[0], 20, "the request to wait for its tenant")
        one.process.send_signal(signal.SIGTERM)

        def said():
            answer = httpx.get(f"http://127.0.0.1:{one.staff_port}/readyz", timeout=5)
            return answer if answer.status_code == 503 else None

        stopping = postern.wait_until(said, 2, "the server to call itself not ready")
        assert stopping.json()["status"] == "stopping" and stopping.headers["Connection"] == "close"
        # A connection that was kept is answered once more, and closed by the server in the open.
        kept.request("GET", "/healthz")
        last = kept.getresponse()
        assert last.status == 200 and last.getheader("Connection") == "close" and last.read()
        kept.close()

        def closed():
            try:
                httpx.get(f"http://127.0.0.1:{one.staff_port}/healthz", timeout=5)
            except httpx.TransportError:
                return True

        postern.wait_until(closed, 10, "the listeners to close")
        assert not answers and one.process.poll() is None
        db.rollback()
    asking.join(20)
    assert answers and answers[0].status_code == 200, answers and answers[0].text
    began = time.monotonic()
    assert one.process.wait(10) == 0, one.log()
    postern.wait_until(lambda: leads(other), 2, "the lead to be handed over at once")
    print(f"\nhanded over {time.monotonic() - began:.2f} s after the answer")
    with on(person, other) as elsewhere:
        body = {"input": {}, "reason_code": "payment_recovered", "justification": "The invoices are paid."}
        assert elsewhere.post(f"/api/v1/tenants/{tenant}/restore", json=body,
                              headers={"Idempotency-Key": postern.new_key()}).status_code == 200
    person.close()


def test_a_rolling_restart_under_load_fails_no_request(pair, working):
    balancer = postern.Balancer(*pair)
    work = working(pair, [balancer, balancer])
    for server in pair:
        work.more(5)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0, server.log()
        work.more(5)
        server.start()
        postern.wait_until(lambda: balancer.is_ready[server], 10, "the balancer to see it again")
    work.more(5)
    assert work.troubles == []
    work.stop()
    work.prove()
    balancer.close()


# ---- the database in trouble ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    if not postern.Cluster.available():
        postern.lacking("no PostgreSQL server is installed")
    made = postern.Cluster(postern.temporary_directory("pg")).start()
    yield made
    made.stop("immediate")


@pytest.fixture(scope="module")
def proxied(cluster, home):
    """Two servers whose ways to the database can be cut, each by itself."""
    database = postern.PostgresDatabase(cluster.url)
    proxies = [postern.Proxy(cluster.port) for _ in range(2)]

    def way(proxy):
        return database.url.replace(f":{cluster.port}/", f":{proxy.port}/")

    first = postern.Server(home / "proxied-a", database, POSTERN_DATABASE_URL=way(proxies[0]))
    second = None
    try:
        first.start()
        second = postern.beside(first, home / "proxied-b", POSTERN_DATABASE_URL=way(proxies[1])).start()
        yield [first, second], proxies
    finally:
        for server in (first, second):
            if server:
                server.kill()
        for proxy in proxies:
            proxy.close()


def healthy(servers, seconds=30):
    for server in servers:
        postern.wait_until(server.ready, seconds, "the server to find its database again")
    return leader(servers)


def test_postgresql_restarts_under_the_load_of_two_servers(proxied, cluster, working):
    servers, _ = proxied
    work = working(servers)
    for mode in ("fast", "immediate"):
        work.more(5)
        cluster.stop(mode)
        for server in servers:
            answer = httpx.get(f"{server.url}/readyz", timeout=30)
            assert answer.status_code == 503 and answer.json()["checks"]["database"] != "ok"
        cluster.start()
        healthy(servers)
    for _ in range(5):
        work.more(2)
        with psycopg.connect(cluster.url, autocommit=True) as db:
            db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                       [servers[0].database.name])
    healthy(servers)
    work.more(5)
    work.stop()
    work.prove()


@pytest.mark.parametrize("way", ["cut", "swallow"])
def test_a_server_cut_off_from_the_database_says_so_in_time_and_the_other_leads(proxied, working, way):
    servers, proxies = proxied
    one, (other,) = healthy(servers)
    proxy = proxies[servers.index(one)]
    work = working([other])
    person = one.sign_in(one.person("support_l1"))
    assert person.get("tenants").status_code == 200
    getattr(proxy, way)()
    began = time.monotonic()
    handed = []
    watching = threading.Thread(target=lambda: handed.append(
        postern.wait_until(lambda: leads(other) and time.monotonic() - began, 30, "the other to lead")))
    watching.start()
    slowest = 0.0
    answers = at_once(*[
        lambda: (time.monotonic(), httpx.get(f"{one.url}/api/v1/tenants", headers=person.http.headers, timeout=60),
                 time.monotonic()) for _ in range(24)])
    for sent, answer, came in answers:
        assert answer.status_code == 503, answer.text
        assert answer.json()["type"] == "/problems/unavailable" and int(answer.headers["Retry-After"]) > 0
        slowest = max(slowest, came - sent)
    assert slowest < 20
    asked = time.monotonic()
    ready = httpx.get(f"{one.url}/readyz", timeout=30)
    assert ready.status_code == 503 and time.monotonic() - asked < 6
    # The lock of a leader that went silent is given away, although nobody closed its connection.
    watching.join(40)
    assert handed and handed[0] < 20
    work.more(5)
    proxy.heal()
    healed = time.monotonic()
    postern.wait_until(one.ready, 25, "the server to find its database again")
    assert leads(other) and not leads(one)
    print(f"\n{way}: slowest 503 after {slowest:.1f} s, handed over after {handed[0]:.1f} s, "
          f"ready {time.monotonic() - healed:.1f} s after the way was open")
    assert person.get("tenants").status_code == 200
    work.stop()
    work.prove()
    person.close()


# ---- clocks --------------------------------------------------------------------------------------------------


CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
/* Shifts the clock of one process by the seconds that a file holds. */
static double shift(void) {
    static int (*real)(clockid_t, struct timespec *);
    static double seconds; static time_t read_at;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    struct timespec now; real(CLOCK_MONOTONIC, &now);
    if (now.tv_sec != read_at) {
        read_at = now.tv_sec;
        FILE *f = fopen(getenv("CLOCK_SHIFT_FILE"), "re");
        if (f) { double s; if (fscanf(f, "%lf", &s) == 1) seconds = s; fclose(f); }
    }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(id, t);
    if (id == CLOCK_REALTIME) t->tv_sec += (time_t)shift();
    return status;
}
int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    struct timespec now; clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec; t->tv_usec = now.tv_nsec / 1000; (void)zone; return 0;
}
time_t time(time_t *t) {
    struct timespec now; clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
"""


@pytest.fixture(scope="module")
def shifted(home):
    """What a server needs in its environment to have a clock of its own, and the file that sets it."""
    source, library, file = home / "clock.c", home / "clock.so", home / "clock-shift"
    source.write_text(CLOCK)
    compiler = next((c for c in ("cc", "gcc", "clang") if postern.shutil.which(c)), None)
    if compiler is None:
        postern.lacking("no C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    file.write_text("0")
    return {"LD_PRELOAD": library, "CLOCK_SHIFT_FILE": file}, file


@pytest.mark.parametrize("seconds", [40, -40])
def test_a_server_whose_clock_is_off_is_not_ready_and_decides_by_the_databases(pair, shifted, home, seconds):
    settings, file = shifted
    file.write_text("0")
    right = pair[0]
    wrong = postern.beside(right, home / f"clock{seconds}", **settings).start()
    try:
        person = wrong.sign_in(wrong.person("support_l2"))
        file.write_text(str(seconds))

        def complaint():
            answer = httpx.get(f"{wrong.url}/readyz", timeout=10)
            return answer.json()["checks"]["database"] if answer.status_code == 503 else None

        said = postern.wait_until(complaint, 10, "the server to notice")
        assert "40 s apart" in said or "39 s apart" in said, said
        assert right.ready() and not wrong.ready()
        told = wrong.run("doctor")
        assert told.returncode != 0 and re.search(r"problem\s+clock\s.*NTP", told.stdout), told.stdout
        assert abs(metrics(wrong)["postern_clock_offset_seconds"] - seconds) < 2
        # Sessions, codes and challenges go by the database's clock, whoever asks it.
        mine = wrong.sign_in(wrong.person("security"))
        assert mine.get("me").status_code == 200
        with on(mine, right) as elsewhere:
            assert elsewhere.get("/api/v1/me").status_code == 200
        with checker.Database.of(right) as database:
            life = database.rows(
                "SELECT expires_at - created_at AS life, created_at FROM sessions WHERE id = ?", mine.session["id"])[0] \
                if "id" in mine.session else None
            now = time.time() * 1_000_000
            newest = database.one("SELECT max(created_at) FROM sessions")
            assert abs(newest - now) < 15_000_000, "the session began by the wrong clock"
            assert life is None or life["life"] > 0
        # Work through it is accepted, kept once, and provable.
        tenant = person.active_tenant(4)["id"]
        key = postern.new_key()
        assert person.suspend(tenant, key=key).status_code == 200
        with on(person, right) as elsewhere:
            body = {"input": {}, "reason_code": "non_payment", "justification": "Three invoices are unpaid."}
            replay = elsewhere.post(f"/api/v1/tenants/{tenant}/suspend", json=body, headers={"Idempotency-Key": key})
            assert replay.status_code == 200 and replay.headers["Idempotency-Replayed"] == "true"
        assert person.restore(tenant).status_code == 200
        file.write_text("0")
        postern.wait_until(wrong.ready, 10, "the server to be ready again")
        assert wrong.stop()[1] == 0
        prove(right)
        mine.close(), person.close()
    finally:
        file.write_text("0")
        wrong.kill()


def test_a_clock_that_is_set_while_the_server_is_stopped_is_an_incident(shifted, home):
    """The next start compares it with the time since the machine started; nothing is due at once by it."""
    settings, file = shifted
    file.write_text("0")
    server = postern.Server(home / "clock-stopped", **settings).start()
    try:
        def clock():
            return httpx.get(f"{server.url}/readyz", timeout=10).json()["checks"]["clock"]

        def times():
            with checker.Database.of(server) as database:
                return [json.loads(row["leaf"])["facts"]["seconds"]
                        for row in database.rows("SELECT leaf FROM events WHERE action = 'clock.jumped' ORDER BY id")]

        assert times() == [] and clock() == "ok"
        # Stopped and started without anything being set.
        assert server.stop()[1] == 0
        server.start()
        assert times() == [] and clock() == "ok"
        assert server.stop()[1] == 0
        file.write_text("90000")
        server.start()
        (forward,) = times()
        assert abs(forward - 90000) <= 2 and "until somebody" in clock() and "postern clock confirm clj_" in clock()
        assert "what goes by dates stands still" in server.log()
        # Told once, however often it starts; and set right again it is another jump.
        assert server.stop()[1] == 0
        server.start()
        assert times() == [forward]
        assert server.stop()[1] == 0
        file.write_text("0")
        server.start()
        assert len(times()) == 2 and abs(min(times()) + 90000) <= 2
        assert server.stop()[1] == 0
        verified = server.run("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        file.write_text("0")
        server.kill()


def test_a_clock_that_is_set_under_the_embedded_database_is_an_incident(shifted, home):
    settings, file = shifted
    file.write_text("0")
    server = postern.Server(home / "clock-sqlite", **settings).start()
    try:
        def times():
            with checker.Database.of(server) as database:
                return database.rows("SELECT leaf FROM events WHERE action = 'clock.jumped'")

        def clock():
            answer = httpx.get(f"{server.url}/readyz", timeout=10)
            return answer.json()["checks"]["clock"]

        assert times() == [] and clock() == "ok"
        person = server.sign_in(server.person("support_l2"))
        guardian = server.sign_in(server.person("security"))
        for shift, jump in (("60", 60), ("-120", -180)):
            before = times()
            file.write_text(shift)
            (new,) = postern.wait_until(
                lambda: [row for row in times() if row not in before], 15, "the incident")
            leaf = json.loads(new["leaf"])
            assert leaf["class"] == "incident" and abs(leaf["facts"]["seconds"] - jump) <= 2
            (row,) = [change for change in leaf["changes"] if change["type"] == "clock_jump"]
            postern.wait_until(lambda: row["id"] in clock(), 10, "what is held")
            # What deadlines compare with never goes back: the session that began before still holds.
            assert person.get("me").status_code == 200
            if jump > 0:
                # It is ready all the same, and a new start confirms nothing.
                assert httpx.get(f"{server.url}/readyz", timeout=10).status_code == 200
                assert server.stop()[1] == 0
                server.start()
                assert row["id"] in clock()
            path = f"clock-jumps/{row['id']}/confirm"
            assert person.operate(path, None, "Looked at the clock.").status_code == 403
            # What is confirmed is what was looked at.
            assert guardian.operate(path, None, "Looked at the clock.").status_code == 428
            seen = {"If-Match": guardian.get(f"clock-jumps/{row['id']}").headers["ETag"]}
            assert guardian.operate(path, None, "Looked at the clock.", headers=seen).status_code == 200
            if jump > 0:
                postern.wait_until(lambda: clock() == "ok", 10, "what goes on")
        # This process is ahead of the machine, and what it calls due is not yet.
        postern.wait_until(lambda: "started again" in clock(), 10, "what is held until a start")
        assert "until somebody has confirmed it" in server.log()
        assert server.stop()[1] == 0
        verified = server.run("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        person.close(), guardian.close()
    finally:
        file.write_text("0")
        server.kill()
