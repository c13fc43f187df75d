"""Requests that need a second person, as those see them who ask, who may agree and who may not: over the API and in the browser."""
import datetime
import re
import time

import checker
import postern
import pytest
from browser import PHONE, Window
from playwright.sync_api import expect


@pytest.fixture
def cast(own_server):
    """Two super admins, and somebody from support."""
    server = own_server.start()
    people = [server.sign_in(server.person("super_admin")), server.sign_in(server.person("super_admin", 1)),
              server.sign_in(server.person("support_l1"))]
    yield (server, *people)
    for person in people:
        person.close()


def invite(asker, email, **more):
    first, last = email.split("@")[0].split(".")
    answer = asker.post("/api/v1/staff", json={
        "input": {"email": email, "name": f"{first.title()} {last.title()}.", "roles": ["support_l1"]},
        "justification": "Joins support next month.", "ticket": "HR-7", **more})
    assert answer.status_code == 202, answer.text
    return answer.json()["approval_id"]


def decide(person, approval, verb, **more):
    return person.post(f"/api/v1/approvals/{approval}/{verb}",
                       json={"input": {}, "justification": "Looked at it with care.", **more})


def test_an_invitation_is_agreed_to_and_its_link_is_for_who_asked(cast):
    server, asker, signer, support = cast
    approval = invite(asker, "nadia.n@northwind.example")
    asked = asker.get(f"approvals/{approval}").json()
    assert asked["state"] == "pending" and asked["matches_action"] and asked["round"] == 1
    assert asked["reveals"] == ["enrolment_link"] and asked["reversibility"] and asked["changes"] is None
    assert {"in": "changes", "at": [0, 1], "path": "/id"} in asked["anew"]["values"]

    # Not by oneself, not by whom no rule asks, and not without a fresh factor and a key.
    own = decide(asker, approval, "approve")
    assert own.status_code == 409 and "yourself" in own.json()["detail"]
    denied = decide(support, approval, "approve")
    assert denied.status_code == 403 and "None of your roles" in denied.json()["detail"]
    assert support.get(f"approvals/{approval}").status_code == 403
    assert signer.post(f"/api/v1/approvals/{approval}/approve", json={}, key=None).status_code == 400

    assert approval in [item["id"] for item in signer.get("approvals?view=asking").json()["items"]]
    assert approval not in [item["id"] for item in support.get("approvals?view=asking").json()["items"]]
    assert approval in [item["id"] for item in asker.get("approvals?view=mine").json()["items"]]
    done = decide(signer, approval, "approve")
    assert done.status_code == 200, done.text
    execution = done.json()["execution"]
    assert execution["state"] == "executed" and "/enrol" not in done.text
    event = signer.get(f"audit-events/{execution['event_id']}").json()
    assert event["leaf"]["approval_id"] == approval and event["leaf"]["actor"]["id"] == asker.id
    assert event["leaf"]["client"] == "worker"
    # Whoever was planned is not who was made: the request tells of the event now.
    told = asker.get(f"approvals/{approval}").json()
    made = [row["id"] for row in told["changes"] if row["type"] == "staff"]
    assert made == [event["leaf"]["target"]["id"]] and asked["plan"]["changes"][0]["id"] not in made

    assert decide(signer, approval, "approve").status_code == 409
    assert signer.post(f"/api/v1/approvals/{approval}/reveal", json={}, key=None).status_code == 403
    shown = asker.post(f"/api/v1/approvals/{approval}/reveal", json={}, key=None)
    assert shown.status_code == 200 and "/enrol" in shown.json()["reveal"]["enrolment_link"]
    assert asker.post(f"/api/v1/approvals/{approval}/reveal", json={}, key=None).status_code == 404
    decided = signer.get("approvals?view=decided").json()["items"]
    assert approval in [item["id"] for item in decided]
    assert server.run("verify").returncode == 0


