"""The demo company with large data on a PostgreSQL of its own; kept between the parts of the bench.

TENANTS (1,000,000) and EVENTS (5,000,000) say how much, POSTERN_BENCH_HOME (/tmp/postern-bench) where. `bin/bench clean` removes it."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import postern
import psycopg
from machine import machine, say, tree_cpu

TENANTS = int(os.environ.get("TENANTS", "1000000"))
EVENTS = int(os.environ.get("EVENTS", str(5 * TENANTS)))
HOME = Path(os.environ.get("POSTERN_BENCH_HOME", "/tmp/postern-bench"))
# As the peer's: durability is the default.
SETTINGS = ("shared_buffers=1GB", "effective_cache_size=8GB", "maintenance_work_mem=512MB", "work_mem=16MB", "max_wal_size=4GB",
            "random_page_cost=1.1")
# Gigabytes that full size needs, with room for the copies that the log is measured beside.
NEEDED = 4 + 30 * (TENANTS / 1e6 + EVENTS / 5e6) / 2


class Database:
    kind = "postgres"
    name = "large"

    def __init__(self, cluster):
        self.cluster = cluster
        self.url = f"postgres://postgres@127.0.0.1:{cluster.port}/{self.name}"

    def drop(self):
        with psycopg.connect(self.cluster.url, autocommit=True) as db:
            db.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    def create(self):
        with psycopg.connect(self.cluster.url, autocommit=True) as db:
            db.execute(f"CREATE DATABASE {self.name}")


class Large:
    def __init__(self, cluster):
        self.cluster = cluster
        self.database = Database(cluster)
        self.server = postern.Server(HOME / "server", self.database)

    @property
    def is_made(self):
        try:
            made = json.loads((self.server.data / "large.json").read_text())
        except FileNotFoundError:
            return False
        return made == {"tenants": TENANTS, "events": EVENTS, "done": True}

    def make(self):
        """Makes the data anew; answers what it took."""
        free = shutil.disk_usage(HOME).free / 1e9
        if free < NEEDED:
            sys.exit(f"bench: {HOME} has {free:.0f} GB left, and {NEEDED:.0f} GB are needed; set POSTERN_BENCH_HOME, or TENANTS and EVENTS")
        self.database.drop()
        self.database.create()
        shutil.rmtree(self.server.home, ignore_errors=True)
        self.server.home.mkdir(parents=True)
        say(f"making {TENANTS:,} tenants with 3 users each and {EVENTS:,} events")
        before, began, parts = tree_cpu(self.cluster.pid()), time.monotonic(), {}
        times = os.times()
        process = subprocess.Popen([str(self.server.binary), "demo", "--tenants", str(TENANTS), "--events", str(EVENTS), "--no-serve"],
                                   env=self.server.environment(), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            for line in process.stderr:
                say("  " + line.rstrip())
                for what in ("tenants", "events"):
                    if line.startswith(f"Making {what}: "):
                        parts[what] = time.monotonic() - began - sum(v for k, v in parts.items() if k != what)
            assert process.wait() == 0, "the making failed"
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        took = time.monotonic() - began
        own = os.times().children_user + os.times().children_system - times.children_user - times.children_system
        with psycopg.connect(self.database.url) as db:
            size = db.execute("SELECT pg_database_size(current_database())").fetchone()[0]
        result = {"seconds": took, "parts": parts, "cpu": own, "cpu_database": tree_cpu(self.cluster.pid()) - before,
                  "bytes": size, "tenants": TENANTS, "events": EVENTS, "machine": machine()}
        (HOME / "load.json").write_text(json.dumps(result))
        say(f"made in {took:.0f} s; the database has {size / 1e9:.1f} GB")
        return result

    def query(self, sql, *values):
        with psycopg.connect(self.database.url, autocommit=True) as db:
            return db.execute(sql, values).fetchall()

    def run(self, sql):
        with psycopg.connect(self.database.url, autocommit=True) as db:
            db.execute(sql)


@contextlib.contextmanager
def opened(anew=False):
    """The large data, made if need be. Server and database are stopped at the end, whatever happens."""
    HOME.mkdir(parents=True, exist_ok=True)
    HOME.chmod(0o755)
    cluster = postern.Cluster(HOME / "postgres")
    large = None
    try:
        cluster.stop("immediate")  # of a bench that was killed
        cluster.start(*(f"-c {setting}" for setting in SETTINGS))
        large = Large(cluster)
        if anew or not large.is_made:
            large.make()
        yield large
    finally:
        if large is not None:
            large.server.kill()
        cluster.stop("fast")


def clean():
    if (HOME / "postgres/data/PG_VERSION").exists():
        postern.Cluster(HOME / "postgres").stop("immediate")
    shutil.rmtree(HOME, ignore_errors=True)
    say(f"removed {HOME}")


if __name__ == "__main__":
    if sys.argv[1:] == ["clean"]:
        clean()
    else:
        with opened(anew=True):
            pass
