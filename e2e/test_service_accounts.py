"""Programs that act for somebody: made with a colleague's signature, used over the API and on the command line, proposing, ending with
their owner; and the pages that show them."""
import re

import httpx
import pytest
from browser import Window
from playwright.sync_api import expect
from test_cli import Terminal


@pytest.fixture
def cast(own_server):
    """Two super admins, and somebody on call who has a program."""
    server = own_server.start()
    people = [server.sign_in(server.person("super_admin")), server.sign_in(server.person("super_admin", 1)),
              server.sign_in(server.person("engineering_oncall"))]
    yield (server, *people)
    for person in people:
        person.close()


def make(owner, signer, kind="service", scopes=("tenant.view", "flag.view"), name="Nightly report"):
    asked = owner.operate("service-accounts", justification="The report reads every night.",
                          input={"kind": kind, "name": name, "scopes": list(scopes)})
    assert asked.status_code == 202, asked.text
    approval = asked.json()["approval_id"]
    done = signer.operate(f"approvals/{approval}/approve", None, "Read what it may.")
    assert done.status_code == 200 and done.json().get("execution", {}).get("state") == "executed", done.text
    owner.step_up_if_old()
    shown = owner.post(f"/api/v1/approvals/{approval}/reveal", json={})
    assert shown.status_code == 200, shown.text
    assert signer.post(f"/api/v1/approvals/{approval}/reveal", json={}).status_code in (403, 404)
    return shown.json()["reveal"]["token"]


class Program:
    def __init__(self, server, token):
        self.http = httpx.Client(base_url=f"{server.url}/api/v1/", timeout=60,
                                 headers={"Authorization": f"Bearer {token}", "User-Agent": "nightly/1.0"})
        self.count = 0

    def get(self, path, **more):
        return self.http.get(path, **more)

    def operate(self, path, reason=None, justification=None, input=None, **headers):
        self.count += 1
        body = {"input": input or {}} | ({"reason_code": reason} if reason else {}) \
            | ({"justification": justification} if justification else {})
        return self.http.post(path, json=body, headers={"Idempotency-Key": f"program-{self.count}"} | headers)


def test_a_program_does_what_its_owner_may_and_no_more(cast, tmp_path):
    server, jonas, hana, oncall = cast
    token = make(oncall, jonas)
    assert token.startswith("psa_")
    program = Program(server, token)
    me = program.get("me").json()
    assert me["account"]["owner"] == oncall.id and me["permissions"] == ["flag.view", "tenant.view"]
    tenant = program.get("tenants").json()["items"][0]
    assert program.get("staff").status_code == 403
    refused = program.operate(f"tenants/{tenant['id']}/change-region", None, "It moves by itself.", {"region": "us-east"})
    assert refused.status_code == 403 and "second factor" in refused.json()["detail"]
    # What is for people is not for it.
    assert program.http.post("sessions/step-up", json={"code": "123456"}).status_code == 403
    assert program.get("sessions").status_code == 403

    listed = jonas.get("service-accounts").json()["items"]
    account = [one for one in listed if one["name"] == "Nightly report"][0]
    assert account["last_used_at"] and account["owner_id"] == oncall.id and token not in str(account)
    assert [one["id"] for one in oncall.get("service-accounts").json()["items"]] == [account["id"]]
    # On the command line.
    who = Terminal(server, tmp_path).run("whoami", "--json", POSTERN_TOKEN=token)
    assert who.returncode == 0 and account["id"] in who.stdout, who.stdout + who.stderr

    # Another token, with and without overlap.
    oncall.step_up_if_old()
    second = oncall.operate(f"service-accounts/{account['id']}/rotate-token", None, "Moved to the new server.",
                            {"overlap_hours": 1})
    assert second.status_code == 200, second.text
    assert program.get("me").status_code == 200
    third = oncall.operate(f"service-accounts/{account['id']}/rotate-token", None, "The old one was in a log.")
    fresh = Program(server, third.json()["reveal"]["token"])
    assert program.get("me").status_code == 401 and fresh.get("me").status_code == 200
    assert jonas.operate(f"service-accounts/{account['id']}/rotate-token", None, "Curious about it.").status_code == 409

    # It ends with its owner, in the same request.
    left = jonas.operate(f"staff/{oncall.id}/deactivate", "left", "Their last day is today.")
    assert left.status_code == 200 and "1 service account" in left.json()["consequence"], left.text
    assert fresh.get("me").status_code == 401
    assert server.run("verify").returncode == 0


