"""Pages, searches and lists of the large data, as pages and over the API, beside the same work of a Django admin and of lean Django views.

Postern and the peer take turns: one measurement of one, then of the other. CPU is of all processes of the server and, apart, of its
PostgreSQL. PARTS=pages,export,start chooses; LEVELS=1,16 says with how many clients."""
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.parse

import httpx
import large
import postern
from large import EVENTS, HOME, TENANTS
from machine import RUNS, SECONDS, busy, machine, median, memory, process_cpu, say, spread, tree_cpu, write_section, wrk
from peer import Peer

LEVELS = tuple(map(int, os.environ.get("LEVELS", "16").split(",")))
PARTS = os.environ.get("PARTS", "pages,export,start").split(",")
DEEP = min(10_000, TENANTS * 63 // 100 // 50)
FILTER = "status=active&plan=free&sort=name"
COOKIE = "__Host-postern_staff"
SESSIONS = 16


class Postern:
    """The server with its people, and the paths that are asked for."""

    def __init__(self, data):
        self.data = data
        self.server = data.server
        self.position = 0
        self.start()
        self.paths = self.prepare()

    def start(self):
        self.server.start(seconds=300)
        # Any may read; of each as many sessions as make sixteen.
        able = [p for p in self.server.people() if {"security", "super_admin"} & set(p["roles"])][:3]
        self.people = [self.sign_in(p) for p in able]
        while len(self.people) < SESSIONS:
            # A code works once, so that a person's next session takes half a minute: they share what there is.
            self.people.append(self.people[len(self.people) % len(able)])
        (HOME / "tokens.txt").write_text("\n".join(p.session["token"] for p in self.people) + "\n")

    def sign_in(self, person):
        """A part of the bench that ran just before may have used this half minute's code."""
        try:
            return self.server.sign_in(person)
        except AssertionError:
            time.sleep(31)
            return self.server.sign_in(person)

    @property
    def person(self):
        return self.people[0]

    def prepare(self):
        """The same paths for page and API, each the same every time."""
        chance = random.Random(1)
        ids = dict(self.data.query("SELECT slug, id FROM tenants WHERE slug LIKE 'tenant-%%'"))
        names = [row[0] for row in self.data.query("SELECT name FROM tenants WHERE slug LIKE 'tenant-%%' ORDER BY id LIMIT 200000")]
        audited = [ids[f"tenant-{5 * n}"] for n in chance.sample(range(1, TENANTS // 5 + 1), min(20_000, TENANTS // 5))]
        hot = [ids[f"tenant-{n}"] for n in range(2, max(3, TENANTS // 1000))]
        numbers = [chance.randint(1, TENANTS) for _ in range(50_000)]
        emails = [f"u{n % 3}.t{n}@mail.example.test" for n in numbers]
        # The first word and the beginning of the second: most find one tenant or a few.
        starts = sorted({name[:name.index(" ") + 3] for name in names}, key=lambda _: chance.random())[:50_000]
        slugs = [f"tenant-{n}" for n in numbers]
        quoted = urllib.parse.quote_plus
        cursor = self.deep()
        return {
            "list": (["/tenants"], ["/api/v1/tenants"]),
            f"page {DEEP:,}": ([f"/tenants?{FILTER}&cursor={cursor}"], [f"/api/v1/tenants?{FILTER}&cursor={cursor}"]),
            "search by beginning of the name": ([f"/search?q={quoted(q)}" for q in starts],
                                                [f"/api/v1/search?q={quoted(q)}" for q in starts]),
            "search by e-mail": ([f"/search?q={quoted(q)}" for q in emails], [f"/api/v1/search?q={quoted(q)}" for q in emails]),
            "search by slug": ([f"/search?q={q}" for q in slugs], [f"/api/v1/search?q={q}" for q in slugs]),
            "tenant": ([f"/tenants/{id}" for id in audited], [f"/api/v1/tenants/{id}" for id in audited]),
            "audit log of a tenant": ([f"/audit?tenant={id}" for id in hot], [f"/api/v1/audit-events?tenant={id}" for id in hot]),
        }

    def deep(self):
        """The cursor of a page far behind, walked to as a client would."""
        began, cursor, seen = time.monotonic(), None, 0
        while seen < (DEEP - 1) * 50:
            query = {"limit": min(200, (DEEP - 1) * 50 - seen), **({"cursor": cursor} if cursor else {})}
            answer = self.person.get("tenants", params=dict(urllib.parse.parse_qsl(FILTER)) | query)
            assert answer.status_code == 200, answer.text
            body = answer.json()
            seen += len(body["items"])
            cursor = body["next_cursor"]
            if cursor is None:
                break
        say(f"walked to page {DEEP:,} in {time.monotonic() - began:.0f} s")
        return urllib.parse.quote(cursor or "")

    def check(self):
        """Every path answers 200 with content before it is timed."""
        headers = {"User-Agent": "postern-e2e", "Cookie": f"{COOKIE}={self.person.session['token']}"}
        for name, (pages, apis) in self.paths.items():
            page = httpx.get(f"http://127.0.0.1:{self.server.staff_port}{pages[0]}", headers=headers)
            # A search that finds exactly one tenant leads to it.
            assert page.status_code == 303 or page.status_code == 200 and "</html>" in page.text, (name, pages[0], page.status_code, page.text[:300])
            answer = self.person.get(apis[0])
            assert answer.status_code == 200, (name, answer.text)
            found = answer.json()
            assert found.get("items", [found]), (name, "found nothing", apis[0])

    def measure(self, name, kind, clients, seconds):
        pages, apis = self.paths[name]
        (HOME / "paths.txt").write_text("\n".join(pages if kind == "page" else apis) + "\n")
        pid, postmaster = self.server.process.pid, self.data.cluster.pid()
        own, database, all_before = process_cpu(pid), tree_cpu(postmaster), busy()
        result = wrk("web.lua", clients, seconds, self.server.staff_port, PATHS_FILE=HOME / "paths.txt",
                     TOKENS_FILE=HOME / "tokens.txt", START=self.position, COOKIE=COOKIE if kind == "page" else "")
        own, database = process_cpu(pid) - own, tree_cpu(postmaster) - database
        self.position += result["sent"]
        good = result["requests"] - result["wrong"]
        assert good > 0 and result["wrong"] <= good // 100, result["example"]
        return {"rate": good / result["seconds"], "p50": result["p50"], "p99": result["p99"], "cpu": own / good * 1000,
                "cpu_database": database / good * 1000, "wrong": result["wrong"] + result["socket"],
                "other": busy() - all_before - own - database, "bytes": result["bytes"] / result["requests"]}


# What the peer calls the same work.
SAME = {"list": "W1 list", f"page {DEEP:,}": "W2 deep page", "search by beginning of the name": "W3 name",
        "search by e-mail": "W3 email", "tenant": "W4 detail", "audit log of a tenant": "W7 audit list"}
PROFILES = {"page": "admin", "api": "lean"}


def pages(ours, peer):
    """Rounds outermost, so that the noise of other programs spreads over everything."""
    results = {}
    for round in range(1, RUNS + 1):
        ours.data.run("VACUUM (ANALYZE) events, tenants, sealed, sealed_subject, log_leaf")
        if peer:
            peer.ask("vacuum")
        for clients in LEVELS:
            for name in ours.paths:
                for kind, profile in PROFILES.items():
                    ours.measure(name, kind, clients, 2)
                    own = ours.measure(name, kind, clients, SECONDS)
                    other = peer.ask(profile, SAME[name], clients) if peer and name in SAME else None
                    results.setdefault((name, kind, clients), []).append((own, other))
                    beside = f", peer {other['rate']:.1f}/s at {other['cpu_all']:.1f} ms" if other else ""
                    say(f"{name} ({kind}, {clients}), round {round}: {own['rate']:.0f}/s, {own['cpu']:.2f} + "
                        f"{own['cpu_database']:.2f} ms CPU{beside}")
    out = []
    for (name, kind, clients), pairs in results.items():
        own = [a for a, _ in pairs]
        others = [b for _, b in pairs if b]
        ratio = f"**{statistics.median(a['rate'] / b['rate'] for a, b in pairs if b):.1f}**" if others else ""
        theirs = f"{median(others, 'rate'):,.1f}" if others else ""
        each = f"{median(others, 'cpu'):.1f} + {median(others, 'cpu_database'):.1f}" if others else ""
        out.append(f"| {name} | {'page' if kind == 'page' else 'API'} | {clients} | {spread(own)} | {median(own, 'p50'):.1f} | "
                   f"{median(own, 'p99'):.1f} | {median(own, 'cpu'):.2f} + {median(own, 'cpu_database'):.2f} | {theirs} | {each} | {ratio} |")
    (HOME / "pages.json").write_text(json.dumps({"|".join(map(str, k)): v for k, v in results.items()}))
    return out


def export(ours, peer):
    tenant = ours.data.query("SELECT id FROM tenants WHERE slug = 'tenant-1'")[0][0]
    rows = ours.data.query("SELECT count(*) FROM events WHERE tenant_id = %s", tenant)[0][0]
    sql = ("COPY (SELECT json_build_object('index', l.idx, 'leaf', encode(e.leaf, 'base64'), 'sealed', s.members) FROM events e JOIN log_leaf l "
           f"ON l.event_id = e.id LEFT JOIN sealed s ON s.event_id = e.id WHERE e.tenant_id = '{tenant}' ORDER BY e.at, e.id) TO STDOUT")
    own, alone, others = [], [], []
    for _ in range(RUNS):
        ours.person.step_up_if_old()
        cpu, database, began = process_cpu(ours.server.process.pid), tree_cpu(ours.data.cluster.pid()), time.monotonic()
        done = subprocess.run(["curl", "-sf", "-A", "postern-e2e", "-H", f"Authorization: Bearer {ours.person.session['token']}",
                               "-w", "%{stderr}%{time_starttransfer}",
                               f"http://127.0.0.1:{ours.server.staff_port}/api/v1/audit-events/export?tenant={tenant}"],
                              capture_output=True)
        took = time.monotonic() - began
        lines = done.stdout.count(b"\n")
        assert done.returncode == 0 and lines >= rows, (done.returncode, lines, rows, done.stderr)
        own.append({"rate": rows / took, "first": float(done.stderr), "cpu": process_cpu(ours.server.process.pid) - cpu,
                    "cpu_database": tree_cpu(ours.data.cluster.pid()) - database})
        began = time.monotonic()
        subprocess.run(["psql", "-X", "-q", "-o", "/dev/null", "-c", sql, ours.data.database.url], check=True)
        alone.append({"rate": rows / (time.monotonic() - began)})
        if peer:
            others.append(peer.ask("export"))
        say(f"export of {rows:,}: {own[-1]['rate']:,.0f} rows/s; COPY of the same as JSON {alone[-1]['rate']:,.0f}"
            + (f"; peer {others[-1]['rate']:,.0f}" if peer else ""))
    text = (f"Export of one tenant's {rows:,} events as JSONL with proofs: **{spread(own)} rows/s**, the first byte after "
            f"{median(own, 'first') * 1000:.0f} ms; {median(own, 'cpu') / rows * 1e6:.1f} µs of CPU a row in the server and "
            f"{median(own, 'cpu_database') / rows * 1e6:.1f} in PostgreSQL. PostgreSQL alone, sending leaf, index and sealed row as JSON by "
            f"`COPY`: {spread(alone)} rows/s.")
    return text + (f" The peer, without proofs: {spread(others)} rows/s." if others else "")


def start(ours, after_load):
    """To the first answer, over what is there; and what it holds in memory then."""
    times, fresh, idle = [], [], []
    for _ in range(max(RUNS, 3)):
        ours.server.stop(60)
        began = time.monotonic()
        ours.server.launch()
        postern.wait_until(ours.server.ready, 60, "/readyz")
        times.append(time.monotonic() - began)
        time.sleep(2)
        fresh.append(memory(ours.server.process.pid))
        time.sleep(18)  # housekeeping's first round belongs to idling
        idle.append(memory(ours.server.process.pid))
    say(f"ready after {statistics.median(times) * 1000:.0f} ms; {statistics.median(idle):.0f} MiB idle, {after_load:.0f} MiB after the load")
    return (f"Ready (`/readyz` answers 200) {statistics.median(times) * 1000:.0f} ms after the start, over {EVENTS:,} events; "
            f"{statistics.median(fresh):.0f} MiB resident after 2 s, {statistics.median(idle):.0f} when idle for 20 s, {after_load:.0f} MiB after all of the above.")


def main():
    with large.opened() as data:
        peer = None
        try:
            ours = Postern(data)
            ours.check()
            peer = Peer.named(HOME / "peer.log") if {"pages", "export"} & set(PARTS) else None
            lines, sentences = [], []
            if "pages" in PARTS:
                lines = pages(ours, peer)
            if "export" in PARTS:
                sentences.append(export(ours, peer))
            if "start" in PARTS:
                sentences.append(start(ours, memory(ours.server.process.pid)))
                if peer:
                    sentences.append(f"The peer's processes together: {peer.ask('memory')['rss']:.0f} MiB resident.")
            table = "" if not lines else f"""
| what | as | clients | per second, median (min..max) | p50 ms | p99 ms | CPU ms, server + database | peer, per second | its CPU ms | ratio |
|---|---|---|---|---|---|---|---|---|---|
{chr(10).join(lines)}
"""
            write_section("Pages, searches and lists", f"""
    POSTERN_BENCH_PEER=DIRECTORY TENANTS={TENANTS} EVENTS={EVENTS} bin/bench web

{RUNS} runs of {SECONDS} s for each line, Postern and the peer in turns. {machine()}
{TENANTS:,} tenants with 3 users each, {EVENTS:,} events.

Every look at personal data writes its access event before it is answered. Pages are whole HTML pages; the peer's are a tuned Django
admin's (gunicorn, 4 workers, its own PostgreSQL of the same version and settings, the same shape of data). Behind "API" stands the
JSON API; the peer's are lean Django views without the admin. The peer searches names by trigrams; here the tier that answers by
the beginning of a name is measured.
{table}
{chr(10).join(s + chr(10) for s in sentences)}""")
        finally:
            if peer:
                peer.stop()


if __name__ == "__main__":
    sys.exit(main())
