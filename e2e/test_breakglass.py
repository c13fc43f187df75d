"""An emergency as those see it who open it, agree to it, may not, and review it: over the API, on the command line and in the browser."""
import re

import pytest
from browser import PHONE, Window
from playwright.sync_api import expect
from test_setup import Terminal

WHY = "Their sign-in is down, and no admin of theirs answers."
TRIED = "Called Hana twice and wrote to her; she is on a plane."
FOUND = "Right to open it. The runbook for their sign-in was missing."


@pytest.fixture
def cast(own_server):
    """Two super admins, somebody from security, somebody from support."""
    server = own_server.start()
    people = [server.sign_in(server.person("super_admin")), server.sign_in(server.person("super_admin", 1)),
              server.sign_in(server.person("security")), server.sign_in(server.person("support_l1"))]
    yield (server, *people)
    for person in people:
        person.close()


def ask(person, tenant, more=None, ticket="INC-7", **options):
    return person.operate("breakglass-sessions" + options.pop("query", ""), "outage", WHY,
                          {"tenant": tenant, **(more or {})}, ticket, **options)


def approve(person, approval):
    return person.operate(f"approvals/{approval}/approve", None, "Spoke to Jonas on the phone.")


def review(person, id, verdict="justified", **more):
    return person.operate(f"breakglass-sessions/{id}/review", None, "Read every event of it.",
                          {"verdict": verdict, "findings": FOUND, **more})


def open_by_two(asker, signer, tenant):
    asked = ask(asker, tenant)
    assert asked.status_code == 202, asked.text
    done = approve(signer, asked.json()["approval_id"])
    assert done.status_code == 200 and done.json()["execution"]["state"] == "executed", done.text
    return asker.get("breakglass-sessions?state=open").json()["items"][0]["id"]


