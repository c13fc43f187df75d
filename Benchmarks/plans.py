"""The plans of everything the server asks the large data, as PostgreSQL itself wrote them down (auto_explain): none may read a large table
from end to end. What `verify` walks is not looked at."""
import itertools
import json
import re
import sys
import time

import httpx
import large
import postern
import psycopg
from large import HOME
from machine import say
from web import COOKIE, Postern

SETTINGS = {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0", "auto_explain.log_format": "json",
            "auto_explain.log_nested_statements": "off", "log_line_prefix": "'%p|'"}
# Not the server's: when this one is not found, nothing would be.
CONTROL = "SELECT count(*) FROM events WHERE approval_id = 'nothing'"
# A table with fewer rows may well be read whole.
LARGE = 50_000
# The last of what is searched for is written wrongly, so that only the fuzzy tier finds it.
SAMPLES = {"q": ["tenant-77", "u1.t77@mail.example.test", "u1.t7", "ba", "acct-5", "tennat-7l7"], "status": ["active", "suspended"], "plan": ["free"],
           "tier": ["enterprise"], "region": ["eu-west"], "sort": ["name", "created", "last_activity"], "limit": ["200"],
           "class": ["access", "mutation"], "action": ["tenant.update"], "outcome": ["denied"], "state": ["pending", "dead"],
           "from": ["2025-06-01T00:00:00Z"], "until": ["2024-06-01T00:00:00Z"]}


def settings(data, on):
    with psycopg.connect(data.database.url, autocommit=True) as db:
        db.execute("LOAD 'auto_explain'")  # which makes its settings known
        for name, value in SETTINGS.items():
            db.execute(f"ALTER SYSTEM SET {name} = {value}" if on else f"ALTER SYSTEM RESET {name}")
        db.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)


def ask_everything(ours):
    """Every read of the API with each of its parameters, every page it links to, operations, an export and an import."""
    data, person = ours.data, ours.people[-1]
    admin = next(p for p in ours.people if "super_admin" in p.person["roles"])
    tenant, tenant_1 = (data.query("SELECT id FROM tenants WHERE slug = %s", f"tenant-{n}")[0][0] for n in (5, 1))
    ids = {"tenants": tenant, "users": data.query("SELECT user_id FROM memberships WHERE tenant_id = %s", tenant)[0][0],
           "audit-events": data.query("SELECT id FROM events WHERE tenant_id = %s ORDER BY at LIMIT 1", tenant)[0][0]}
    ids["audit"] = ids["audit-events"]
    for table in ("staff", "approvals", "webhooks", "deliveries", "roles"):
        found = data.query(f"SELECT id FROM {table} ORDER BY id LIMIT 1")
        if found:
            ids[table] = found[0][0]
    samples = SAMPLES | {"tenant": [tenant, tenant_1], "target": [tenant], "actor": [admin.id], "requester": [admin.id]}
    asked = 0

    def get(path, query=None, cookie=False):
        nonlocal asked
        asked += 1
        request = admin.http.build_request("GET", path, params=query)
        if cookie:
            del request.headers["Authorization"]
            request.headers["Cookie"] = f"{COOKIE}={admin.session['token']}"
        answer = admin.http.send(request)
        assert answer.status_code < 500, (path, query, answer.text)
        return answer

    paths = admin.get("/api/v1/openapi.json").json()["paths"]
    for path, methods in paths.items():
        if "get" not in methods:
            continue
        full = path if path.startswith("/api/") else "/api/v1" + path
        if "{id}" in full:
            name = full.split("/api/v1/")[1].split("/")[0]
            if name not in ids:
                continue
            full = full.replace("{id}", ids[name])
        if "{" in full:
            continue
        names = [p.get("name") for p in methods["get"].get("parameters", []) if p.get("in") == "query"]
        queries = [{}] if not full.endswith("/export") else [{"tenant": tenant_1}]
        queries += [{name: value} for name in names for value in samples.get(name, [])]
        if full.endswith("/export"):
            queries = [q for q in queries if "tenant" in q or "actor" in q]
        queries += [{a: samples[a][0], b: samples[b][0]} for a, b in itertools.combinations([n for n in names if n in samples], 2)
                    if not full.endswith("/export")]
        for query in queries:
            answer = get(full, query)
            if not full.endswith("/export") and answer.status_code == 200 and isinstance(answer.json(), dict) and answer.json().get("next_cursor"):
                get(full, query | {"cursor": answer.json()["next_cursor"]})
    menu = set(re.findall(r'href="(/[a-z/-]*)"', get("/", cookie=True).text))
    for path in sorted(menu) + [f"/{name}/{id}" for name, id in ids.items() if name != "audit-events"]:
        if not path.startswith(("/assets", "/signout")):
            get(path, cookie=True)
    for pages, apis in ours.paths.values():
        for path in pages[:3]:
            get(path, cookie=True)
        for path in apis[:3]:
            get(path)

    active = data.query("SELECT id FROM tenants WHERE status = 'active' AND slug LIKE 'tenant-%%' ORDER BY id LIMIT 3")
    for (id,) in active:
        done = person.suspend(id)
        assert done.status_code == 200, done.text
        assert person.suspend(id).status_code == 409
        get(f"/api/v1/audit-events/{done.json()['event_id']}/receipt")
        undone = person.post(f"audit-events/{done.json()['event_id']}/undo", json={"justification": "It was the wrong one."})
        assert undone.status_code == 200, undone.text
    shown = admin.get(f"tenants/{tenant}")
    admin.post(f"tenants/{tenant}/update", json={"input": {"metadata": {"looked": "at"}}}, headers={"If-Match": shown.headers["ETag"]})
    postern.write_customers(HOME / "plans.csv", 500)
    assert ours.server.run("import", "csv", str(HOME / "plans.csv"), seconds=300).returncode == 0
    assert httpx.get(ours.server.metrics_url + "/metrics").status_code == 200
    time.sleep(3)  # the sequencer, the outbox and housekeeping have had their turns
    return asked


