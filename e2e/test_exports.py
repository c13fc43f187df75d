"""Lists taken away as files: by a click in Chromium, over the API and on the command line, read by Python's csv, and the table of
the log checked with nothing but its public key."""
import csv
import io
import subprocess
import sys
from pathlib import Path

import browser as chrome
import postern
import httpx
import pytest
from browser import Window
from playwright.sync_api import sync_playwright
from test_api import write_as_owner

VERIFY = Path(__file__).parent / "verify_export.py"
UGLY = {
    "ugly-formula": "=cmd|' /C calc'!A0",
    "ugly-quotes": 'Zoë "the boss", Söhne & Co',
    "ugly-rtl": "שלום עולם 😀, Ltd",
    "ugly-minus": "-2+3",
    "ugly-at": "@SUM(1,2)",
}


def table(text):
    assert text.endswith("\r\n")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def guarded(name):
    return "'" + name if name[0] in "=+-@" else name


@pytest.fixture(scope="module")
def admin(people):
    return people("super_admin")


@pytest.fixture(scope="module")
def ugly(admin):
    """Tenants whose names a spreadsheet would run, or split."""
    known = {t["slug"] for t in admin.tenants(limit=200)}
    for slug, name in UGLY.items():
        if slug not in known:
            done = admin.operate("tenants", input={"external_id": f"x-{slug}", "name": name, "slug": slug, "plan": "pro",
                                                   "region": "eu-west-1"}, justification="For the test of exports.")
            assert done.status_code == 201, done.text
    return UGLY


def test_a_list_is_what_the_api_says_page_by_page(admin, ugly):
    answer = admin.get("tenants/export", params={"sort": "name"})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    rows = table(answer.text)
    items, cursor = [], None
    while True:
        page = admin.get("tenants", params={"sort": "name", "limit": 200, **({"cursor": cursor} if cursor else {})}).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert [r["id"] for r in rows] == [i["id"] for i in items]
    for row, item in zip(rows, items):
        assert row["name"] == guarded(item["name"]) and row["version"] == str(item["version"])
        same = ("external_id", "slug", "status", "plan", "created_at")
        assert {k: row[k] for k in same} == {k: item[k] for k in same}
    names = {r["slug"]: r["name"] for r in rows}
    assert {slug: names[slug] for slug in ugly} == {slug: guarded(name) for slug, name in ugly.items()}
    assert admin.get("tenants", params={"sort": "name"}, headers={"Accept": "text/csv"}).content == answer.content
    users = table(admin.get("users/export").text)
    assert users and all("@" in u["email"] and u["tenant_ids"].startswith("ten_") for u in users if u["tenants"])


def test_each_export_is_recorded_when_it_begins_and_when_it_ends(admin):
    before = {e["id"] for e in admin.get("audit-events", params={"action": "user.export"}).json()["items"]}
    file = admin.get("users/export", params={"status": "active"})
    began = [e for e in admin.get("audit-events", params={"action": "user.export"}).json()["items"] if e["id"] not in before]
    assert len(began) == 1
    ended = admin.get("audit-events", params={"action": "export.end", "limit": 1}).json()["items"][0]
    detail = admin.get(f"audit-events/{ended['id']}").json()
    assert detail["leaf"]["linked"] == began[0]["id"]
    assert detail["leaf"]["facts"] == {"bytes": len(file.content), "count": len(table(file.text))}


def test_who_may_only_look_takes_nothing_away(people):
    agent = people("support_l1")
    for path, permission in (("users/export", "user.export"), ("tenants/export", "tenant.export"),
                             ("audit-events/export", "audit.export")):
        refused = agent.get(path)
        assert refused.status_code == 403 and refused.json()["required_permission"] == permission
    assert agent.get("tenants", headers={"Accept": "text/csv"}).status_code == 403