def test_an_assistant_proposes_and_somebody_else_agrees(cast):
    server, jonas, hana, _ = cast
    token = make(jonas, hana, "assistant", ["tenant.view", "tenant.set_note"], "Helper")
    helper = Program(server, token)
    tenant = helper.get("tenants?status=active").json()["items"][0]
    note = {"note": "Renewal talks are under way; ask their CSM first."}
    path = f"tenants/{tenant['id']}/set-note"
    preview = helper.operate(path + "?dry_run=true", input=note).json()
    assert preview["allowed"] and preview["approvals"][0]["rule"] == "assistant", preview
    asked = helper.operate(path, input=note)
    assert asked.status_code == 202, asked.text
    approval = asked.json()["approval_id"]
    assert helper.get(f"approvals/{approval}").json()["requester"] == jonas.id
    assert helper.operate(f"approvals/{approval}/approve").status_code == 403
    own = jonas.operate(f"approvals/{approval}/approve", None, "It is my own helper.")
    assert own.status_code == 409 and "yourself" in own.json()["detail"]
    done = hana.operate(f"approvals/{approval}/approve", None, "That is right.")
    assert done.status_code == 200 and done.json()["execution"]["state"] == "executed", done.text
    event = jonas.get(f"audit-events/{done.json()['execution']['event_id']}").json()
    assert event["leaf"]["actor"]["type"] == "assistant" and event["leaf"]["acting_as"] == jonas.id, event
    assert event["actor"]["name"] == "Helper"
    # Taken back before it was agreed to, it fails.
    second = helper.operate(path, input={"note": "Something else."}).json()["approval_id"]
    account = [one for one in jonas.get("service-accounts").json()["items"] if one["name"] == "Helper"][0]
    assert hana.operate(f"service-accounts/{account['id']}/revoke", "misused").status_code == 200
    assert helper.get("me").status_code == 401
    end = hana.operate(f"approvals/{second}/approve", None, "That is right.")
    assert end.json()["execution"]["state"] == "failed", end.text


@pytest.mark.only("sqlite")
def test_the_pages_of_accounts(chromium, cast):
    server, jonas, hana, oncall = cast
    make(oncall, jonas)
    make(jonas, hana, "assistant", ["tenant.view", "tenant.set_note", "staff.view"], "Helper")
    with Window(chromium, server) as window:
        window.sign_in(server.person("super_admin"))
        look(window)


def look(window):
    page = window.page
    page.goto("/service-accounts")
    expect(page.get_by_role("table")).to_contain_text("Nightly report")
    window.audit_everywhere("service accounts")
    window.shot("service-accounts")
    page.get_by_role("link", name="Helper", exact=True).click()
    expect(page.get_by_role("heading", name="Helper")).to_be_visible()
    expect(page.get_by_text("Replace token")).to_be_visible()
    expect(page.locator("main .keys")).to_contain_text("(you)")
    window.audit_everywhere("a service account")
    window.shot("service-account")
    page.goto("/service-accounts")
    page.get_by_role("link", name="Nightly report", exact=True).click()
    # Somebody else's: it can be ended, and not used.
    expect(page.get_by_text("Replace token")).to_have_count(0)
    expect(page.get_by_role("link", name=re.compile("Revoke"))).to_be_visible()
    page.goto("/me")
    expect(page.get_by_role("region", name="Service accounts")).to_be_visible()
    window.audit_everywhere("my page with accounts")
    page.goto("/service-accounts/new")
    expect(page.get_by_role("checkbox", name=re.compile("Find and view tenants"))).to_be_visible()
    expect(page.get_by_role("checkbox", name=re.compile("Sign, reject and cancel"))).to_have_count(0)
    window.audit_everywhere("a new service account")
