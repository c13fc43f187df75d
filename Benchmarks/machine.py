"""What every part of the bench needs: times, CPU and memory of processes, and the report, which has a section for each part."""
import json
import os
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import time

import postern
import psycopg

HERE = postern.ROOT / "Benchmarks"
RUNS = int(os.environ.get("RUNS", "3"))
SECONDS = int(os.environ.get("SECONDS_PER_RUN", "8"))
TICK = os.sysconf("SC_CLK_TCK")
REPORT = postern.ROOT / "docs/benchmarks.md"
# In the order of the report.
SECTIONS = ("Pages, searches and lists", "Large data and the log", "One audited mutation", "Approvals", "A large file", "Crashes")


def say(text):
    print(time.strftime("%H:%M:%S ") + text, flush=True)


def reuse_wal(cluster, files=64):
    """Has PostgreSQL write into WAL files it has, as one that has run for a day does (its `min_wal_size` says how many it keeps). One
    that is new makes each of them, 16 MB of zeros and an fsync, while all that commit wait."""
    with psycopg.connect(cluster.url, autocommit=True) as db:
        for _ in range(files):
            db.execute("SELECT pg_logical_emit_message(false, 'bench', 'x')")
            db.execute("SELECT pg_switch_wal()")
        db.execute("CHECKPOINT")


# ---- processes ---------------------------------------------------------------------------------------------


def process_cpu(pid):
    """CPU seconds of one process."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def processes(pid):
    """A process and what it started."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children") as f:
                    todo += map(int, f.read().split())
            found.append(one)
        except FileNotFoundError:
            continue
    return found


def tree_cpu(pid):
    """CPU seconds of a process, its children and those that ended."""
    total = 0
    for one in processes(pid):
        try:
            with open(f"/proc/{one}/stat") as f:
                total += sum(map(int, f.read().rsplit(")", 1)[1].split()[11:15]))
        except FileNotFoundError:
            continue
    return total / TICK


def busy():
    """CPU seconds of everything on this machine."""
    with open("/proc/stat") as f:
        v = list(map(int, f.readline().split()[1:9]))
    return (sum(v) - v[3] - v[4]) / TICK


def memory(pid):
    """Resident MiB of one process."""
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024


def wrk(script, clients, seconds, port, **environment):
    """What wrk counted while a script of this directory asked the server."""
    env = os.environ | {"COMMON": str(HERE / "common.lua")} | {name: str(value) for name, value in environment.items()}
    done = subprocess.run(["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s", "-s", str(HERE / script),
                           f"http://127.0.0.1:{port}"], env=env, capture_output=True, text=True, timeout=seconds + 90)
    assert "RESULT " in done.stdout, done.stdout + done.stderr
    return json.loads(done.stdout.split("RESULT ")[1])


# ---- the report --------------------------------------------------------------------------------------------


def median(runs, name):
    return statistics.median(run[name] for run in runs)


def spread(runs, name="rate", form=",.0f"):
    values = [run[name] for run in runs]
    return f"{statistics.median(values):{form}} ({min(values):{form}}..{max(values):{form}})"


def version(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.strip().splitlines()[0]


def machine():
    """One sentence for each section: they may be taken on different days."""
    with open("/proc/meminfo") as f:
        size = int(re.search(r"MemTotal:\s+(\d+)", f.read()).group(1)) / 2**20
    debug = "**Taken with a debug build: only a rehearsal.** " if "debug" in str(postern.BINARY.resolve()) else ""
    postgres = version(shutil.which("postgres") or postern.postgres_tool("postgres"), "--version")
    return (f"{debug}Taken {time.strftime('%Y-%m-%d')} on {os.cpu_count()} cores, {size:.0f} GiB memory, Linux "
            f"{platform.release().split('-')[0]}, {postgres}, SQLite {sqlite3.sqlite_version}, "
            f"{version('wrk', '-v').split(' Copyright')[0]}.")


INTRODUCTION = """# Benchmarks

`bin/bench` takes them; each part replaces its own section. Server and peer run in turns in one run on one machine, with the load
generator on the same cores. Requests per second depend on what else the machine does: the **ratio** (median over the paired runs of
server rate / peer rate) and the CPU per request carry over to another machine, the rest does not.
"""


def write_section(title, text):
    """Puts a part's results into the report; the other sections stay as they are."""
    assert title in SECTIONS
    old = REPORT.read_text() if REPORT.exists() else ""
    found = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", old, re.M | re.S))
    found[title] = "\n" + text.strip("\n") + "\n\n"
    order = [s for s in SECTIONS if s in found] + [s for s in found if s not in SECTIONS]
    REPORT.write_text(INTRODUCTION + "\n" + "".join(f"## {s}\n{found[s]}" for s in order).rstrip() + "\n")
    say(f"wrote \"{title}\" in {REPORT}")