def test_the_table_of_the_log_is_checked_with_its_key_alone(server, ugly, tmp_path):
    key = httpx.get(server.auditor_url + "/log/key").text.strip()
    person = server.person("super_admin", 1)

    def run(*words, stdin=""):
        env = postern.clean_environment(XDG_CONFIG_HOME=tmp_path, HOME=tmp_path, POSTERN_URL=server.url)
        return subprocess.run([str(server.binary), *words], input=stdin, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    signed = run("login", "--email", person["email"], "--password-stdin", "--code", server.authenticator(person).next(),
                 stdin=person["password"] + "\n")
    assert signed.returncode == 0, signed.stderr
    lines, out = tmp_path / "log.jsonl", tmp_path / "log.csv"
    done = run("audit", "export", "--format", "csv", "--class", "mutation", "-o", str(out), "--proofs", str(lines))
    assert done.returncode == 0, done.stderr
    rows = table(open(out, encoding="utf-8", newline="").read())
    assert len(rows) > 5 and {r["class"] for r in rows} == {"mutation"}
    checked = subprocess.run([sys.executable, VERIFY, "--csv", out, lines, key], capture_output=True, text=True)
    assert checked.returncode == 0 and "the table says the same" in checked.stdout, checked.stdout + checked.stderr
    assert server.run("verify", "--export", str(lines), "--key", key).returncode == 0
    assert oct(out.stat().st_mode)[-3:] == "600"
    # The server's own table of the same events.
    straight = tmp_path / "straight.csv"
    done = run("audit", "export", "--format", "csv", "--class", "mutation", "-o", str(straight))
    assert done.returncode == 0, done.stderr
    assert straight.read_bytes() == out.read_bytes()
    text = out.read_bytes().replace(b",tenant.create,", b",tenant.update,", 1)
    (tmp_path / "changed.csv").write_bytes(text)
    found = subprocess.run([sys.executable, VERIFY, "--csv", tmp_path / "changed.csv", lines, key], capture_output=True, text=True)
    assert found.returncode == 1 and "says something else" in found.stderr

    done = run("tenant", "list", "--status", "active", "--csv", str(tmp_path / "t.csv"))
    assert done.returncode == 0, done.stderr
    assert {r["status"] for r in table(open(tmp_path / "t.csv", encoding="utf-8", newline="").read())} == {"active"}
    done = run("user", "list", "--csv", "-")
    assert done.returncode == 0 and done.stdout.startswith("id,external_id,email,")
    wrong = run("audit", "export", "--proofs", "x")
    assert wrong.returncode != 0 and "--format csv" in wrong.stderr


@pytest.mark.only("sqlite")
def test_export_is_clicked_in_a_browser(server, ugly):
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chrome.CHROMIUM, headless=True,
                                              args=["--no-sandbox", "--disable-dev-shm-usage"])
        with Window(chromium, server) as window:
            person = server.person("security")
            window.sign_in(person, "/tenants?plan=pro&sort=name")
            window.heading("Tenants")
            rows = save(window, "Export as CSV")
            assert {r["plan"] for r in rows} == {"pro"} and [r["name"] for r in rows if r["slug"] == "ugly-formula"] == ["'=cmd|' /C calc'!A0"]
            window.go("/users?status=active")
            window.heading("Users")
            assert {r["status"] for r in save(window, "Export as CSV")} == {"active"}
            window.go("/audit?class=mutation")
            window.heading("Audit log")
            assert {r["class"] for r in save(window, "Export as CSV")} == {"mutation"}
            window.audit("the log with its exports")
            # With an old factor that is used first, and the file comes then.
            write_as_owner(server, "UPDATE sessions SET mfa_at = mfa_at - 600000000 WHERE ended_at IS NULL AND client = 'console'")
            window.page.get_by_role("link", name="Export as CSV").click()
            window.heading("Use your authenticator again")
            window.page.get_by_label("Code from your authenticator").fill(server.authenticator(person).next())
            with window.page.expect_download() as begun:
                window.page.get_by_role("button", name="Continue").click()
            rows = table(open(begun.value.path(), encoding="utf-8", newline="").read())
            assert {r["class"] for r in rows} == {"mutation"}
        with Window(chromium, server) as window:
            window.sign_in(server.person("support_l1"), "/tenants")
            window.heading("Tenants")
            window.is_whole()
            assert window.page.get_by_role("link", name="Export as CSV").count() == 0
        chromium.close()


def save(window, name):
    with window.page.expect_download() as begun:
        window.page.get_by_role("link", name=name).click()
    path = begun.value.path()
    return table(open(path, encoding="utf-8", newline="").read())
