"""The console in a real browser: one person's day from sign-in to sign-out, and the same with other roles, keys, colours and
widths, and without script. With POSTERN_SCREENSHOTS=1 it writes docs/screenshots."""
import re
import sqlite3

import checker
import postern
import pytest
from browser import DESK, OF_COLOURS, PHONE, Window
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def demo(sqlite_server):
    return sqlite_server


@pytest.fixture(scope="module")
def api(demo):
    """Somebody who looks things up for the tests, past the browser."""
    person = demo.sign_in(demo.person("super_admin", 1) if count(demo, "super_admin") > 1 else demo.person("super_admin"))
    yield person
    person.close()


def count(server, role):
    return sum(role in person["roles"] for person in server.people())


def test_a_day_from_sign_in_to_sign_out(chromium, demo, api):
    mira = demo.person("support_l2")
    tenant = api.active_tenant(20)
    with Window(chromium, demo) as window:
        page = window.page

        # Two factors.
        window.go("/signin")
        window.heading("Sign in")
        window.shot("signin")
        page.get_by_label("Work e-mail").fill(mira["email"])
        page.get_by_label("Password", exact=True).fill(mira["password"])
        page.get_by_role("button", name="Continue").click()
        window.heading("Enter your code")
        window.audit("code")
        window.code(mira)
        assert window.path == "/"
        window.audit("home")
        window.shot("home")

        # Find the customer by its slug.
        page.get_by_role("searchbox").fill(tenant["slug"])
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/(search|tenants)"))
        if not re.search(r"/tenants/ten_", page.url):
            page.locator("main").get_by_role("link", name=tenant["name"]).first.click()
        window.heading(re.escape(tenant["name"]))
        assert window.path.startswith(f"/tenants/{tenant['id']}")
        expect(page.locator("main")).to_contain_text("Active")
        window.audit("tenant")
        window.shot("tenant")

        # The form: nothing is lost when something is missing.
        page.get_by_role("group", name="Actions").get_by_role("link", name=re.compile("^Suspend")).click()
        window.heading(f"Suspend {re.escape(tenant['name'])}")
        window.audit("empty form")
        page.get_by_label("Reason", exact=True).select_option("non_payment")
        page.get_by_label("Ticket").fill("NW-4766")
        page.get_by_label("Justification").fill("short")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("region", name="Preview")).to_contain_text("suspended")
        page.get_by_role("button", name=re.compile("^Suspend ")).click()
        field = page.get_by_label("Justification")
        expect(field).to_have_attribute("aria-invalid", "true")
        described = " ".join(page.locator(f"#{id}").inner_text() for id in field.get_attribute("aria-describedby").split())
        assert "at least 10" in described, described
        expect(field).to_have_value("short")
        expect(page.get_by_label("Ticket")).to_have_value("NW-4766")
        expect(page.get_by_label("Reason", exact=True)).to_have_value("non_payment")
        assert api.tenant(tenant["id"])["status"] == "active"
        window.audit("form with an error")

        # The preview says what would happen, and nothing has.
        field.fill("Three invoices are unpaid since August.")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        preview = page.get_by_role("region", name="Preview")
        expect(preview).to_contain_text("is suspended")
        status = preview.get_by_role("row", name=re.compile("^Status (active|suspended)"))
        expect(status.locator("del")).to_have_text("active")
        expect(status.locator("ins")).to_have_text("suspended")
        # No time of the preview is told as if it came.
        since = preview.get_by_role("row", name=re.compile("^Status since "))
        expect(since.locator("ins")).to_have_text("when it runs")
        # A notice is announced where an endpoint asks for it.
        told = re.compile("tenant.suspended" if api.asks_for("tenant.suspended") else "Nothing")
        expect(preview.locator("section").filter(has_text="What would be sent").last).to_contain_text(told)
        expect(preview).to_contain_text("undone")
        assert api.tenant(tenant["id"])["status"] == "active"
        window.audit("preview")
        window.shot("operation")

        # Done, with its event and the way back.
        page.get_by_role("button", name=re.compile("^Suspend ")).click()
        window.done(f"Suspend {tenant['name']}")
        expect(page.get_by_role("link", name=re.compile("^Undo"))).to_be_visible()
        assert api.tenant(tenant["id"])["status"] == "suspended"
        expect(page.get_by_role("region", name="What was queued")).to_contain_text(told)
        expect(page.get_by_role("region", name="The record")).to_contain_text("Reference")
        window.audit("result")
        window.shot("result")
        event = re.search(r"evt_[0-9A-Z]{26}", page.locator("main").inner_text()).group()
        result_url = page.url
        page.reload()
        window.done(f"Suspend {tenant['name']}")
        assert page.url == result_url and api.tenant(tenant["id"])["version"] == tenant["version"] + 1

        # Undo, with a preview of its own.
        page.get_by_role("link", name=re.compile("^Undo")).first.click()
        expect(page.get_by_role("region", name="Preview")).to_be_visible()
        window.audit("undo")
        status = page.get_by_role("region", name="Preview").get_by_role("row", name=re.compile("^Status (active|suspended)"))
        expect(status.locator("ins")).to_have_text("active")
        page.get_by_role("button", name=re.compile("^Restore ")).click()
        window.done(f"Restore {tenant['name']}")
        assert api.tenant(tenant["id"])["status"] == "active"

        # My security, then out.
        window.go("/me")
        window.heading("security")
        expect(page.locator("main")).to_contain_text(mira["email"])
        window.shot("me")
        page.locator("details.who summary").click()
        page.get_by_role("button", name="Sign out").click()
        window.heading("Sign in")
        window.go(f"/tenants/{tenant['id']}")
        window.heading("Sign in")
        expect(page.get_by_text(tenant["name"])).to_have_count(0)
    window_event = api.get(f"audit-events/{event}")
    assert window_event.status_code == 200


