"""The audited mutation over HTTP beside the same SQL statements without a server in front of them.

PostgreSQL: the statements are taken from the database's own log of one suspension, with its parameters, and replayed by pgbench
(prepared, in pipelines, at least as tightly as the server sends them) on a copy of the same database. SQLite: the same
texts through Python's sqlite3. Server and peer run in turns on the same machine; what counts are the ratios."""
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time

import checker
import postern
import psycopg
from machine import RUNS, SECONDS, machine, median, process_cpu, say, spread, tree_cpu, write_section, wrk

TENANTS = int(os.environ.get("TENANTS", "30000"))
CLIENTS = (1, 16)


# ---- the server under load -----------------------------------------------------------------------------------


class Bench:
    """A demo with many tenants, people who may suspend, and wrk."""

    def __init__(self, home, database):
        self.server = postern.Server(home, database)
        self.server.start(seconds=900)
        began = time.monotonic()
        postern.write_customers(home / "customers.csv", TENANTS)
        imported = self.server.run("import", "csv", str(home / "customers.csv"), seconds=900)
        assert imported.returncode == 0, imported.stderr
        say(f"{database.kind}: {TENANTS} tenants imported in {time.monotonic() - began:.0f} s")
        able = [p for p in self.server.people() if {"support_l2", "super_admin"} & set(p["roles"])]
        self.people = [self.server.sign_in(p) for p in able[:4]]
        self.home = home
        self.ids = self.active()
        self.position = 0

    def active(self):
        """Tenants that can be suspended, scattered over the table in the same order every time. A run that ends in mid-block leaves
        some suspended; asking for those again would be refused, and cost as much as work that counts."""
        with checker.Database.of(self.server) as db:
            ids = [row["id"] for row in db.rows("SELECT id FROM tenants WHERE status = 'active'")]
        ids.sort(key=hash_of)
        (self.home / "tenants.txt").write_text("\n".join(ids) + "\n")
        return ids

    def run(self, clients, seconds, postmaster=None, block=400):
        """Blocks of tenants are suspended, then restored. A short run takes short blocks, to do as much of the one as of the other."""
        for person in self.people:
            person.step_up_if_old()
        (self.home / "tokens.txt").write_text("\n".join(p.session["token"] for p in self.people) + "\n")
        self.active()
        own, database = process_cpu(self.server.process.pid), tree_cpu(postmaster) if postmaster else 0
        result = wrk("mutation.lua", clients, seconds, self.server.staff_port, TENANTS_FILE=self.home / "tenants.txt",
                     TOKENS_FILE=self.home / "tokens.txt", START=self.position, RUN=postern.new_key(), BLOCK=block)
        own = process_cpu(self.server.process.pid) - own
        database = tree_cpu(postmaster) - database if postmaster else 0
        self.position += result["sent"] // 2 + 2 * block
        good = result["requests"] - result["wrong"]
        assert good > 0, result["example"]
        if result["wrong"] > good // 100 or result["socket"]:
            say(f"  {result['wrong']} wrong answers, {result['socket']} socket errors: {result['example']}")
        return {"rate": good / result["seconds"], "p50": result["p50"], "p99": result["p99"], "wrong": result["wrong"],
                "cpu": own / good * 1000, "cpu_database": database / good * 1000}

    def stop(self):
        for person in self.people:
            person.close()
        self.server.stop(60)


def hash_of(text):
    import hashlib

    return hashlib.sha256(text.encode()).digest()


# ---- the statements the server sends --------------------------------------------------------------------------