@pytest.mark.only("sqlite")
def test_a_rejection_is_final_and_a_request_can_be_taken_back(cast):
    _, asker, signer, _ = cast
    approval = invite(asker, "omar.o@northwind.example")
    short = signer.post(f"/api/v1/approvals/{approval}/reject", json={"justification": "no"})
    assert short.status_code == 422 and short.json()["errors"][0]["pointer"] == "/justification"
    assert decide(signer, approval, "reject").status_code == 200
    assert asker.get(f"approvals/{approval}").json()["ending"] == "Looked at it with care."
    assert decide(signer, approval, "approve").status_code == 409

    approval = invite(asker, "omar.o@northwind.example")
    preview = asker.post(f"/api/v1/approvals/{approval}/cancel?dry_run=true", json={}, key=None).json()
    assert preview["allowed"] and asker.get(f"approvals/{approval}").json()["state"] == "pending"
    assert decide(asker, approval, "cancel").status_code == 200
    assert asker.get(f"approvals/{approval}").json()["state"] == "cancelled"


@pytest.mark.only("sqlite")
def test_what_is_put_off_waits_and_what_needs_nobody_is_not_put_off(cast):
    _, asker, signer, _ = cast
    later = asker.post("/api/v1/staff", json={
        "input": {"email": "pia.p@northwind.example", "name": "Pia P.", "roles": ["support_l1"]},
        "justification": "Joins support next month.", "ticket": "HR-7", "not_before": "2099-01-01T00:00:00Z"})
    assert later.status_code == 422 and later.json()["errors"][0]["pointer"] == "/not_before"
    tenant = asker.active_tenant()
    at_once = asker.post(f"/api/v1/tenants/{tenant['id']}/set-note", json={
        "input": {"note": "Handle with care."}, "not_before": "tomorrow"})
    assert at_once.status_code == 422 and at_once.json()["errors"][0]["pointer"] == "/not_before"


@pytest.mark.only("sqlite")
def test_what_is_decided_on_is_readable_in_a_narrow_window(chromium, cast):
    server, asker, _, _ = cast
    approval = invite(asker, "rosa.r@northwind.example")
    with Window(chromium, server, viewport={"width": 380, "height": 800}) as window:
        page = window.page
        window.sign_in(server.person("super_admin", 1), path=f"/approvals/{approval}/reject")
        asked = page.get_by_role("region", name="What was asked for")
        for words in ("rosa.r@northwind.example", "Asked by", "HR-7", "Who must agree", "Nobody has signed it yet."):
            expect(asked).to_contain_text(words)
        above, field = asked.bounding_box(), page.get_by_label("Justification").bounding_box()
        assert above["y"] + above["height"] <= field["y"]
        page.get_by_text("The frozen action, in full").click()
        expect(asked).to_contain_text('"staff.invite"')
        window.audit("the form that rejects, in a narrow window")


@pytest.mark.only("sqlite")
def test_a_list_says_who_asked_and_shows_every_view_in_a_narrow_window(chromium, cast):
    server, asker, _, _ = cast
    approval = invite(asker, "rolf.r@northwind.example")
    name = asker.get(f"approvals/{approval}").json()["requester_name"]
    with Window(chromium, server, viewport={"width": 380, "height": 800}) as window:
        page = window.page
        window.sign_in(server.person("super_admin", 1), path="/approvals")
        row = page.get_by_role("row").filter(has=page.locator(f'a[href="/approvals/{approval}"]'))
        expect(row.get_by_text(f"Asked by {name}")).to_be_visible()
        views = page.get_by_role("navigation", name="Requests").get_by_role("link")
        expect(views).to_have_count(4)
        for view in views.all():
            box = view.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 380, view.inner_text()
        window.audit("approvals in a narrow window")
        window.page.set_viewport_size({"width": 1280, "height": 800})
        expect(row.get_by_text(f"Asked by {name}")).to_be_hidden()
        expect(row).to_contain_text(name)