def test_the_log_shows_what_happened_and_proves_it(chromium, demo, api):
    samir = demo.person("security")
    tenant = api.active_tenant(21)
    done = api.suspend(tenant["id"], ticket="NW-9").json()
    api.restore(tenant["id"])
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(samir, f"/audit/{done['event_id']}")
        # Signing in leads where one wanted to go.
        page.wait_for_url(demo.url + f"/audit/{done['event_id']}")
        main = page.locator("main")
        expect(main).to_contain_text("Three invoices are unpaid.")
        expect(main.locator("table.diff del").filter(has_text="active").first).to_be_visible()
        expect(main.locator("table.diff ins").filter(has_text="suspended").first).to_be_visible()
        expect(main).to_contain_text("NW-9")

        def sequenced():
            page.reload()
            return page.get_by_text("the same fingerprint").count()

        postern.wait_until(sequenced, 30, "the event's place in the log")
        window.audit("event")
        window.shot("event")
        with page.expect_download() as download:
            page.get_by_role("link", name="Receipt (JSON)").click()
        assert done["event_id"] in download.value.suggested_filename

        page.get_by_role("link", name="Audit log", exact=True).first.click()
        window.heading("Audit log")
        window.shot("audit")
        page.get_by_label("Outcome").select_option("denied")
        page.get_by_role("button", name="Filter").click()
        page.wait_for_url(re.compile("outcome=denied"))
        rows = main.locator("table tbody tr")
        expect(rows.first).to_be_visible()
        window.is_whole()
        assert set(row.strip() for row in rows.locator("td:has(.state)").all_inner_texts()) == {"Denied"}
        window.audit("filtered log")
        window.go(f"/audit?target={tenant['id']}" if page.get_by_label("Target").count() else f"/audit?tenant={tenant['id']}")
        expect(main.locator(f"a[href='/audit/{done['event_id']}']").first).to_be_visible()
        older = page.get_by_role("link", name="Older")
        window.go("/audit")
        older.click()
        page.wait_for_url(re.compile("cursor="))
        expect(rows.first).to_be_visible()


