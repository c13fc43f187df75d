"""Runs inside the peer's directory and environment: its own server and its own measurements, one for each line of standard input.

A line is `PROFILE|WORK|CLIENTS` and is answered with a line of JSON; `export` asks for its export, `memory` for what it uses."""
import contextlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.getcwd())
with contextlib.redirect_stdout(sys.stderr):
    import bench

answers = sys.stdout


def answer(value):
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def export():
    user = bench.Session("staff1")
    began = time.time()
    out = subprocess.run(["curl", "-sf", "-H", "Cookie: " + user.header(), bench.URL + "/lean/audit.jsonl?tenant=1&limit=100000"],
                         capture_output=True, check=True).stdout
    took = time.time() - began
    return {"rows": out.count(b"\n"), "seconds": took, "rate": out.count(b"\n") / took}


def main():
    with contextlib.redirect_stdout(sys.stderr), bench.Server() as server:
        users = bench.sessions()
        works = bench.works()
        kept = []
        bench.save = kept.append
        for works_of in works.values():
            for work in works_of.values():
                bench.verify(work, users[0])
        answer({"tenants": bench.N, "works": {profile: list(of) for profile, of in works.items()}})
        for line in sys.stdin:
            words = line.strip().split("|")
            if words == ["vacuum"]:
                bench.sql("vacuum (analyze) console_tenant, auditlog_logentry")
                answer({})
            elif words == ["export"]:
                answer(export())
            elif words == ["memory"]:
                answer({"rss": bench.memory(server.pid)[0]})
            else:
                profile, work, clients = words
                kept.clear()
                bench.measure(server, profile, work, works[profile][work], int(clients), 1, users)
                r = kept[0]
                each = 1000 * (r["cpu_python"] + r["cpu_pg"]) / r["rps"]
                answer({"rate": r["rps"], "p50": r["p50"], "p99": r["p99"], "cpu": 1000 * r["cpu_python"] / r["rps"],
                        "cpu_database": 1000 * r["cpu_pg"] / r["rps"], "cpu_all": each,
                        "wrong": r["wrong_status"] + r["socket_errors"]})


main()