@pytest.mark.only("postgres")
def test_a_server_that_dies_before_the_time_has_come_leaves_it_to_the_next(cast):
    server, asker, signer, _ = cast
    start = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=20)
    approval = invite(asker, "sven.s@northwind.example", not_before=start.strftime("%Y-%m-%dT%H:%M:%SZ"))
    agreed = decide(signer, approval, "approve")
    assert agreed.status_code == 200, agreed.text
    assert asker.get(f"approvals/{approval}").json()["state"] == "scheduled"
    server.kill()
    time.sleep(max(0, (start - datetime.datetime.now(datetime.timezone.utc)).total_seconds()))
    server.start()
    done = postern.wait_until(
        lambda: (found := asker.get(f"approvals/{approval}").json())["state"] != "scheduled" and found, 30, "its time")
    assert done["state"] == "executed", done
    # Nor does one that dies after it do it again.
    server.kill()
    server.start()
    time.sleep(3)
    with checker.Database.of(server) as database:
        told = database.rows("SELECT id FROM events WHERE action = 'staff.invite' AND approval_id = ? AND class = 'mutation'", approval)
        people = database.one("SELECT count(*) FROM staff WHERE email = 'sven.s@northwind.example'")
    assert [row["id"] for row in told] == [done["outcome_event_id"]] and people == 1
    assert server.run("verify").returncode == 0


@pytest.mark.only("sqlite")
def test_a_request_in_the_browser(chromium, cast):
    server, asker, signer, support = cast
    approval = invite(asker, "quentin.q@northwind.example")
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("super_admin", 1), path="/approvals")
        window.heading("^Approvals$")
        window.audit("approvals")
        window.shot("approvals")
        page.locator(f'a[href="/approvals/{approval}"]').click()
        expect(page.get_by_role("link", name="Approve…")).to_be_visible()
        expect(page.locator("main")).to_contain_text("quentin.q@northwind.example")
        window.audit("approval")
        window.shot("approval")
        page.get_by_role("link", name="Approve…").click()
        # The form is where Slack's button leads, so that it shows by itself what is signed.
        asked = page.get_by_role("region", name="What was asked for")
        for words in ("quentin.q@northwind.example", "Joins support next month.", "What would be sent",
                      "Nothing has been changed yet. When it is carried out:",
                      "is shown the enrolment link once it is done", "A notice in the inbox of",
                      "These values match the commitments in the frozen action"):
            expect(asked).to_contain_text(words)
        window.audit("the form that approves")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(asked).to_contain_text("quentin.q@northwind.example")
        page.get_by_role("button", name=re.compile("^Approve")).click()
        window.heading("Invite staff")
        expect(page.locator("main")).to_contain_text("Done")
        expect(page.get_by_role("region", name="Signatures")).to_contain_text("Agreed")
        window.audit("approval that was carried out")
        window.shot("approval-done")
    with Window(chromium, server, viewport=PHONE, scheme="dark") as window:
        page = window.page
        window.sign_in(server.person("super_admin"), path=f"/approvals/{approval}")
        page.get_by_role("button", name="Show it now").click()
        window.heading("^Invite staff: quentin.q@northwind.example, shown once$")
        expect(page.locator("main")).to_contain_text("/enrol")
        window.audit("what is shown once")
        window.go(f"/approvals/{approval}")
        expect(page.get_by_role("button", name="Show it now")).to_have_count(0)
    with Window(chromium, server) as window:
        window.sign_in(server.person("support_l1"), path="/approvals")
        expect(window.page.locator("main")).to_contain_text("No request waits for your signature")
        window.audit("approvals of somebody who signs nothing")
        # No form tells whom a request is about that its own page doesn't tell.
        for path in ("", "/approve", "/reject", "/cancel"):
            window.go(f"/approvals/{approval}{path}")
            window.heading("You may not do this")
            expect(window.page.locator("main")).to_contain_text("none of your roles signs it")
            expect(window.page.locator("main")).to_contain_text("A request is seen by those who asked for it")
            expect(window.page.locator("main")).not_to_contain_text("grant roles")
            expect(window.page.locator("main")).not_to_contain_text(re.compile("quentin", re.IGNORECASE))