def test_staff_access_and_what_each_role_may(chromium, demo):
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(demo.person("super_admin"))
        window.go("/staff")
        window.shot("staff")
        for person in demo.people()[:3]:
            expect(page.locator("main")).to_contain_text(person["email"])
        page.locator("main a[href^='/staff/stf_']").first.click()
        page.wait_for_url(re.compile("/staff/stf_"))
        window.go("/access")
        window.shot("access")
        expect(page.locator("main .matrix table")).to_contain_text("tenant.suspend")
        expect(page.locator("main")).to_contain_text("support_l1")


def test_a_role_that_may_not_suspend_sees_no_button_and_no_form(chromium, demo, api):
    tenant = api.active_tenant(22)
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(demo.person("support_l1"))
        window.go(f"/tenants/{tenant['id']}")
        window.heading(re.escape(tenant["name"]))
        window.is_whole()
        assert "suspend" not in page.locator("main .actions").inner_text().lower()
        assert f"/tenants/{tenant['id']}/suspend" not in page.content()
        window.audit("tenant without actions")
        page.get_by_role("link", name="What can’t I do here?").click()
        expect(page.locator("main")).to_contain_text("tenant.suspend")
        window.audit("what I can't do")
        answer = page.goto(f"/tenants/{tenant['id']}/suspend")
        assert answer.status == 403
        expect(page.locator("main")).to_contain_text("tenant.suspend")
        window.audit("403")
        answer = page.goto("/tenants/ten_01JD3K4M5N6P7Q8R9S0T1V2W3X")
        assert answer.status == 404
        window.audit("404")


def test_a_control_that_cannot_be_used_now_says_why(chromium, demo, api):
    suspended = api.tenants(status="suspended", limit=1)[0]
    with Window(chromium, demo) as window:
        window.sign_in(demo.person("support_l2"))
        window.go(f"/tenants/{suspended['id']}")
        off = window.page.locator("details.off").filter(has=window.page.locator("summary", has_text=re.compile("^Suspend")))
        expect(off).to_have_count(1)
        off.locator("summary").click()
        expect(off.locator(".pop")).to_be_visible()
        expect(window.page.locator(f"a[href$='/{suspended['id']}/suspend']")).to_have_count(0)
        window.audit("suspended tenant")


def make_eligible(demo, tenant):
    """90 days pass: time can't be moved from outside; the row can, by the database's owner, past the guard in the file."""
    with sqlite3.connect(checker.sqlite_file(demo.data), timeout=30) as db:
        db.create_function("postern_governed", 2, lambda type, id: 1)
        assert db.execute("UPDATE tenants SET deletion_eligible_at = 1 WHERE id = ?", [tenant]).rowcount == 1


def test_deleting_for_good_waits_for_a_second_person(chromium, demo, api):
    tenant = api.active_tenant(18)
    assert api.operate(f"tenants/{tenant['id']}/archive", "customer_departed", "Left, data handed over.").status_code == 200
    make_eligible(demo, tenant["id"])
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(demo.person("super_admin"))
        window.go(f"/tenants/{tenant['id']}/hard-delete")
        page.get_by_label("Reason", exact=True).select_option("retention_policy")
        page.get_by_label("Justification").fill("Archived for longer than the policy keeps it.")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("region", name="Preview")).to_contain_text("1 person with Super admin")
        page.get_by_label(re.compile("^Type ")).fill("something else")
        page.get_by_role("button", name=re.compile("^Ask to ")).click()
        expect(page.get_by_label(re.compile("^Type "))).to_have_attribute("aria-invalid", "true")
        page.get_by_label(re.compile("^Type ")).fill(api.tenant(tenant["id"])["slug"])
        page.get_by_role("button", name=re.compile("^Ask to ")).click()
        window.heading(re.escape(api.tenant(tenant["id"])["name"]) + ": waiting for approval")
        expect(page.locator("main")).to_contain_text("Nothing has been changed yet.")
        window.audit("waiting for approval")
        page.get_by_role("link", name="See the request").click()
        page.wait_for_url(re.compile("/approvals/apr_"))
        window.audit("approval")
        assert api.tenant(tenant["id"])["status"] == "archived"


