"""Decisions on requests over HTTP, the list of ten thousand that wait, and what a rule adds to a mutation. On PostgreSQL.

One real request is made over the API; the others are copies of its rows with ids of their own, as no person may have ten thousand.
What they ask for has an earliest start, so that deciding is measured and not what is decided on."""
import os
import random
import shutil
import statistics
import sys
import time

import httpx
import postern
import psycopg
from machine import RUNS, SECONDS, machine, median, process_cpu, reuse_wal, say, spread, tree_cpu, write_section, wrk
from mutation import Bench

WAITING = int(os.environ.get("WAITING", "10000"))
CLIENTS = (1, 16)
# Turns of the two servers that are compared.
PAIRS = 20 * RUNS
SETTINGS = ("-c shared_buffers=512MB", "-c max_wal_size=4GB", "-c min_wal_size=1GB", "-c checkpoint_timeout=30min")


class Approvals:
    """A demo with many requests that wait, and people who may agree to them."""

    def __init__(self, home, database):
        self.home = home
        self.server = postern.Server(home, database)
        self.server.start(seconds=300)
        people = self.server.people()
        asker, *others = [p for p in people if "super_admin" in p["roles"]]
        self.asker = self.server.sign_in(asker)
        able = [*others, *[p for p in people if "security" in p["roles"] and "super_admin" not in p["roles"]]]
        self.signers = [self.server.sign_in(p) for p in able]
        self.position = 0
        # As many more as the fastest machine seen could decide on: 400 a second for one client, 1,000 for sixteen.
        self.count = WAITING + RUNS * SECONDS * 1400

    def copy(self):
        """Asks once, and has the rows of that request again and again."""
        start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5 * 86400))
        answer = self.asker.post("staff", json={
            "input": {"email": "new.colleague@demo.example", "name": "New Colleague", "roles": ["support_l1"]}, "ticket": "HR-12",
            "justification": "They join the team next week.", "not_before": start})
        assert answer.status_code == 202, answer.text
        first = answer.json()["approval_id"]
        with self.server.database.connect() as db:
            # Copies have no events of their own, which the guards of governed rows would refuse.
            db.execute("SET session_replication_role = replica")
            for table, column in (("approvals", "id"), ("approval_leaves", "approval_id")):
                names = [row[0] for row in db.execute(
                    "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public' "
                    "ORDER BY ordinal_position", (table,))]
                values = ", ".join("left(%(id)s, 14) || lpad(n::text, 16, '0')" if name == column else name for name in names)
                db.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table}, "
                           f"generate_series(1, %(count)s) n WHERE {column} = %(id)s", {"id": first, "count": self.count})
            db.execute("VACUUM ANALYZE")
            ids = [row[0] for row in db.execute("SELECT id FROM approvals WHERE id <> %s ORDER BY md5(id)", (first,))]
        (self.home / "requests.txt").write_text("\n".join(ids[WAITING:]) + "\n")
        say(f"{len(ids):,} requests wait")

    def decide(self, clients, seconds, postmaster):
        for person in self.signers:
            person.step_up_if_old()
        (self.home / "tokens.txt").write_text("\n".join(p.session["token"] for p in self.signers) + "\n")
        own, database = process_cpu(self.server.process.pid), tree_cpu(postmaster)
        result = wrk("approvals.lua", clients, seconds, self.server.staff_port, REQUESTS_FILE=self.home / "requests.txt",
                     TOKENS_FILE=self.home / "tokens.txt", START=self.position, RUN=postern.new_key())
        own, database = process_cpu(self.server.process.pid) - own, tree_cpu(postmaster) - database
        self.position += result["sent"]
        good = result["requests"] - result["wrong"]
        assert good > 0 and result["wrong"] <= good // 100, result["example"]
        return {"rate": good / result["seconds"], "p50": result["p50"], "p99": result["p99"], "cpu": own / good * 1000,
                "cpu_database": database / good * 1000}

    def look(self, path, headers, postmaster, times=200):
        """One after the other: how long one takes when nothing else is asked."""
        with httpx.Client(base_url=self.server.url, headers={"User-Agent": "postern-e2e", **headers}) as client:
            client.get(path)
            own, database = process_cpu(self.server.process.pid), tree_cpu(postmaster)
            took = []
            for _ in range(times):
                began = time.monotonic()
                answer = client.get(path)
                took.append((time.monotonic() - began) * 1000)
                assert answer.status_code == 200, answer.text[:300]
            own, database = process_cpu(self.server.process.pid) - own, tree_cpu(postmaster) - database
        took.sort()
        return {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "cpu": own / times * 1000,
                "cpu_database": database / times * 1000}

    def stop(self):
        for person in [self.asker, *self.signers]:
            person.close()
        self.server.stop(60)


def add_rule(bench):
    """A rule that covers what the bench does and matches none of it, agreed to as rules are."""
    people = bench.server.people()
    asker, signer = (bench.server.sign_in(next(p for p in people if role in p["roles"] and p["email"] != other))
                     for role, other in (("super_admin", bench.people[0].email), ("security", "")))
    for verb in ("suspend", "restore"):
        asked = asker.post("approval-rules", json={"justification": "Enterprise customers are looked at twice.", "input": {
            "code": f"tenant_{verb}_enterprise", "operation": f"tenant.{verb}", "condition": "tier = enterprise",
            "demand": "1 security", "summary": "Suspending and restoring enterprise customers"}})
        assert asked.status_code == 202, asked.text
        done = signer.post(f"approvals/{asked.json()['approval_id']}/approve", json={})
        assert done.status_code == 200 and done.json()["execution"]["state"] == "executed", done.text
    asker.close()
    signer.close()


