"""A file of two gigabytes as a CRM exports it, imported into each database, killed twice, and looked at row by row.

The file is real: about a million customers of 2 kB each, in forty columns of which the mapping uses five, with quotes, line breaks within
values, letters that are not ASCII, ids that stand there twice, and rows that can't be taken. What is in afterwards is compared with what
the file says. SIZE (bytes, 2147483648), DATABASES ("postgres sqlite") and LIMIT (seconds each step may take) change what is done."""
import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time

import checker
import postern
from machine import machine, say, write_section

SIZE = int(os.environ.get("SIZE", str(2 << 30)))
DATABASES = os.environ.get("DATABASES", "postgres sqlite").split()
# Of one run of the command; it stops by itself.
LIMIT = int(os.environ.get("LIMIT", str(600 + 3600 * SIZE // (2 << 30))))
# The file, a database with its log and its journal, and what was staged.
NEEDED = 6 * SIZE + (2 << 30)
SETTINGS = ("-c shared_buffers=1GB", "-c max_wal_size=4GB", "-c checkpoint_timeout=30min")

MAPPING = """
fields:
  external_id: Account No
  name: Company
  slug: {from: Account No, as: lower}
  plan: {from: Edition, values: {Gold: business, Silver: team}, default: free}
  owner_email: Owner
  region: {constant: eu-west}
  metadata.sector: Sector
"""
WORDS = ("Bäcker", "Łódź Metall", "Crème Brûlée", "Ångström", "İstanbul Lojistik", "東京商事", "Nordwind", "São Paulo Têxtil", "Ωmega", "Čapek")
SECTORS = ("food,\nfresh", "steel", 'so-called "services"', "Maschinenbau", "перевозки", "retail", "")
EDITIONS = (("Gold", "business"), ("Silver", "team"), ("", "free"))
# Columns that the mapping leaves alone, between the ones it uses.
UNUSED = 35


# ---- the file ----------------------------------------------------------------------------------------------


def fault(number):
    """What is wrong with a row by itself."""
    if number % 7001 == 0:
        return "edition"
    if number % 9001 == 0:
        return "owner"
    if number % 11003 == 0:
        return "short"
    return None


def wrong(number):
    """What is wrong with a row, which may also be that the one before it has its id."""
    if number % 5000 == 4999 and fault(number) is None and fault(number - 1) is None:
        return "twin"
    return fault(number)


def account(number):
    return f"ACC-{number - 1 if wrong(number) == 'twin' else number:08d}"


def company(number):
    """As it stands in the file; within a name a line break is a blank."""
    word = WORDS[number % len(WORDS)]
    return f'{word}\nNord "{number}"' if number % 997 == 0 else f'{word} "{number}" & Söhne'


def owner(number):
    return f"owner.{number}@kunde.example" if number % 4 == 0 else ""


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


def fillings(count=256):
    """What stands in the columns nobody looks at, and how many line breaks it has: made once and used again and again."""
    chance = random.Random(20260101)
    words = [*WORDS, "offer", "call back", 'said "yes"', "2024-11-30", "EUR 1.200,50", "–", "n/a", "ä" * 9, "https://crm.example/?a=1&b=2"]
    out = []
    for _ in range(count):
        fields = []
        for column in range(UNUSED):
            text = " ".join(chance.choice(words) for _ in range(chance.randint(2, 7)))
            if column % 12 == 5:
                text = text.replace(" ", "\n", 2)
            fields.append(quoted(text) if any(sign in text for sign in ',"\n') else text)
        line = ",".join(fields)
        out.append((line, line.count("\n")))
    return out


class File:
    """The export, and what an import of it has to come to."""

    def __init__(self, path):
        self.path = path
        self.rows = self.sound = 0
        # Of every row that can't be taken: its line, the column, and a part of the reason.
        self.rejected = set()
        self.write()

    def write(self):
        began, pool, line, size = time.monotonic(), fillings(), 2, 0
        with open(self.path, "wb") as f:
            names = ["Account No", "Company", "Edition", "Owner", *(f"Field {n}" for n in range(UNUSED)), "Sector"]
            size += f.write((",".join(names) + "\r\n").encode())
            while size < SIZE:
                part = []
                for _ in range(1_000):
                    self.rows += 1
                    text, line = self.row(self.rows, line, *pool[self.rows * 31 % len(pool)])
                    part.append(text)
                size += f.write("".join(part).encode())
        self.size = size
        say(f"wrote {self.rows:,} rows, {size / 1e6:,.0f} MB, in {time.monotonic() - began:.0f} s")

    def row(self, number, line, filling, breaks):
        kind = wrong(number)
        edition = "Diamond" if kind == "edition" else EDITIONS[number % 3][0]
        mail = "not-an-address" if kind == "owner" else owner(number)
        name, sector = company(number), SECTORS[number % len(SECTORS)]
        text = f"{account(number)},{quoted(name)},{edition},{mail},{filling}"
        if kind != "short":
            text += f",{quoted(sector)}"
            breaks += sector.count("\n")
        if kind is None:
            self.sound += 1
        else:
            self.rejected |= {(line, column, reason) for column, reason in {
                "edition": [("Edition", '"Diamond" as Edition')], "owner": [("Owner", '"not-an-address" as an e-mail')],
                "short": [("", f"has {UNUSED + 4} values for {UNUSED + 5} columns")],
                "twin": [("external_id", "already"), ("slug", "already")]}[kind]}
        return text + "\r\n", line + breaks + name.count("\n") + 1

    @property
    def bad(self):
        return self.rows - self.sound


# ---- one import --------------------------------------------------------------------------------------------


def high_water(pid):
    """MiB that a process had resident at most; nothing once it has ended."""
    try:
        with open(f"/proc/{pid}/status") as f:
            found = re.search(r"VmHWM:\s+(\d+)", f.read())
    except FileNotFoundError:
        return 0
    return int(found.group(1)) / 1024 if found else 0


class Import:
    """The command, run again and again until it has come to its end."""

    RUN = "SELECT state, staged + rejected AS rows, bytes_done AS bytes, created + updated + unchanged AS done FROM import_runs"

    def __init__(self, server, file, mapping, home):
        self.server, self.file = server, file
        self.command = [str(server.binary), "import", "csv", str(file.path), "--mapping", str(mapping), "--json",
                        "--rejected", str(home / "rejected.csv")]
        self.home = home
        self.peak = 0
        self.process = None

    def launch(self):
        out, err = open(self.home / "out", "wb"), open(self.home / "err", "wb")
        self.process = subprocess.Popen(self.command, cwd=self.home, env=self.server.environment(), stdin=subprocess.DEVNULL,
                                        stdout=out, stderr=err)
        out.close()
        err.close()

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def said(self):
        return "".join((self.home / name).read_text(errors="replace")[-3000:] for name in ("out", "err"))

    def follow(self, database, is_enough, what):
        """Looks at the run until it is enough or the process has ended: what it saw, with the times."""
        self.launch()
        samples, end = [], time.monotonic() + LIMIT
        try:
            while True:
                has_ended = self.process.poll() is not None
                self.peak = max(self.peak, high_water(self.process.pid))
                rows = database.rows(self.RUN)
                if rows:
                    samples.append((time.monotonic(), rows[0]))
                if has_ended or rows and is_enough(rows[0]):
                    return samples
                assert time.monotonic() < end, f"after {LIMIT} s: {what} still under way, {rows}"
                time.sleep(0.1)
        except BaseException:
            self.kill()
            raise


def grown(samples, member):
    """By how much a number grew, and in which time: from the last sample before it grew to the first at its end."""
    values = [(at, row[member]) for at, row in samples]
    if not values or values[-1][1] == values[0][1]:
        return 0, 0.0
    first = next(i for i, (_, value) in enumerate(values) if value > values[0][1])
    start, last = values[first - 1], next(pair for pair in values if pair[1] == values[-1][1])
    return last[1] - start[1], last[0] - start[0]


def total(parts, member):
    """Per second, over all parts."""
    counted = [grown(samples, member) for samples in parts]
    seconds = sum(took for _, took in counted)
    return sum(count for count, _ in counted) / seconds if seconds > 0 else 0.0


def bring(server, file, mapping, home):
    """Imports the file: killed while it is staged, killed while it is applied, then to its end. Answers what was measured."""
    work = Import(server, file, mapping, home)
    began = time.monotonic()
    try:
        with checker.Database.of(server) as database:
            count = "SELECT count(*) FROM tenants WHERE external_id LIKE 'ACC-%'"
            # Killed in the middle of staging: nothing of it is visible, and what was read is kept.
            first = work.follow(database, lambda run: run["bytes"] > file.size * 0.4, "staging")
            assert work.process.poll() is None, f"it ended before it was killed; is SIZE too small?\n{work.said()}"
            work.kill()
            kept = database.rows(Import.RUN)[0]
            assert kept["state"] == "staging" and kept["bytes"] > 0 and database.one(count) == 0, kept
            say(f"{server.database.kind}: killed with {kept['rows']:,} rows staged")
            # Killed in the middle of applying: whole batches, as many as the run says.
            second = work.follow(database, lambda run: run["done"] > file.sound * 0.4, "applying")
            assert work.process.poll() is None, f"it ended before it was killed\n{work.said()}"
            work.kill()
            some, run = database.one(count), database.rows(Import.RUN)[0]
            assert run["state"] == "applying" and some == run["done"] < file.sound, run
            assert second[0][1]["bytes"] >= kept["bytes"], "what was staged was read once more"
            say(f"{server.database.kind}: killed with {some:,} customers in")
            third = work.follow(database, lambda run: False, "applying")
            assert work.process.returncode == 2, work.said()
            took = time.monotonic() - began
            compare(database, file, home, work)
    finally:
        work.kill()
    # From the end of staging to the first batch.
    checked = next(at for at, row in second if row["done"] > 0) - next(at for at, row in second if row["state"] != "staging")
    checked = max(checked, 0.1)
    return {"staging": total((first, second), "rows"), "bytes": total((first, second), "bytes") / 1e6, "check": file.sound / checked,
            "apply": total((second, third), "done"), "peak": work.peak, "took": took}


def compare(database, file, home, work):
    """What is in against what the file says, every row of it."""
    told = json.loads((home / "out").read_text())
    assert (told["applied"], told["created"], told["updated"], told["rejected"]) == (True, file.sound, 0, file.bad), {
        name: told[name] for name in ("applied", "rows", "created", "updated", "unchanged", "rejected")}
    with open(home / "rejected.csv", newline="") as f:
        listed = {(int(row["line"]), row["column"]): row["reason"] for row in csv.DictReader(f)}
    expected = {(line, column): reason for line, column, reason in file.rejected}
    assert listed.keys() == expected.keys(), sorted(listed.keys() ^ expected.keys())[:5]
    for place, reason in expected.items():
        assert reason in listed[place], (place, reason, listed[place])

    seen, step = 0, 50_000
    for start in range(1, file.rows + 1, step):
        rows = database.rows(
            "SELECT external_id, slug, name, plan, region, metadata FROM tenants WHERE external_id >= ? AND external_id < ?",
            f"ACC-{start:08d}", f"ACC-{start + step:08d}")
        found = {row["external_id"]: row for row in rows}
        for number in range(start, min(start + step, file.rows + 1)):
            if wrong(number) is not None:
                # The id of a twin is that of the row before it.
                assert wrong(number) == "twin" or account(number) not in found, number
                continue
            row = found[account(number)]
            metadata = row["metadata"] if isinstance(row["metadata"], dict) else json.loads(row["metadata"])
            sector = SECTORS[number % len(SECTORS)].replace("\n", " ")
            assert (row["slug"], row["name"], row["plan"], row["region"], metadata) == (
                account(number).lower(), company(number).replace("\n", " "), EDITIONS[number % 3][1], "eu-west",
                {"sector": sector} if sector else {}), (number, row)
            seen += 1
        assert len(found) == sum(wrong(n) is None for n in range(start, min(start + step, file.rows + 1)))
    assert seen == file.sound
    owners = sum(wrong(n) is None and n % 4 == 0 for n in range(1, file.rows + 1))
    assert database.one("SELECT count(*) FROM users WHERE email LIKE 'owner.%@kunde.example'") == owners
    assert database.one("SELECT count(*) FROM import_rows") == 0
    assert database.one("SELECT count(*) FROM outbox WHERE name = 'registry.imported'") == 1
    say(f"{seen:,} customers, {owners:,} owners and {file.bad:,} rejected rows are as the file says")


def measure(kind, file, home):
    """One database, which is gone afterwards."""
    place = home / kind
    place.mkdir()
    mapping = place / "mapping.yaml"
    mapping.write_text(MAPPING)
    cluster = postern.Cluster(postern.temporary_directory("pg")) if kind == "postgres" else None
    server = None
    try:
        if cluster:
            cluster.start(*SETTINGS)
        server = postern.Server(place / "server", postern.PostgresDatabase(cluster.url) if cluster else None)
        # The company that is there already; the command works alone then, and takes its batches into the log itself.
        server.start(seconds=300)
        server.stop(60)
        return bring(server, file, mapping, place)
    finally:
        if server:
            server.kill()
        if cluster:
            cluster.stop("immediate")
            shutil.rmtree(cluster.home, ignore_errors=True)
        shutil.rmtree(place, ignore_errors=True)


def report(file, results):
    names = {"postgres": "PostgreSQL", "sqlite": "SQLite"}
    lines = [f"| {names[kind]} | {r['staging']:,.0f} | {r['bytes']:,.0f} | {r['check']:,.0f} | {r['apply']:,.0f} | **{r['peak']:.0f}** | "
             f"{r['took'] / 60:.1f} |" for kind, r in results.items()]
    write_section("A large file", f"""
    SIZE={SIZE} bin/bench import

{machine()}

A CRM's export as CSV: {file.rows:,} rows, {file.size / 1e6:,.0f} MB, {UNUSED + 5} columns of which the mapping uses five, with line breaks and quotes within
values. {file.bad:,} rows can't be taken: ids that stand there twice, words and addresses that mean nothing, values that are missing. The command is
killed (`SIGKILL`) while it stages and while it applies, and goes on each time; then every customer is compared with the file, and every
rejected row with its reason. Every fourth customer has an owner, who becomes a user and a member.

| database | staged rows/s | MB/s | checked rows/s | applied customers/s | peak memory of the command, MiB | whole, minutes |
|---|---|---|---|---|---|---|
{chr(10).join(lines)}

"Whole" holds the three starts, each of which reads the file once for its digest, and what was done twice after a kill.
""")


def main():
    unknown = set(DATABASES) - {"postgres", "sqlite"}
    if unknown or SIZE < 4 << 20:
        sys.exit(f"bench: DATABASES is made of postgres and sqlite, and SIZE is at least {4 << 20}")
    home = postern.temporary_directory("import")
    try:
        free = shutil.disk_usage(home).free
        if free < NEEDED:
            sys.exit(f"bench: {home.parent} has {free / 1e9:.0f} GB left, and {NEEDED / 1e9:.0f} GB are needed; set TMPDIR or SIZE")
        file = File(home / "customers.csv")
        results = {}
        for kind in DATABASES:
            results[kind] = measure(kind, file, home)
            say(f"{kind}: {results[kind]}")
        report(file, results)
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
