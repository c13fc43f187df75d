"""Several servers on one PostgreSQL: they share the work, one leads, any may die or stop, and nothing acknowledged is lost or happens
twice."""
import http.client
import json
import re
import signal
import threading
import time

import checker
import httpx
import load
import postern
import psycopg
import pytest
from test_crash import acknowledged_more, settled
from test_deliveries import Receiver, subscribe

SEQUENCER = "log.sequencer"
# One for all questions, which come over and over; each on a connection of its own, as servers come and go.
CLIENT = httpx.Client(timeout=10, limits=httpx.Limits(max_keepalive_connections=0))


def metrics(server):
    """The gauges of one server, by name and labels."""
    text = CLIENT.get(server.metrics_url.replace("localhost", "127.0.0.1") + "/metrics").text
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
    def found():
        leading = [s for s in servers if leads(s, what)]
        return leading if len(leading) == 1 else None

    (one,) = postern.wait_until(found, seconds, f"one leader of {what}")
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
        """Nothing lost, nothing doubled, each leaf integrated once."""
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
    """That the server's own verification agrees is seen once, when all tests of a deployment are through: nothing leaves the log."""
    postern.wait_until(lambda: settled(server), 30, "every event to get its leaf")
    with checker.Database.of(server) as database:
        findings = checker.Checker(database).run(acknowledged)
    assert findings == [], "\n".join(findings[:20])


def verifies(server):
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
def deployment(tmp_path_factory, admin_url):
    """Two servers, each with a directory of its own; made once."""
    home = tmp_path_factory.mktemp("servers")
    database = postern.PostgresDatabase(admin_url)
    first = postern.Server(home / "servers-a", database, POSTERN_WEBHOOK_ALLOW_PRIVATE="true",
                           POSTERN_DRAIN_SECONDS="2", POSTERN_STOP_SECONDS="6", POSTERN_LOG_LEVEL="info")
    try:
        first.start()
        second = postern.beside(first, home / "servers-b").start()
        try:
            yield [first, second]
            # Each has a file of checkpoints of its own.
            for server in (first, second):
                verifies(server)
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
    work.more(20, 120)
    assert leads(one) and not leads(other)
    work.stop()
    work.prove()
    # The other one keeps what was published as well: its machine too can tell a database that was set back.
    with checker.Database.of(one) as database:
        size = database.one("SELECT max(size) FROM log_checkpoint")
    postern.wait_until(lambda: published(one) == published(other) == size, 30, "the other's file to follow")
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
    for n in range(40):
        answer = httpx.post(f"{pair[n % 2].url}/api/v1/sessions", timeout=30,
                            json={"email": who["email"], "password": "not this one"})
        statuses.append(answer.status_code)
        if answer.status_code == 429:
            # The first wait is a second, which a busy machine needs to ask again; each is twice the one before.
            wait = int(answer.headers["Retry-After"])
            if wait > 5:
                break
            time.sleep(wait)
    # Five are free, wherever they were tried; each challenge counts as one attempt. The first wait of a second may have passed
    # before the next request of a slow machine, but each server by itself would let five through, which makes ten.
    assert statuses[-1] == 429 and statuses.index(429) < 10, statuses
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
        # One that is silent is replaced after ten seconds, one that ends much sooner.
        postern.wait_until(lambda: leads(other), 8, "the other to lead", slack=1)
        took.append(time.monotonic() - began)
        work.more(5)
        one.start()
    work.stop()
    work.prove()
    balancer.close()
    print(f"\nthe other led after {min(took):.2f} to {max(took):.2f} s")


def test_a_worker_told_to_start_anew_does_so_on_every_server_that_has_it(pair):
    oncall = pair[0].sign_in(pair[0].person("engineering_oncall"))

    def heard():
        return [server.log(10**8).count("a worker starts anew") for server in pair]

    for worker, what in (("sequencer", SEQUENCER), ("chores", "chores"), ("outbox", None)):
        if what:
            leader(pair, what=what)
        before, version = heard(), oncall.get(f"workers/{worker}").json()["version"]
        told = oncall.operate(f"workers/{worker}/restart", justification="It has stood still since noon.")
        assert told.status_code == 200, told.text
        assert told.json()["after"]["version"] == version + 1 and told.json()["after"]["restarted_at"]
        postern.wait_until(lambda: all(now > was for now, was in zip(heard(), before)), 20, "both servers to hear of it")
        if what:
            leader(pair, what=what)
    oncall.close()


def test_a_leader_that_stands_still_is_replaced_and_does_not_go_on(pair, working):
    one, (other,) = leader(pair)
    work = working([other])
    work.more(5)
    one.process.send_signal(signal.SIGSTOP)
    try:
        postern.wait_until(lambda: leads(other), 25, "the other to lead", slack=1)
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

        for _ in range(5):
            work.more(2)
            assert postern.wait_until(cut, 30, "somebody who holds the lock") == 1
        leader(pair)
        work.more(5)
        # One who takes over says so in the state: whoever led before can't commit to it any more.
        assert db.execute("SELECT epoch FROM log_state").fetchone()[0] > epoch + 1
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
    postern.wait_until(lambda: leads(other), 8, "the other to lead", slack=1)
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
            # By a client that is there: making one takes a part of the time in which it still answers.
            answer = CLIENT.get(f"http://127.0.0.1:{one.staff_port}/readyz")
            return answer if answer.status_code == 503 else None

        stopping = postern.wait_until(said, 10, "the server to call itself not ready")
        assert stopping.json()["status"] == "stopping" and stopping.headers["Connection"] == "close"
        # A connection that was kept is answered once more, and closed by the server in the open.
        kept.request("GET", "/healthz")
        last = kept.getresponse()
        assert last.status == 200 and last.getheader("Connection") == "close" and last.read()
        kept.close()

        def closed():
            try:
                CLIENT.get(f"http://127.0.0.1:{one.staff_port}/healthz")
            except httpx.TransportError:
                return True

        postern.wait_until(closed, 10, "the listeners to close")
        assert not answers and one.process.poll() is None
        db.rollback()
    asking.join(20)
    assert answers and answers[0].status_code == 200, answers and answers[0].text
    began = time.monotonic()
    assert one.process.wait(20) == 0, one.log()
    postern.wait_until(lambda: leads(other), 6, "the lead to be handed over at once", slack=1)
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
        assert server.process.wait(30) == 0, server.log()
        work.more(5)
        server.start()
        postern.wait_until(lambda: balancer.is_ready[server], 30, "the balancer to see it again")
    work.more(5)
    assert work.troubles == []
    work.stop()
    work.prove()
    balancer.close()