def capture(bench, cluster):
    """The statements of one suspension in order, each with its parameters."""
    with psycopg.connect(cluster.url, autocommit=True) as db:
        for setting in ("log_statement = 'all'", "log_line_prefix = '%p|'", "log_parameter_max_length = -1"):
            db.execute("ALTER SYSTEM SET " + setting)
        db.execute("SELECT pg_reload_conf()")
        time.sleep(0.5)
        log = cluster.home / "log"
        start = log.stat().st_size
        tenant = bench.ids[-1]
        answer = bench.people[0].suspend(tenant, ticket="NW-1")
        assert answer.status_code == 200, answer.text
        time.sleep(0.5)
        for setting in ("log_statement", "log_line_prefix", "log_parameter_max_length"):
            db.execute("ALTER SYSTEM RESET " + setting)
        db.execute("SELECT pg_reload_conf()")
    text = log.read_bytes()[start:].decode()
    event = answer.json()["event_id"]
    sessions, last = {}, None
    for line in text.splitlines():
        match = re.match(r"(\d+)\|(LOG|DETAIL):\s+(.*)", line)
        if match is None:
            if last is not None and line.startswith("\t"):
                last["text" if last["values"] is None else "values"] += "\n" + line[1:]
            continue
        pid, kind, rest = match.groups()
        if kind == "LOG":
            found = re.match(r"(?:execute [^:]+|statement): (.*)", rest, re.S)
            last = {"text": found.group(1), "values": None} if found else None
            if last is not None:
                sessions.setdefault(pid, []).append(last)
        elif last is not None and rest.startswith("parameters: "):
            last["values"] = rest.removeprefix("parameters: ")
    for statements in sessions.values():
        transaction = []
        for statement in statements:
            if statement["text"].startswith("BEGIN"):
                transaction = []
            statement["values"] = values_of(statement["values"])
            transaction.append(statement)
            if statement["text"].startswith("COMMIT") and any(
                s["text"].lstrip().startswith("WITH written AS (INSERT INTO events") or "INSERT INTO events " in s["text"]
                for s in transaction
            ) and any(event in (v or "") for s in transaction for v in s["values"]) \
                    and any("UPDATE tenants" in s["text"] for s in transaction):
                return transaction, answer.json(), tenant
    raise AssertionError("the suspension was not found in PostgreSQL's log:\n" + text[-3000:])


def values_of(text):
    out = []
    for number, value in re.findall(r"\$(\d+) = (NULL|'(?:[^']|'')*')", text or ""):
        assert int(number) == len(out) + 1
        out.append(None if value == "NULL" else value[1:-1].replace("''", "'"))
    return out


# What a suspension writes anew; every other column of the row keeps what was read.
WRITTEN = {"version", "status", "resumes_to", "then_resumes_to", "updated_at", "status_since", "deletion_eligible_at"}


def kept_columns(text):
    """The columns that UPDATE tenants writes back unchanged, by the number of their parameter."""
    if "UPDATE tenants" not in text:
        return {}
    return {int(number): column for column, number in re.findall(r"(\w+) = \$(\d+)", text.split("WHERE id")[0])
            if column not in WRITTEN}


def pgbench_script(transaction, done, tenant):
    """The transaction as a pgbench script with the values that must differ made so, and the variables it needs."""
    variables, out = {}, ["\\set n random(1, :tenants)", "\\set u random(1000000000000, 9999999999999)"]
    state = {"read": False}
    unique = {}

    def place(value):
        """What stands for a parameter: the random tenant's own, a new unique text, or the captured value."""
        if value is None:
            return "NULL"
        if value == tenant:
            return ":t_id" if state["read"] else "(SELECT id FROM bench_tenant WHERE n = :n)"
        if value == "{" + tenant + "}":
            return "ARRAY[(SELECT id FROM bench_tenant WHERE n = :n)]"
        if value == str(done["before"]["version"]) and state["read"]:
            return ":t_version"
        if value == str(done["after"]["version"]) and state["read"]:
            return "(:t_version::bigint + 1)"
        if re.fullmatch(r"(evt|op|req|out)_\w+", value) or value.startswith("e2e-"):
            unique.setdefault(value, f"b{len(unique)}")
            return f"('{value[:14]}_{unique[value]}_' || :u::text)"
        if value.startswith("idempotency:"):
            return "('idempotency bench ' || :u::text)"  # pgbench reads a colon as a variable
        if tenant in value and len(value) < 80:
            return f"('{value.split(tenant)[0].replace(':', ' ')}' || (SELECT id FROM bench_tenant WHERE n = :n))"
        name = f"p{len(variables)}"
        variables[name] = value
        return ":" + name

    def written(statement):
        text = re.sub(r"\s*\n\s*", " ", statement["text"]).strip()
        kept = kept_columns(text)

        def parameter(match):
            number = int(match.group(1))
            value = statement["values"][number - 1]
            if number not in kept or value is None:
                return place(value)
            return "lower(:t_name)" if kept[number] == "name_key" else f":t_{kept[number]}"

        return re.sub(r"\$(\d+)", parameter, text)

    group = []

    def flush():
        if len(group) > 1:
            out.extend(["\\startpipeline", *[line + ";" for line in group], "\\endpipeline"])
        elif group:
            out.append(group[0] + ";")
        group.clear()

    # The tenant's row takes a trip of its own, which the server does not need; all others are in as few as can be.
    for statement in transaction:
        is_tenant = re.search(r"FROM tenants\b", statement["text"]) and "FOR UPDATE" in statement["text"] and not state["read"]
        if is_tenant:
            flush()
            out.append(written(statement) + " \\gset t_")
            state["read"] = True
        else:
            group.append(written(statement))
    flush()
    assert state["read"], "no SELECT … FROM tenants … FOR UPDATE among the statements"
    return "\n".join(out) + "\n", variables