def end_sessions(demo, email):
    """Time can't be moved from outside; the row can, by the database's owner."""
    with sqlite3.connect(checker.sqlite_file(demo.data), timeout=30) as db:
        assert db.execute("UPDATE sessions SET expires_at = 1 WHERE ended_at IS NULL AND client = 'console' AND staff_id = "
                          "(SELECT id FROM staff WHERE email = ?)", [email]).rowcount


def test_a_session_that_ends_mid_form_loses_nothing(chromium, demo, api):
    mira = demo.person("support_l2")
    tenant = api.active_tenant(23)
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(mira, f"/tenants/{tenant['id']}/suspend")
        page.get_by_label("Reason", exact=True).select_option("abuse")
        page.get_by_label("Justification").fill("Sends spam from forty accounts; “see ticket”.\nSecond line.")
        page.get_by_label("Ticket").fill("NW-77")
        end_sessions(demo, mira["email"])
        page.get_by_role("button", name="Preview").click()
        window.heading("Sign in")
        window.sign_in(mira, path=None)
        window.heading(f"Suspend {re.escape(tenant['name'])}")
        expect(page.get_by_label("Reason", exact=True)).to_have_value("abuse")
        expect(page.get_by_label("Justification")).to_have_value("Sends spam from forty accounts; “see ticket”.\nSecond line.")
        expect(page.get_by_label("Ticket")).to_have_value("NW-77")
        assert api.tenant(tenant["id"])["status"] == "active"
        page.get_by_role("button", name=re.compile("^Preview")).click()
        page.get_by_role("button", name=re.compile("^Suspend ")).click()
        window.done(f"Suspend {tenant['name']}")
        assert api.tenant(tenant["id"])["status"] == "suspended"
    api.restore(tenant["id"], reason_code="investigation_closed")


def test_an_old_factor_is_asked_for_in_place(chromium, demo, api):
    mira = demo.person("support_l2")
    tenant = api.active_tenant(24)
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(mira, f"/tenants/{tenant['id']}/suspend")
        with sqlite3.connect(checker.sqlite_file(demo.data), timeout=30) as db:
            db.execute("UPDATE sessions SET mfa_at = mfa_at - 600000000 WHERE ended_at IS NULL AND client = 'console'")

        # One's own password and recovery codes are not offered, and not given to who posts all the same.
        own = window.context.new_page()
        own.goto("/me")
        expect(own.get_by_role("link", name="Use your authenticator")).to_have_count(4)
        assert own.locator("input[type=password]").count() == 0
        assert own.get_by_role("button", name="Make new recovery codes").count() == 0
        csrf = own.locator("input[name=csrf]").first.input_value()
        for path in ("/me/recovery-codes", "/me/password"):
            answer = window.context.request.post(
                demo.url + path, form={"csrf": csrf, "old": mira["password"], "new": "four unrelated quiet lamps"},
                headers={"Origin": demo.url, "Sec-Fetch-Site": "same-origin"}, max_redirects=0)
            assert (answer.status, answer.headers["location"]) == (303, "/step-up?next=/me"), (path, answer.status)
        own.close()

        # An operation's form asks in place.
        page.get_by_label("Reason", exact=True).select_option("non_payment")
        page.get_by_label("Justification").fill("Three invoices are unpaid since August.")
        page.get_by_role("button", name="Preview").click()
        code = page.get_by_label("Code from your authenticator")
        expect(code).to_be_visible()
        window.audit("step-up")
        page.get_by_role("button", name=re.compile("^Suspend ")).click()
        expect(code).to_be_visible()
        assert api.tenant(tenant["id"])["status"] == "active"
        code.fill(demo.authenticator(mira).next())
        page.get_by_role("button", name=re.compile("^Suspend ")).click()
        window.done(f"Suspend {tenant['name']}")
        assert api.tenant(tenant["id"])["status"] == "suspended"
    api.restore(tenant["id"])