def plans(text):
    """Every plan of PostgreSQL's log."""
    found, block = [], None
    for line in text.splitlines():
        if re.match(r"\d+\|LOG:\s+duration: .* plan:$", line):
            block = []
            found.append(block)
        elif block is not None and line.startswith("\t"):
            block.append(line[1:])
        else:
            block = None
    for block in found:
        try:
            yield json.loads("\n".join(block))
        except ValueError:
            continue  # the last one, cut short


def nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def main():
    with large.opened() as data:
        sizes = dict(data.query("SELECT relname::text, reltuples FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"))
        wide = {name for name, rows in sizes.items() if rows >= LARGE}
        assert {"tenants", "events"} <= wide, f"nothing is large here: {sizes}"
        log = data.cluster.home / "log"
        try:
            settings(data, on=True)
            begin = log.stat().st_size
            ours = Postern(data)
            asked = ask_everything(ours)
            ours.server.stop(60)
            data.run(CONTROL)
        finally:
            settings(data, on=False)
        bad, texts = {}, set()
        with open(log, "rb") as f:
            f.seek(begin)
            for plan in plans(f.read().decode(errors="replace")):
                # Only what the server's role asked; the bench itself looks things up as well.
                text = plan["Query Text"]
                texts.add(text)
                if "slug LIKE 'tenant-" in text or "count(*) FROM events WHERE tenant_id" in text:
                    continue
                for node in nodes(plan["Plan"]):
                    if node["Node Type"] == "Seq Scan" and node["Relation Name"] in wide:
                        bad[text] = node["Relation Name"]
        assert bad.pop(CONTROL, None) == "events", "the plans were not written down"
        say(f"{len(texts)} statements in {asked} requests, an import and operations; large are {', '.join(sorted(wide))}")
        for text, table in bad.items():
            print(f"reads all of {table}:\n  {text}\n")
        sys.exit(f"bench: {len(bad)} statements read a large table from end to end" if bad else 0)


if __name__ == "__main__":
    main()