@pytest.mark.only("postgres")
def test_two_open_it_and_a_third_reviews_it(cast):
    server, jonas, hana, samir, tomas = cast
    slug = jonas.active_tenant()["slug"]
    denied = ask(tomas, slug)
    assert denied.status_code == 403 and denied.json()["required_permission"] == "breakglass.open"
    assert tomas.get("breakglass-sessions").status_code == 403
    no_ticket = ask(jonas, slug, ticket=None)
    assert no_ticket.status_code == 422 and no_ticket.json()["errors"][0]["pointer"] == "/ticket"
    nobody = ask(jonas, "no-such-tenant")
    assert nobody.status_code == 422 and nobody.json()["errors"][0]["pointer"] == "/input/tenant"
    alone = ask(jonas, slug, {"solo": True, "tried": TRIED})
    assert alone.status_code == 409 and "There is another super admin who could agree" in alone.json()["detail"]
    preview = ask(jonas, slug, query="?dry_run=true").json()
    assert preview["allowed"] and preview["approvals"][0]["window_seconds"] == 600, preview

    asked = ask(jonas, slug)
    assert asked.status_code == 202, asked.text
    twice = ask(jonas, slug)
    assert twice.status_code == 409 and "waits for another super admin" in twice.json()["detail"]
    assert approve(jonas, asked.json()["approval_id"]).status_code == 409
    assert approve(samir, asked.json()["approval_id"]).status_code == 403
    assert approve(hana, asked.json()["approval_id"]).status_code == 200
    (session,) = samir.get("breakglass-sessions?state=open").json()["items"]
    assert session["person"] == jonas.id and not session["solo"] and session["tenant_name"]
    id = session["id"]
    assert ask(jonas, slug).status_code == 409

    note = jonas.operate(f"tenants/{session['tenant_id']}/set-note", None, None, {"note": "Outage: INC-7."})
    assert note.status_code == 200, note.text
    leaf = samir.get(f"audit-events/{note.json()['event_id']}").json()["leaf"]
    assert leaf["facts"]["breakglass"] == id
    shown = samir.get(f"breakglass-sessions/{id}/events?show=changes").json()["items"]
    applied = [event["action"] for event in shown if event["outcome"] == "applied"]
    assert applied == ["tenant.set_note", "breakglass.open"], applied
    assert "denied" in [event["outcome"] for event in shown]
    detail = samir.get(f"breakglass-sessions/{id}")
    assert detail.headers["etag"] and detail.json()["ticket"] == "INC-7"
    assert [one["person"] for one in detail.json()["signers"]] == [hana.id]

    early = review(samir, id)
    assert early.status_code == 409 and "still open" in early.json()["detail"]
    stopped = samir.operate(f"breakglass-sessions/{id}/end")
    assert stopped.status_code == 200 and stopped.json()["after"]["end_reason"] == "kill_switch", stopped.text
    again = ask(jonas, slug)
    assert again.status_code == 409 and "not reviewed yet" in again.json()["detail"]
    assert "opened this yourself" in review(jonas, id).json()["detail"]
    assert "agreed to opening this" in review(hana, id).json()["detail"]
    assert review(tomas, id).status_code == 403
    missing = review(samir, id, "findings")
    assert missing.status_code == 422 and missing.json()["errors"][0]["pointer"] == "/input/follow_up"
    closed = review(samir, id, "findings", follow_up="OPS-12")
    assert closed.status_code == 200 and closed.json()["after"]["state"] == "reviewed", closed.text
    assert ask(jonas, slug).status_code == 202
    assert samir.get("breakglass-sessions?state=gone").status_code == 422
    page = samir.get("breakglass-sessions?limit=1").json()
    assert [one["id"] for one in page["items"]] == [id]
    # The demo's story had one before.
    last = samir.get("breakglass-sessions", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert last["items"][0]["tenant_name"].startswith("Harborview") and last["next_cursor"] is None
    assert server.run("verify").returncode == 0


@pytest.mark.only("sqlite")
def test_alone_it_locks_everything_else(chromium, cast):
    server, jonas, hana, samir, _ = cast
    first, second = jonas.active_tenant(), jonas.active_tenant(1)
    # Hana loses her factors, so that nobody else can be reached.
    reset = jonas.operate(f"staff/{hana.id}/reset-factors", "lost", "Lost her phone on the train.", None, "HR-9")
    assert approve(samir, reset.json()["approval_id"]).status_code == 200
    untold = ask(jonas, first["slug"], {"solo": True})
    assert untold.status_code == 422 and untold.json()["errors"][0]["pointer"] == "/input/tried"
    opened = ask(jonas, first["slug"], {"solo": True, "tried": TRIED})
    assert opened.status_code == 201, opened.text
    id = opened.json()["after"]["id"]
    assert opened.headers["location"] == f"/api/v1/breakglass-sessions/{id}"

    noted = jonas.operate(f"tenants/{first['id']}/set-note", None, None, {"note": "Outage: INC-7."})
    assert noted.status_code == 200, noted.text
    other = jonas.operate(f"tenants/{second['id']}/set-note", None, None, {"note": "Not mine."})
    assert other.status_code == 403 and "You opened break-glass alone" in other.json()["detail"], other.text
    assert jonas.get(f"tenants/{first['id']}").status_code == 200
    assert jonas.get(f"tenants/{second['id']}").status_code == 403
    for path in ("staff", "audit-events", "approval-rules", "tenants/export"):
        assert jonas.get(path).status_code == 403, path
    offered = {one["name"] for one in jonas.get("operations").json()["items"] if one["allowed"]}
    assert "tenant.set_note" in offered and not offered & {"staff.invite", "policy.add_rule", "approval.approve"}
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("super_admin"))
        expect(page.locator('.app[data-frame="red"]')).to_have_count(1)
        expect(page.locator("main")).to_contain_text("You opened it alone")
        expect(page.get_by_role("link", name="Staff", exact=True)).to_have_count(0)
        window.audit("home of somebody who is locked")
        # Colleagues see it on their page.
        with Window(chromium, server) as other:
            other.sign_in(server.person("security"), path=f"/staff/{jonas.id}")
            expect(other.page.locator("main .title .chip").filter(has_text="Locked")).to_have_count(1)
            expect(other.page.locator("main")).to_contain_text("is locked until somebody else has reviewed")
            other.audit("a colleague who is locked")
            other.shot("staff-locked")
        assert samir.get(f"staff/{jonas.id}").json()["lock"]["breakglass_id"] == id
        ended = jonas.operate(f"breakglass-sessions/{id}/end")
        assert ended.status_code == 200, ended.text
        window.go("/")
        expect(page.locator('.app[data-frame="red"]')).to_have_count(0)
        expect(page.locator("main")).to_contain_text("Your privileges are locked.")
        window.audit("home of somebody who waits for the review")
        page.get_by_role("link", name="How it stands").click()
        window.heading("Break-glass for ")
        expect(page.get_by_role("link", name="Close the review…")).to_have_count(0)
        window.go("/staff")
        window.heading("You may not do this")
        expect(page.locator("main")).to_contain_text("You opened break-glass alone")
    assert jonas.get(f"tenants/{first['id']}").status_code == 403
    assert review(samir, id).status_code == 200
    assert jonas.get("staff").status_code == 200 and samir.get(f"staff/{jonas.id}").json()["lock"] is None
    assert server.run("verify").returncode == 0


