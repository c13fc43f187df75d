"""A row changed beside the log, with the database's own tools: found by the running server, named on a page, put back."""
import contextlib
import re
import shutil
import sqlite3

import browser as chrome
import postern
import psycopg
import pytest
from browser import Window
from conftest import new_database
from playwright.sync_api import expect, sync_playwright


def tamper(server, sql):
    """What a superuser does, with every trigger out of the way."""
    if server.database.kind == "postgres":
        with psycopg.connect(server.database.admin_url, dbname=server.database.name, autocommit=True) as db:
            db.execute("SET session_replication_role = replica")
            db.execute(sql)
        return
    with sqlite3.connect(server.data / "postern.db", isolation_level=None) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f'DROP TRIGGER "{name}"')
        db.execute(sql)
        for _, text in triggers:
            db.execute(text)
    db.close()


@pytest.fixture
def drifted(kind, home, request):
    database = new_database(kind, request)
    server = postern.Server(home / f"integrity-{kind}", database).start()
    try:
        with contextlib.closing(server.sign_in(server.person("super_admin"))) as admin:
            tenant = admin.active_tenant()
        server.stop()
        tamper(server, f"UPDATE tenants SET plan = 'enterprise', name = 'Nobody Knows' WHERE id = '{tenant['id']}'")
        server.start()
        yield server, tenant
        server.stop()
    finally:
        server.kill()
        database.drop()
        shutil.rmtree(server.home, ignore_errors=True)


def test_an_edit_beside_the_log_is_found_and_put_back(drifted):
    server, tenant = drifted
    security = server.person("security")
    assert server.run("verify").returncode == 10
    with contextlib.closing(server.sign_in(security)) as person:
        def cases():
            return person.get("discrepancies", params={"state": "open"}).json()["items"]
        postern.wait_until(cases, 20, "the sweep to find the row")
        assert [(c["row_type"], c["row_id"], c["kind"]) for c in cases()] == [("tenant", tenant["id"], "edited")]
        case = cases()[0]["id"]
        detail = person.get(f"discrepancies/{case}").json()
        assert detail["logged"]["name"] == tenant["name"] and detail["stored"]["name"] == "Nobody Knows"
        # A page is the same on both databases: on one of them it is put back over the API.
        if server.database.kind == "postgres":
            done = person.operate(f"discrepancies/{case}/restore", "unauthorised_change", "Nobody asked for it, and no ticket knows of it.")
            assert done.status_code == 200, done.text
            assert person.tenant(tenant["id"])["name"] == tenant["name"]
    with contextlib.closing(server.sign_in(server.person("support_l1"))) as agent:
        refused = agent.get("discrepancies")
        assert refused.status_code == 403 and refused.json()["required_permission"] == "integrity.view"

    if server.database.kind == "sqlite":
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=chrome.CHROMIUM, headless=True,
                                                  args=["--no-sandbox", "--disable-dev-shm-usage"])
            with Window(chromium, server) as window:
                put_back(window, security, tenant)
            chromium.close()
    assert server.run("verify").returncode == 0


def put_back(window, security, tenant):
    page, main = window.page, window.page.locator("main")
    window.sign_in(security, "/discrepancies")
    window.heading("Integrity")
    window.audit("the list of cases")
    window.shot("integrity")
    main.get_by_role("table").get_by_role("link").first.click()
    expect(main).to_contain_text("Nobody Knows")
    window.audit("a case")
    window.shot("integrity-case")
    page.get_by_role("group", name="Actions").get_by_role("link", name=re.compile("^Put the row back")).click()
    page.get_by_label("Reason", exact=True).select_option("unauthorised_change")
    page.get_by_label("Justification").fill("Nobody asked for it, and no ticket knows of it.")
    page.get_by_role("button", name=re.compile("^Preview")).click()
    expect(main).to_contain_text(tenant["name"])
    window.audit("putting a row back")
    page.get_by_role("button", name=re.compile("^Put the row back")).click()
    page.wait_for_url(re.compile("/done/key_"))
    expect(main).to_contain_text("is again as the log says")