def test_somebody_elses_change_is_seen_before_it_is_overwritten(chromium, demo, api):
    tenant = api.active_tenant(25)
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(demo.person("super_admin"), f"/tenants/{tenant['id']}/update")
        page.get_by_label("Name", exact=False).first.fill("Their new name")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_role("region", name="Preview")).to_contain_text("Their new name")
        version = api.get(f"tenants/{tenant['id']}").headers["ETag"]
        assert api.operate(f"tenants/{tenant['id']}/update", input={"name": "Somebody was faster"},
                           headers={"If-Match": version}).status_code == 200
        page.get_by_role("button", name=re.compile("^Edit ")).click()
        expect(page.locator("main")).to_contain_text("Somebody changed it since your preview.")
        expect(page.get_by_label("Name", exact=False).first).to_have_value("Their new name")
        assert api.tenant(tenant["id"])["name"] == "Somebody was faster"
        window.audit("stale form")


def test_with_the_keyboard_alone(chromium, demo, api):
    mira = demo.person("support_l2")
    tenant = api.active_tenant(26)
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(mira, keyboard=True)
        # Keys are heard once the script is there.
        page.wait_for_load_state()
        page.keyboard.press("Tab")
        skip = page.get_by_role("link", name="Skip to content")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type(tenant["slug"])
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/(search|tenants)"))
        if not re.search(r"/tenants/ten_", page.url):
            window.tab_to(page.locator("main").get_by_role("link", name=tenant["name"]).first)
            page.keyboard.press("Enter")
        window.heading(re.escape(tenant["name"]))
        window.tab_to(page.get_by_role("group", name="Actions").get_by_role("link", name=re.compile("^Suspend")))
        page.keyboard.press("Enter")
        window.heading("Suspend")
        window.tab_to(page.get_by_label("Reason", exact=True))
        page.keyboard.type("Invoices")
        expect(page.get_by_label("Reason", exact=True)).to_have_value("non_payment")
        window.type_into("Justification", "Three invoices are unpaid since August.")
        window.tab_to(page.get_by_role("button", name="Preview"))
        page.keyboard.press("Enter")
        confirm = page.get_by_role("button", name=re.compile("^Suspend "))
        expect(confirm).to_be_visible()
        window.tab_to(confirm)
        page.keyboard.press("Enter")
        window.done(f"Suspend {tenant['name']}")
        assert api.tenant(tenant["id"])["status"] == "suspended"
    api.restore(tenant["id"])


def test_without_script(chromium, demo, api):
    tenant = api.active_tenant(27)
    with Window(chromium, demo, script=False) as window:
        page = window.page
        window.sign_in(demo.person("support_l2"))
        page.get_by_role("searchbox").fill(tenant["slug"])
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(r"/(search|tenants)"))
        if not re.search(r"/tenants/ten_", page.url):
            page.locator("main").get_by_role("link", name=tenant["name"]).first.click()
        page.get_by_role("group", name="Actions").get_by_role("link", name=re.compile("^Suspend")).click()
        page.get_by_label("Reason", exact=True).select_option("non_payment")
        page.get_by_role("button", name="Preview").click()
        page.get_by_role("button", name=re.compile("^Suspend ")).click()
        expect(page.get_by_label("Justification")).to_have_attribute("aria-invalid", "true")
        page.get_by_label("Justification").fill("Three invoices are unpaid since August.")
        page.get_by_role("button", name="Preview again").click()
        page.get_by_role("button", name=re.compile("^Suspend ")).click()
        window.done(f"Suspend {tenant['name']}")
        assert api.tenant(tenant["id"])["status"] == "suspended"
        page.locator("details.who summary").click()
        page.get_by_role("button", name="Sign out").click()
        window.heading("Sign in")
    api.restore(tenant["id"])