def prepare_pgbench(cluster, database, home, script):
    """A copy of the server's database with the tenants numbered."""
    with psycopg.connect(cluster.url, autocommit=True) as db:
        db.execute(f'CREATE DATABASE bench TEMPLATE "{database.name}"')
    url = database.url.replace(database.name, "bench")
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE TABLE bench_tenant AS SELECT row_number() OVER (ORDER BY md5(id)) AS n, id FROM tenants "
                   "WHERE status = 'active'")
        db.execute("ALTER TABLE bench_tenant ADD PRIMARY KEY (n)")
        count = db.execute("SELECT count(*) FROM bench_tenant").fetchone()[0]
        db.execute("VACUUM ANALYZE")
    (home / "mutation.pgbench.sql").write_text(script)
    return url, count


def pgbench(url, home, variables, tenants, clients, seconds, postmaster):
    command = ["pgbench", "-n", "-M", "prepared", "-c", str(clients), "-j", "1", "-T", str(seconds), "-l",
               "--log-prefix", str(home / "pgbench"), "-f", str(home / "mutation.pgbench.sql"), "-D", f"tenants={tenants}"]
    for name, value in variables.items():
        command += ["-D", f"{name}={value}"]
    before = tree_cpu(postmaster)
    done = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 60)
    assert done.returncode == 0, (done.stderr + done.stdout)[-2000:]
    cpu = tree_cpu(postmaster) - before
    count = int(re.search(r"number of transactions actually processed: (\d+)", done.stdout).group(1))
    rate = float(re.search(r"tps = ([\d.]+)", done.stdout).group(1))
    times = []
    for path in home.glob("pgbench.*"):
        times += [int(line.split()[2]) / 1000 for line in path.read_text().splitlines()]
        path.unlink()
    times.sort()
    return {"rate": rate, "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100],
            "cpu_database": cpu / count * 1000}


# ---- SQLite's own statements ------------------------------------------------------------------------------------


def sqlite_statements(transaction, done, tenant):
    """The same texts for SQLite, without what only PostgreSQL needs; each with a function from (tenant, version, serial) to values."""
    out = []
    for statement in transaction:
        text = re.sub(r"\s*\n\s*", " ", statement["text"]).strip()
        if re.search(r"pg_|transaction_timestamp|^BEGIN|^COMMIT|^SET ", text):
            continue
        wrapped = re.match(r"WITH written AS \((.*?)(?: RETURNING 1)?\) SELECT postern_expect_rows", text)
        text = wrapped.group(1) if wrapped else text
        claimed = re.match(r"SELECT postern_claim\(NOT EXISTS \((.*)\)\)$", text)
        text = claimed.group(1) if claimed else text
        text = re.sub(r" FOR (NO KEY )?UPDATE.*$", "", text)
        out.append((text, statement["values"], kept_columns(text)))

    def bind(values, kept, row, id, version, serial):
        bound = {}
        for number, value in enumerate(values, 1):
            if number in kept and row:
                value = row["name"].lower() if kept[number] == "name_key" else row[kept[number]]
            elif value == tenant:
                value = id
            elif value in (str(done["before"]["version"]), str(done["after"]["version"])) and version:
                value = version if value == str(done["before"]["version"]) else version + 1
            elif value and (re.fullmatch(r"(evt|op|req|out)_\w+", value) or value.startswith("e2e-")):
                value = f"{value[:30]}{serial}"
            elif value and value.startswith("\\x"):
                value = bytes.fromhex(value[2:])
            elif value and re.fullmatch(r"-?\d{1,18}", value):
                value = int(value)
            bound[str(number)] = value
        return bound

    return out, bind