@pytest.mark.only("sqlite")
def test_an_emergency_in_the_browser(chromium, cast):
    server, jonas, hana, samir, _ = cast
    tenant = jonas.active_tenant()
    with Window(chromium, server) as asking, Window(chromium, server) as signing, Window(chromium, server) as judging:
        page = asking.page
        asking.sign_in(server.person("super_admin"), path="/breakglass-sessions")
        asking.heading("Break-glass")
        expect(page.get_by_role("table")).to_contain_text("Harborview Hospital")
        asking.audit("an emergency of the past")
        asking.go("/breakglass-sessions?state=open")
        expect(page.locator("main")).to_contain_text("None is open")
        asking.audit("no emergency")
        asking.go(f"/tenants/{tenant['id']}")
        page.get_by_role("link", name="Break-glass…").click()
        asking.heading("Open break-glass")
        expect(page.get_by_label("Tenant", exact=True)).to_have_value(tenant["slug"])
        page.get_by_label("What the emergency is").select_option("outage")
        page.get_by_label("Justification").fill(WHY)
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.locator("main")).to_contain_text("Ticket is required")
        asking.audit("opening without a ticket")
        page.get_by_label("Ticket").fill("INC-7")
        # What the plan finds wrong with a field is said there, with nothing to confirm.
        page.get_by_label("Tenant", exact=True).fill("no-such-tenant")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.get_by_label("Tenant", exact=True)).to_have_attribute("aria-invalid", "true")
        expect(page.locator("main")).to_contain_text("There is no tenant with the id or slug no-such-tenant.")
        expect(page.get_by_role("button", name="Preview again")).to_have_count(0)
        expect(page.get_by_role("region", name="Preview")).not_to_contain_text("This can’t be done now.")
        asking.audit("opening for a tenant that is not there")
        page.get_by_label("Tenant", exact=True).fill(tenant["slug"])
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.locator("main")).to_contain_text("1 person with Super admin")
        expect(page.locator("main")).to_contain_text("10 min")
        # Who hears of it is said before, with no mail and no Slack.
        preview = page.get_by_role("region", name="Preview")
        expect(preview).to_contain_text("A notice in the inbox of everybody who could sign")
        expect(preview).to_contain_text(
            "A notice in the inbox of every other Super admin and Security: break-glass was opened")
        expect(preview).not_to_contain_text("Nothing.")
        asking.audit("what opening would do")
        asking.shot("breakglass-open")
        page.get_by_role("button", name=re.compile("^(Open break-glass|Ask|Send)")).click()
        expect(page.locator("main")).to_contain_text("1 person with Super admin")

        signing.sign_in(server.person("super_admin", 1), path="/approvals")
        signing.page.get_by_role("link", name=re.compile("^Open break-glass")).first.click()
        signing.page.get_by_role("link", name="Approve…").click()
        signing.page.get_by_role("button", name=re.compile("^Preview")).click()
        signing.page.get_by_role("button", name=re.compile("^Approve")).click()
        expect(signing.page.locator("main")).to_contain_text(f"has break-glass open for {tenant['name']}")
        expect(signing.page.locator('.app[data-frame="red"]')).to_have_count(0)
        signing.audit("a request that opened it")

        asking.go(f"/tenants/{tenant['id']}")
        expect(page.locator('.app[data-frame="red"]')).to_have_count(1)
        clock = page.locator("time[data-left]").first
        before = clock.inner_text()
        assert re.fullmatch(r"(29|30):\d\d", before), before
        expect(clock).not_to_have_text(before)
        asking.audit("a tenant within break-glass")
        asking.shot("breakglass-tenant")
        page.get_by_role("link", name="Set note…").click()
        page.get_by_label("Note").fill("Outage: INC-7.")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.locator('.app[data-frame="red"]')).to_have_count(1)
        page.get_by_role("button", name=re.compile("^Set note")).click()
        page.wait_for_url(re.compile("/done/"))
        asking.go("/breakglass-sessions")
        asking.audit("emergencies")
        page.locator("table").get_by_role("link", name=tenant["name"]).click()
        asking.heading("Break-glass for ")
        within = page.get_by_role("region", name=re.compile("did within it"))
        expect(within).to_contain_text("Set note")
        # In the past, and about something that has a name.
        expect(within).to_contain_text("Opened break-glass")
        expect(within).to_contain_text("this emergency")
        expect(within).not_to_contain_text("brk_")
        asking.audit("an emergency that is open")
        asking.shot("breakglass")
        page.get_by_role("group", name="Actions").get_by_role("link", name="End break-glass…").click()
        page.get_by_role("button", name=re.compile("^Preview")).click()
        page.get_by_role("button", name=re.compile("^End break-glass")).click()
        page.wait_for_url(re.compile("/done/"))
        asking.go("/")
        expect(page.locator('.app[data-frame="red"]')).to_have_count(0)
        expect(page.locator("main")).to_contain_text("is not reviewed yet")

        looks = judging.page
        judging.sign_in(server.person("security"))
        expect(looks.locator("main")).to_contain_text(f"break-glass for {tenant['name']} is to be reviewed")
        expect(looks.get_by_role("navigation", name="Console")).to_contain_text("Break-glass1")
        judging.audit("home with a review that is owed")
        looks.get_by_role("link", name="Review…").click()
        judging.heading("Break-glass for ")
        looks.get_by_role("link", name="Close the review…").click()
        judging.heading("Close the review")
        looks.get_by_label("Verdict").select_option("findings")
        looks.get_by_label("Findings").fill(FOUND)
        looks.get_by_label("Justification").fill("Read every event of it.")
        looks.get_by_role("button", name=re.compile("^Preview")).click()
        expect(looks.locator("main")).to_contain_text("Name the ticket for what is to be mended.")
        judging.audit("a review without a ticket")
        looks.get_by_label("Follow-up").fill("OPS-12")
        looks.get_by_role("button", name=re.compile("^Preview")).click()
        looks.get_by_role("button", name=re.compile("^Close the review")).click()
        looks.wait_for_url(re.compile("/done/"))
        judging.go("/breakglass-sessions?state=reviewed")
        looks.locator("table").get_by_role("link", name=tenant["name"]).click()
        expect(looks.get_by_role("region", name="Review")).to_contain_text("something is to be mended")
        judging.audit("an emergency that is reviewed")
        judging.shot("breakglass-reviewed")
    id = samir.get("breakglass-sessions").json()["items"][0]["id"]
    with Window(chromium, server, viewport=PHONE, scheme="dark") as window:
        window.sign_in(server.person("compliance"), path=f"/breakglass-sessions/{id}")
        window.heading("Break-glass for ")
        window.audit("an emergency on a phone, in the dark")
        window.shot("breakglass-phone")
        window.go("/breakglass-sessions")
        window.audit("emergencies on a phone, in the dark")
    with Window(chromium, server, script=False) as window:
        window.sign_in(server.person("support_l1"), path="/breakglass-sessions")
        expect(window.page.locator("main")).to_contain_text("breakglass.view")