PAGES = {
    "home": "/", "tenants": "/tenants", "tenant": "/tenants/{tenant}", "members": "/tenants/{tenant}?tab=members",
    "history": "/tenants/{tenant}?tab=history", "user": "/users/{user}", "form": "/tenants/{tenant}/restore",
    "form that is refused": "/tenants/{tenant}/suspend", "edit": "/tenants/{tenant}/update", "new tenant": "/tenants/new",
    "approvals": "/approvals", "approval": "/approvals/{approval}", "audit": "/audit", "event": "/audit/{event}",
    "staff": "/staff", "a member of staff": "/staff/{staff}", "access": "/access", "me": "/me",
    "step-up": "/step-up?next=/me", "invite": "/staff/new", "search": "/search?q=a",
    "operation in words": "/search?q=suspend+a", "absent": "/absent", "settings": "/settings",
    "a setting": "/settings/undo_hours", "installation": "/installation",
    "configuration": "/installation/configuration",
}


# With a picture also in the dark and on the phone. On these the colours of a phone in the dark are looked at as well: what only a phone
# shows is the same on all pages.
SHOWN = ("home", "tenants", "tenant", "approval", "audit", "event", "access")


def test_every_page_in_every_light_and_width(chromium, demo, api):
    """A page is loaded once for all of them: nothing but its style sheet knows."""
    suspended = api.tenant(api.tenants(status="suspended", limit=1)[0]["id"])
    approval = api.get("approvals").json()["items"][0]["id"]
    event = api.get("audit-events", params={"action": "tenant.suspend", "outcome": "applied", "limit": 1}).json()["items"][0]["id"]
    with Window(chromium, demo) as window:
        def look(name):
            for viewport, scheme, suffix in ((DESK, "light", ""), (DESK, "dark", "-dark"), (PHONE, "dark", None),
                                             (PHONE, "light", "-phone")):
                if suffix is None and name not in SHOWN:
                    continue
                window.dress(scheme, viewport)
                window.audit(f"{name}, {viewport['width']} px wide", rules=None if scheme == "light" else OF_COLOURS)
                if suffix == "" and name in ("tenants", "approval") or suffix and name in (*SHOWN, "signin"):
                    window.shot(name + suffix)
            window.dress("light", DESK)

        window.go("/signin")
        look("signin")
        window.sign_in(demo.person("super_admin"))
        for name, path in PAGES.items():
            answer = window.page.goto(path.format(tenant=suspended["id"], user=suspended["owner_id"], staff=api.id,
                                                  approval=approval, event=event))
            assert answer.status == 200, f"{path}: {answer.status}"
            look(name)


def test_pages_are_small_and_guarded(demo, api, chromium):
    with Window(chromium, demo) as window:
        window.sign_in(demo.person("super_admin"))
        for path in ("/", "/tenants", "/audit", "/access", "/staff"):
            answer = window.page.goto(path)
            headers = answer.headers
            assert len(answer.body()) < 60_000, f"{path} has {len(answer.body())} bytes"
            policy = headers["content-security-policy"]
            assert "default-src 'self'" in policy or "default-src 'none'" in policy
            assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert headers["x-content-type-options"] == "nosniff"
            assert "no-store" in headers["cache-control"]
        cookies = window.context.cookies()
        session = next(c for c in cookies if c["name"].startswith("__Host-"))
        assert session["httpOnly"] and session["secure"] and session["sameSite"] == "Lax" and session["path"] == "/"
        scripts = window.page.evaluate("performance.getEntriesByType('resource').filter(e => e.initiatorType === 'script')"
                                       ".reduce((sum, e) => sum + e.decodedBodySize, 0)")
        assert scripts < 40_000