def decisions(home, cluster):
    approvals = Approvals(home / "approvals", postern.PostgresDatabase(cluster.url))
    try:
        approvals.copy()
        bearer = {"Authorization": "Bearer " + approvals.signers[0].session["token"]}
        cookie = {"Cookie": "__Host-postern_staff=" + approvals.signers[0].session["token"]}
        lists = [(what, kind, approvals.look(path, headers, cluster.pid())) for what, kind, path, headers in (
            ("to decide", "API", "/api/v1/approvals?view=asking", bearer), ("all", "API", "/api/v1/approvals?view=open", bearer),
            ("to decide", "page", "/approvals", cookie))]
        for _, _, result in lists:
            result["waiting"] = approvals.count + 1
        decided = {clients: [] for clients in CLIENTS}
        approvals.decide(16, 2, cluster.pid())
        # As autovacuum does within a minute: plans made while a table was empty would be measured otherwise.
        with approvals.server.database.connect() as db:
            db.execute("ANALYZE")
        for number in range(RUNS):
            for clients in CLIENTS:
                decided[clients].append(approvals.decide(clients, SECONDS, cluster.pid()))
                say(f"{clients} clients, round {number + 1}: {decided[clients][-1]['rate']:.0f}/s, p99 {decided[clients][-1]['p99']:.1f} ms")
        approvals.stop()
        return lists, decided
    finally:
        approvals.server.kill()


def rules(home, cluster):
    """The same mutations on two servers in turns, first with the same rules, then one has a rule for them more. Two databases are
    never alike to the last per cent: what they differ by before the rule is taken from what they differ by after. Turns are short
    and many, as what a machine does changes within seconds."""
    pair = [Bench(home / name, postern.PostgresDatabase(cluster.url)) for name in ("without", "with")]
    try:
        for bench in pair:
            bench.run(16, 2, cluster.pid())
        turns = []
        for has_rule in (False, True):
            if has_rule:
                add_rule(pair[1])
            runs = [[], []]
            for number in range(PAIRS):
                for which in ((0, 1), (1, 0))[number % 2]:
                    runs[which].append(pair[which].run(16, 1, cluster.pid(), block=50))
            say(f"{'after' if has_rule else 'before'}: {spread(runs[0])}/s on the one, {spread(runs[1])}/s on the other")
            turns.append(runs)
        for bench in pair:
            bench.stop()
        return turns
    finally:
        for bench in pair:
            bench.server.kill()


def ratios(runs):
    """What a mutation costs on the second server for each turn, of what it costs on the first: CPU, PostgreSQL's with it."""
    return [(b["cpu"] + b["cpu_database"]) / (a["cpu"] + a["cpu_database"]) for a, b in zip(*runs)]


def added(before, after):
    """What the rule adds, as a part of the mutation's cost, and between what 95 of 100 resamplings of the turns lie."""
    before, after = ratios(before), ratios(after)
    chance = random.Random(1)
    again = sorted(
        statistics.median(chance.choices(after, k=len(after))) / statistics.median(chance.choices(before, k=len(before))) - 1
        for _ in range(4000))
    return statistics.median(after) / statistics.median(before) - 1, again[100], again[-101]


def report(lists, decided, runs):
    lines = [f"| decision | {c} | {spread(r)} | {median(r, 'p50'):.1f} | **{spread(r, 'p99', '.1f')}** | {median(r, 'cpu'):.2f} + "
             f"{median(r, 'cpu_database'):.2f} |" for c, r in decided.items()]
    looks = [f"| {what} | {kind} | {r['p50']:.1f} | {r['p99']:.1f} | {r['cpu']:.1f} + {r['cpu_database']:.1f} |" for what, kind, r in lists]
    before, after = runs
    cost = [f"| {what} | {spread(r)} | {median(r, 'p50'):.1f} | {median(r, 'cpu'):.3f} + {median(r, 'cpu_database'):.3f} |"
            for what, r in zip(("the one", "the other", "the one, again", "the other, with a rule that covers it and does not match"),
                               (*before, *after))]
    rule, least, most = added(before, after)
    write_section("Approvals", f"""
    bin/bench approvals

{RUNS} runs of {SECONDS} s for each line on PostgreSQL; medians, with the slowest and the fastest run. {machine()}

`POST /api/v1/approvals/ID/approve`, each of a request of its own, among {WAITING:,} others that wait: session, step-up, key, the request's lock,
everybody's standing, the demand, the signature, the event, the turn of the request and the stored answer. PostgreSQL has WAL files to
write into, as one that has run for a day has.

| what | clients | per second, median (min..max) | p50 ms | p99 ms | CPU ms, server + database |
|---|---|---|---|---|---|
{chr(10).join(lines)}

A list of requests while {lists[0][2]['waiting']:,} wait, 50 on a page, asked for one after the other:

| which | as | p50 ms | p99 ms | CPU ms, server + database |
|---|---|---|---|---|
{chr(10).join(looks)}

Suspending and restoring with 16 clients, on two servers in {PAIRS} turns of a second each, before one has a rule more and after:

| server | per second, median (min..max) | p50 ms | CPU ms, server + database |
|---|---|---|---|
{chr(10).join(cost)}

The rule adds **{rule * 100:+.1f} %** of CPU, from what each turn costs on the one and the other; 95 of 100 resamplings of the turns lie between
{least * 100:+.1f} and {most * 100:+.1f} %.
""")


def main():
    home = postern.temporary_directory("bench")
    cluster = postern.Cluster(postern.temporary_directory("pg"))
    try:
        cluster.start(*SETTINGS)
        reuse_wal(cluster)
        lists, decided = decisions(home, cluster)
        report(lists, decided, rules(home, cluster))
    finally:
        cluster.stop("immediate")
        shutil.rmtree(cluster.home, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
