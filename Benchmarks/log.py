"""The log at size: making the data, taking leaves into the tree, and verifying everything, beside the COPY of the same rows."""
import json
import os
import shutil
import subprocess
import sys
import time

import large
import postern
import psycopg
from large import EVENTS, HOME, TENANTS
from machine import RUNS, machine, process_cpu, say, tree_cpu, write_section

WAITING = int(os.environ.get("WAITING", str(min(500_000, EVENTS // 2))))
TABLES = ("events", "sealed", "sealed_subject", "event_entity", "entity_head", "log_leaf", "log_tile")


def copy_again(data):
    """COPY of what verify reads, into empty tables with the same indexes and checks, without triggers and foreign keys."""
    files = HOME / "copies"
    shutil.rmtree(files, ignore_errors=True)
    files.mkdir()
    if os.geteuid() == 0:
        shutil.chown(files, "postgres")
    took, rows = {}, {}
    try:
        data.run("DROP SCHEMA IF EXISTS yardstick CASCADE")
        data.run("CREATE SCHEMA yardstick")
        for table in TABLES:
            data.run(f"COPY {table} TO '{files}/{table}' (FORMAT binary)")
            data.run(f"CREATE TABLE yardstick.{table} (LIKE public.{table} INCLUDING ALL)")
            data.run("CHECKPOINT")
            began = time.monotonic()
            data.run(f"COPY yardstick.{table} FROM '{files}/{table}' (FORMAT binary)")
            took[table] = time.monotonic() - began
            rows[table] = data.query(f"SELECT count(*) FROM yardstick.{table}")[0][0]
            (files / table).unlink()
            data.run(f"DROP TABLE yardstick.{table}")
            say(f"COPY {table}: {rows[table]:,} rows in {took[table]:.1f} s")
    finally:
        data.run("DROP SCHEMA IF EXISTS yardstick CASCADE")
        shutil.rmtree(files, ignore_errors=True)
    return took, rows


def verify(data):
    before = os.times()
    database, began = tree_cpu(data.cluster.pid()), time.monotonic()
    done = data.server.run("verify", "--json", seconds=7200, POSTERN_ENVIRONMENT="demo")
    took = time.monotonic() - began
    after = os.times()
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert report["clean"], report
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    say(f"verified {report['size']:,} events in {took:.1f} s")
    return {"seconds": took, "cpu": cpu, "cpu_database": tree_cpu(data.cluster.pid()) - database, "size": report["size"]}


class Waiting:
    """A small demo in whose queue many events wait."""

    def __init__(self, data):
        self.data = data
        self.database = large.Database(data.cluster)
        self.database.name = "waiting"
        self.database.url = self.database.url.rsplit("/", 1)[0] + "/waiting"
        self.server = postern.Server(HOME / "waiting", self.database)

    def make(self):
        self.database.drop()
        shutil.rmtree(self.server.home, ignore_errors=True)
        self.database.create()
        self.server.home.mkdir(parents=True)
        done = self.server.run("demo", "--tenants", "1", "--events", "0", "--no-serve", seconds=300)
        assert done.returncode == 0, done.stderr
        files = HOME / "copies"
        files.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(files, "postgres")
        chosen = f"SELECT id FROM events WHERE class = 'access' AND tenant_id IS NOT NULL ORDER BY at, id LIMIT {WAITING}"
        queries = {"events": f"SELECT * FROM events WHERE id IN ({chosen})",
                   "sealed": f"SELECT * FROM sealed WHERE event_id IN ({chosen})",
                   "sealed_subject": f"SELECT * FROM sealed_subject WHERE event_id IN ({chosen})"}
        with psycopg.connect(self.database.url, autocommit=True) as db:
            # As a superuser: the rows are those of another database.
            db.execute("SET session_replication_role = replica")
            for table, query in queries.items():
                self.data.run(f"COPY ({query}) TO '{files}/{table}' (FORMAT binary)")
                db.execute(f"COPY {table} FROM '{files}/{table}' (FORMAT binary)")
                (files / table).unlink()
            db.execute("INSERT INTO log_pending (event_id) SELECT e.id FROM events e LEFT JOIN log_leaf l ON l.event_id = e.id "
                       "WHERE l.event_id IS NULL ORDER BY e.at, e.id")
            count = db.execute("SELECT count(*) FROM log_pending").fetchone()[0]
            db.execute("VACUUM ANALYZE")
            db.execute("CHECKPOINT")
        shutil.rmtree(files, ignore_errors=True)
        return count

    def start(self):
        """Until it is ready, which is when nothing waits any more."""
        database, began = tree_cpu(self.data.cluster.pid()), time.monotonic()
        self.server.launch()
        postern.wait_until(self.server.ready, 600, "/readyz")
        result = {"seconds": time.monotonic() - began, "cpu": process_cpu(self.server.process.pid),
                  "cpu_database": tree_cpu(self.data.cluster.pid()) - database}
        self.server.stop(60)
        return result

    def remove(self):
        self.server.kill()
        self.database.drop()
        shutil.rmtree(self.server.home, ignore_errors=True)


def integrate(data):
    waiting = Waiting(data)
    try:
        results = []
        for _ in range(RUNS):
            count = waiting.make()
            full = waiting.start()
            idle = waiting.start()
            net = {name: max(0.001, full[name] - idle[name]) for name in full}
            net["rate"] = count / net["seconds"]
            net["per_core"] = count / (net["cpu"] + net["cpu_database"])
            net["per_own_core"] = count / net["cpu"]
            results.append(net)
            say(f"integrated {count:,} leaves: {net['rate']:,.0f}/s, {net['per_core']:,.0f}/s a core, {net['per_own_core']:,.0f}/s a core of the server alone")
        return count, sorted(results, key=lambda r: r["rate"])[len(results) // 2]
    finally:
        waiting.remove()


def main():
    with large.opened() as data:
        made = json.loads((HOME / "load.json").read_text()) if (HOME / "load.json").exists() else None
        sentences = []
        if made:
            parts = ", ".join(f"{what} in {seconds:.0f} s" for what, seconds in made["parts"].items())
            sentences.append(
                f"`postern demo --tenants {TENANTS} --events {EVENTS}` made {TENANTS:,} tenants with 3 users each and {EVENTS:,} events, in the tree "
                f"and signed, in **{made['seconds'] / 60:.1f} minutes** ({parts}); {made['cpu']:.0f} s of CPU in Postern, {made['cpu_database']:.0f} s in "
                f"PostgreSQL, {made['bytes'] / 1e9:.1f} GB.")
        count, net = integrate(data)
        sentences.append(
            f"Taking {count:,} waiting events into the tree: **{net['rate']:,.0f} leaves/s**, {net['per_own_core']:,.0f} for each second of CPU in Postern, "
            f"{net['per_core']:,.0f} for each second of CPU in Postern and PostgreSQL together.")
        took, rows = copy_again(data)
        checked = verify(data)
        copy = sum(took.values())
        sentences.append(
            f"`postern verify` of {checked['size']:,} events, with their sealed values and all governed rows: **{checked['seconds']:.0f} s** "
            f"({checked['cpu']:.0f} s of CPU in Postern, {checked['cpu_database']:.0f} s in PostgreSQL). `COPY` of the same {sum(rows.values()):,} rows of the "
            f"log into empty tables with the same indexes: {copy:.0f} s. Ratio **{checked['seconds'] / copy:.2f}**.")
        write_section("Large data and the log", f"""
    TENANTS={TENANTS} EVENTS={EVENTS} bin/bench log

{machine()}

{chr(10).join(s + chr(10) for s in sentences)}""")


if __name__ == "__main__":
    sys.exit(main())