def test_another_site_cannot_post_a_form(chromium, demo, api):
    tenant = api.active_tenant(28)
    with Window(chromium, demo) as window:
        window.sign_in(demo.person("support_l2"), f"/tenants/{tenant['id']}/suspend")
        url = f"{demo.url}/tenants/{tenant['id']}/suspend"
        csrf = window.page.locator("input[name=csrf]").first.input_value()
        key = window.page.locator("input[name=idempotency_key]").input_value()
        form = {"action": "confirm", "csrf": csrf, "idempotency_key": key, "reason_code": "abuse",
                "justification": "Posted from elsewhere."}
        for headers in ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
                        {"Origin": "https://evil.example"}, {"Origin": "null"}, {}):
            answer = window.context.request.post(url, form=form, headers=headers, max_redirects=0)
            assert answer.status == 403, (headers, answer.status)
        # From here, but with a token that is not this session's: shown again, not acted upon.
        own = {"Origin": demo.url, "Sec-Fetch-Site": "same-origin"}
        for token in ("AAAA", "", csrf[:-1] + ("A" if csrf[-1] != "A" else "B")):
            answer = window.context.request.post(url, form={**form, "csrf": token}, headers=own, max_redirects=0)
            assert answer.status == 200 and "Nothing was done" in answer.text(), (token, answer.status)
        answer = window.context.request.post(f"{demo.url}/signout", form={"csrf": "AAAA"}, headers=own, max_redirects=0)
        assert answer.status == 403
        assert api.tenant(tenant["id"])["status"] == "active"


def enrolment_link(text):
    return re.search(r"/enrol\?token=[\w-]+", text).group()


def test_an_invited_person_enrols_and_is_in(chromium, demo, api, tmp_path):
    """On a server of its own, whose first person is enrolled through the printed link."""
    import totp

    server = postern.Server(tmp_path / "fresh", arguments=("serve",), POSTERN_LOG_ORIGIN="console.example.test/log")
    migrated = server.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    first = server.run("staff", "bootstrap", "ada@example.test")
    assert first.returncode == 0, first.stderr
    assert server.run("staff", "bootstrap", "bob@example.test").returncode != 0
    server.start()
    try:
        with Window(chromium, server) as window:
            page = window.page
            window.go(enrolment_link(first.stdout))
            window.heading("Welcome")
            window.audit("enrolment")
            window.shot("enrol")
            page.get_by_text("Use an authenticator app", exact=True).click()
            secret = page.locator(".id").filter(has_text=re.compile("^[A-Z2-7 ]{16,}$")).first.inner_text().replace(" ", "")
            app = totp.Authenticator(secret)
            page.get_by_label("New password").fill("short")
            page.get_by_label("Code the app shows now").fill(app.next())
            page.get_by_role("button", name="Finish and sign in").click()
            expect(page.get_by_label("New password")).to_have_attribute("aria-invalid", "true")
            page.get_by_label("New password").fill("four unrelated quiet lamps")
            page.get_by_label("Code the app shows now").fill(app.next())
            page.get_by_role("button", name="Finish and sign in").click()
            window.heading("Keep these recovery codes")
            expect(page.locator("ol.codes li")).to_have_count(10)
            window.audit("recovery codes")
            code = page.locator("ol.codes li").first.inner_text().strip()
            page.get_by_role("link", name=re.compile("continue", re.I)).click()
            page.wait_for_url(server.url + "/")
            window.audit("empty home")
            window.go("/tenants")
            window.audit("no tenants yet")
            window.go(enrolment_link(first.stdout))
            expect(page.locator("body")).to_contain_text(re.compile("used|expired|nothing", re.I))
        with Window(chromium, server) as window:
            page = window.page
            window.go("/signin")
            page.get_by_label("Work e-mail").fill("ada@example.test")
            page.get_by_label("Password", exact=True).fill("four unrelated quiet lamps")
            page.get_by_role("button", name="Continue").click()
            page.get_by_role("button", name="Use a recovery code instead").click()
            window.heading("Use a recovery code")
            window.audit("recovery code")
            page.get_by_label("Recovery code", exact=True).fill(code)
            page.get_by_role("button", name="Sign in", exact=True).click()
            page.wait_for_url(server.url + "/")
    finally:
        server.stop()