def raw_sqlite(path, statements, bind, tenants, seconds, group):
    """One writer that commits after every `group` transactions; each of a group in a savepoint of its own."""
    db = sqlite3.connect(path, isolation_level=None, cached_statements=200)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "recursive_triggers = ON",
                   "secure_delete = ON"):
        db.execute("PRAGMA " + pragma)
    for name, count in (("postern_governed", 2), ("postern_event", 2), ("postern_witness", 3), ("postern_erase_under", 1),
                        ("postern_erasing", 0)):
        db.create_function(name, count, lambda *_: 1)
    versions = dict(db.execute("SELECT id, version FROM tenants"))
    before, count, times = time.process_time(), 0, []
    began = last = time.monotonic()
    serial = time.time_ns()
    while last - began < seconds:
        db.execute("BEGIN IMMEDIATE")
        for _ in range(group):
            id = tenants[count % len(tenants)]
            if group > 1:
                db.execute("SAVEPOINT one")
            row = None
            for text, values, kept in statements:
                cursor = db.execute(text, bind(values, kept, row, id, versions[id], serial + count))
                if cursor.description:
                    found = cursor.fetchall()
                    if row is None and "FROM tenants" in text:
                        row = dict(zip((column[0] for column in cursor.description), found[0]))
            if group > 1:
                db.execute("RELEASE one")
            versions[id] += 1
            count += 1
        db.execute("COMMIT")
        now = time.monotonic()
        times.append((now - last) * 1000)
        last = now
    elapsed, cpu = last - began, time.process_time() - before
    db.close()
    times.sort()
    return {"rate": count / elapsed, "p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100],
            "cpu": cpu / count * 1000}


# ---- the report --------------------------------------------------------------------------------------------------


def rows(title, peer_title, results, peers, has_database):
    out = []
    for clients in CLIENTS:
        own, other = results[clients], peers[clients]
        ratio = statistics.median(a["rate"] / b["rate"] for a, b in zip(own, other))
        out.append(f"| {title} | {clients} | {spread(own)} | {median(own, 'p50'):.2f} | {median(own, 'p99'):.1f} | "
                   f"{median(own, 'cpu'):.2f} | {median(own, 'cpu_database'):.2f} | {sum(r['wrong'] for r in own)} | |"
                   if has_database else
                   f"| {title} | {clients} | {spread(own)} | {median(own, 'p50'):.2f} | {median(own, 'p99'):.1f} | "
                   f"{median(own, 'cpu'):.2f} | (in it) | {sum(r['wrong'] for r in own)} | |")
        cpu = f"{median(other, 'cpu_database'):.2f}" if has_database else "(in it)"
        own_cpu = "–" if has_database else f"{median(other, 'cpu'):.2f}"
        out.append(f"| {peer_title} | {clients} | {spread(other)} | {median(other, 'p50'):.2f} | {median(other, 'p99'):.1f} | "
                   f"{own_cpu} | {cpu} | | **{ratio:.2f}** |")
    return out


def report(tables, statements):
    write_section("One audited mutation", f"""
    TENANTS={TENANTS} bin/bench mutation

{RUNS} runs of {SECONDS} s for each line; medians, with the slowest and the fastest run. {machine()} {TENANTS:,} tenants.

`POST /api/v1/tenants/ID/suspend` and, block by block, `/restore`, on tenants scattered over the table: session, permission, step-up,
idempotency key, row lock, plan, approval rules, the change, the event with its sealed members, the pending leaf, the history, the outbox row
and the stored answer in one durable transaction; the sequencer integrates the leaves and signs checkpoints meanwhile.

The peer on PostgreSQL is `pgbench -M prepared` with the {statements} statements the server was seen to send (the database's own log), with
the same values, in pipelines, on a copy of the same database with the same triggers. It does not authenticate, parse, plan, hash or
sequence. The peer on SQLite is the same texts through Python's `sqlite3` (WAL, `synchronous=FULL`, one writer), for
16 clients with 16 transactions a commit, each in its savepoint.

| what | clients | per second, median (min..max) | p50 ms | p99 ms | CPU ms, server | CPU ms, database | not 200 | ratio |
|---|---|---|---|---|---|---|---|---|
{chr(10).join(tables)}

For SQLite the peer's p50 and p99 are those of a commit. CPU is user and system time of the `postern` process, and of all PostgreSQL processes,
per request. "Not 200" are refusals (409), which are not counted as work.
""")