@pytest.mark.only("sqlite")
def test_the_command_line_opens_and_ends_it(cast, tmp_path):
    server, jonas, hana, samir, _ = cast
    server.apps = {server.person("super_admin")["email"]: server.authenticator(server.person("super_admin")), **server.apps}
    terminal = Terminal(server, tmp_path).login(server.person("super_admin"))
    slug = jonas.active_tenant()["slug"]
    words = ("breakglass", "open", "--tenant", slug, "--reason-code", "outage", "--justification", WHY, "--yes")
    missing = terminal.run(*words)
    assert missing.returncode == 2 and "--ticket is required" in missing.stderr
    tried = terminal.run(*words, "--ticket", "INC-7", "--dry-run")
    assert tried.returncode == 0 and "1 person with Super admin" in tried.stdout, tried.stdout + tried.stderr
    waits = terminal.run(*words, "--ticket", "INC-7")
    assert waits.returncode == 8, waits.stderr
    request = [one for one in hana.get("approvals?view=asking").json()["items"] if one["operation"] == "breakglass.open"][0]
    assert approve(hana, request["id"]).status_code == 200
    id = jonas.get("breakglass-sessions?state=open").json()["items"][0]["id"]
    listed = terminal.run("breakglass", "list", "--state", "open", "--tenant", slug)
    assert listed.returncode == 0 and id in listed.stdout and "Jonas W." in listed.stdout, listed.stderr
    done = terminal.run("breakglass", "events", id, "--show", "changes")
    assert done.returncode == 0 and "breakglass.open" in done.stdout, done.stderr
    shown = terminal.run("breakglass", "show", id)
    assert shown.returncode == 0 and "INC-7" in shown.stdout, shown.stderr
    ended = terminal.run("breakglass", "end", id, "--yes")
    assert ended.returncode == 0, ended.stderr
    twice = terminal.run("breakglass", "end", id, "--yes")
    assert twice.returncode != 0 and "ended already" in twice.stderr + twice.stdout
    own = terminal.run("breakglass", "review", id, "--verdict", "justified", "--findings", FOUND, "--justification",
                       "Read every event of it.", "--yes")
    assert own.returncode != 0 and "opened this yourself" in own.stderr + own.stdout