def main():
    home = postern.temporary_directory("bench")
    tables, servers, clusters = [], [], []
    try:
        # PostgreSQL
        cluster = postern.Cluster(postern.temporary_directory("pg"))
        clusters.append(cluster)
        cluster.start("-c shared_buffers=512MB", "-c max_wal_size=4GB", "-c checkpoint_timeout=30min")
        database = postern.PostgresDatabase(cluster.url)
        bench = Bench(home / "postgres", database)
        servers.append(bench)
        transaction, done, tenant = capture(bench, cluster)
        (home / "captured.json").write_text(json.dumps(transaction, indent=1))
        script, variables = pgbench_script(transaction, done, tenant)
        say(f"captured {len(transaction)} statements of one suspension")
        bench.server.stop(60)
        url, count = prepare_pgbench(cluster, database, home, script)
        bench.server.start()
        ours, theirs = {c: [] for c in CLIENTS}, {c: [] for c in CLIENTS}
        bench.run(16, 2, cluster.pid())
        pgbench(url, home, variables, count, 16, 2, cluster.pid())
        for round in range(RUNS):
            for clients in CLIENTS:
                with psycopg.connect(cluster.url, autocommit=True) as db:
                    db.execute("CHECKPOINT")
                ours[clients].append(bench.run(clients, SECONDS, cluster.pid()))
                theirs[clients].append(pgbench(url, home, variables, count, clients, SECONDS, cluster.pid()))
                say(f"PostgreSQL, {clients} clients, round {round + 1}: {ours[clients][-1]['rate']:.0f}/s, pgbench "
                    f"{theirs[clients][-1]['rate']:.0f}/s, {ours[clients][-1]['cpu']:.2f} ms CPU")
        tables += rows("Postern on PostgreSQL", "pgbench, the same statements", ours, theirs, True)
        bench.stop()
        servers.remove(bench)
        cluster.stop()

        # SQLite
        bench = Bench(home / "sqlite", postern.EmbeddedDatabase())
        servers.append(bench)
        file = checker.sqlite_file(bench.server.data)
        bench.server.stop(60)
        copy = home / "raw.db"
        shutil.copy(file, copy)
        with checker.Database(f"sqlite:{copy}") as db:
            tenants = [row["id"] for row in db.rows("SELECT id FROM tenants WHERE status = 'active'")]
        tenants.sort(key=hash_of)
        bench.server.start()
        # The statements name rows by text only; those of the SQLite demo are the same as those captured above.
        statements, bind = sqlite_statements(transaction, done, tenant)
        ours, theirs = {c: [] for c in CLIENTS}, {c: [] for c in CLIENTS}
        bench.run(16, 2)
        for round in range(RUNS):
            for clients in CLIENTS:
                ours[clients].append(bench.run(clients, SECONDS))
                theirs[clients].append(raw_sqlite(copy, statements, bind, tenants, SECONDS, clients))
                say(f"SQLite, {clients} clients, round {round + 1}: {ours[clients][-1]['rate']:.0f}/s, raw "
                    f"{theirs[clients][-1]['rate']:.0f}/s, {ours[clients][-1]['cpu']:.2f} ms CPU")
        tables += rows("Postern on SQLite", "its statements alone", ours, theirs, False)
        bench.stop()
        servers.remove(bench)
        report(tables, len(transaction))
    finally:
        for bench in servers:
            bench.server.kill()
        for cluster in clusters:
            cluster.stop("immediate")
            shutil.rmtree(cluster.home, ignore_errors=True)
        if os.environ.get("KEEP") != "1":
            shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
