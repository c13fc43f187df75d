"""The life of an account: roles for good and for a while, leaving, sessions, new factors, recovery from the server; over the API, on
the command line and in the browser."""
import base64
import datetime
import hashlib
import os
import re

import httpx
import pytest
from browser import PHONE, Window
from playwright.sync_api import expect
from test_setup import Terminal, enrol, fresh, link_in  # noqa: F401


@pytest.fixture
def cast(own_server):
    """Two super admins, and somebody from security."""
    server = own_server.start()
    people = [server.sign_in(server.person("super_admin")), server.sign_in(server.person("super_admin", 1)),
              server.sign_in(server.person("security"))]
    yield (server, *people)
    for person in people:
        person.close()


def staff(person, email):
    found = [one for one in person.get("staff?limit=200").json()["items"] if one["email"].startswith(email)]
    return found[0]["id"]


def ask(person, target, verb, input=None, reason=None, **more):
    return person.operate(f"staff/{target}/{verb}", reason, "Agreed with their lead today.", input, "HR-17", **more)


def approve(person, approval):
    return person.operate(f"approvals/{approval}/approve", None, "Looked at it with care.")


def until(**span):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**span)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_roles_come_and_go(cast):
    server, jonas, hana, samir = cast
    ruth = staff(jonas, "ruth.n")
    # Without power at once, with a ticket; for a while.
    no_ticket = jonas.operate(f"staff/{ruth}/grant-role", None, "Helps out in support.", {"role": "support_l1"})
    assert no_ticket.status_code == 422 and no_ticket.json()["errors"][0]["pointer"] == "/ticket"
    preview = ask(jonas, ruth, "grant-role?dry_run=true", {"role": "support_l1"}).json()
    assert preview["allowed"] and preview["approvals"] == []
    given = ask(jonas, ruth, "grant-role", {"role": "support_l1", "expires_at": until(hours=3)})
    assert given.status_code == 200 and given.json()["undo"]["operation"] == "staff.revoke_role", given.text
    shown = [one["id"] for one in jonas.get("staff?show=expiring").json()["items"]]
    assert shown == [ruth]
    person = jonas.get(f"staff/{ruth}").json()
    assert person["roles"] == ["compliance", "support_l1"]
    # Not twice, not what is over, not one's own, and not what checks another role.
    assert ask(jonas, ruth, "grant-role", {"role": "support_l1", "expires_at": until(hours=-1)}).status_code == 422
    own = ask(jonas, jonas.id, "grant-role", {"role": "security"})
    assert own.status_code == 409 and "Nobody gives" in own.json()["detail"]
    mixed = ask(jonas, ruth, "grant-role", {"role": "billing_ops"})
    assert mixed.status_code == 422 and mixed.json()["errors"][0]["pointer"] == "/input/role"
    assert ask(samir, ruth, "grant-role", {"role": "legal"}).status_code == 403

    # With power by another person's signature; a mover's change as a whole.
    asked = ask(jonas, ruth, "change-roles", {"grant": ["legal"], "revoke": ["support_l1"]})
    assert asked.status_code == 202, asked.text
    assert approve(jonas, asked.json()["approval_id"]).status_code == 409
    done = approve(samir, asked.json()["approval_id"])
    assert done.status_code == 200 and done.json()["execution"]["state"] == "executed", done.text
    assert jonas.get(f"staff/{ruth}").json()["roles"] == ["compliance", "legal"]
    taken = ask(jonas, ruth, "revoke-role", {"role": "legal"}, "review")
    assert taken.status_code == 200 and jonas.get(f"staff/{ruth}").json()["roles"] == ["compliance"]

    # An exception is kept until somebody else looked at it.
    why = "Covers for Ines in the week of the audit."
    tomas = staff(jonas, "tomas.v")
    asked = ask(jonas, tomas, "grant-role", {"role": "billing_ops", "expires_at": until(days=5), "exception": why})
    assert asked.status_code == 202, asked.text
    assert approve(hana, asked.json()["approval_id"]).status_code == 200
    flags = samir.get("staff-flags").json()["items"]
    assert [flag["reason"] for flag in flags] == [why]
    assert jonas.operate(f"staff-flags/{flags[0]['id']}/clear", "accepted", "Ends on Friday by itself.").status_code == 409
    closed = samir.operate(f"staff-flags/{flags[0]['id']}/clear", "accepted", "Ends on Friday by itself.")
    assert closed.status_code == 200, closed.text
    assert samir.get("staff-flags").json()["items"] == []
    assert samir.get("staff-flags?state=cleared").json()["items"][0]["outcome"] == "accepted"
    assert samir.get("staff-flags?state=gone").status_code == 422
    assert server.run("verify").returncode == 0


@pytest.mark.only("postgres")
def test_sessions_end_and_somebody_leaves(cast):
    server, jonas, hana, samir = cast
    tomas = server.sign_in(server.person("support_l1"))
    again = server.sign_in(server.person("support_l1"))
    listed = samir.get(f"staff/{tomas.id}/sessions").json()["items"]
    assert len(listed) == 2 and listed[0]["network"].startswith("127.0.0.0/") and "ip" not in listed[0]
    assert tomas.get(f"staff/{tomas.id}/sessions").status_code == 403
    ended = samir.operate(f"staff/{tomas.id}/revoke-sessions", "lost_device", "Left the laptop in a taxi.",
                          {"session": listed[0]["id"]})
    assert ended.status_code == 200, ended.text
    assert again.get("sessions").status_code == 401 and tomas.get("sessions").status_code == 200
    theirs = jonas.get("sessions").json()["items"][0]["id"]
    other = samir.operate(f"staff/{tomas.id}/revoke-sessions", "lost_device", "Not one of his.", {"session": theirs})
    assert other.status_code == 422

    left = ask(jonas, tomas.id, "deactivate", None, "left")
    assert left.status_code == 200, left.text
    assert tomas.get("sessions").status_code == 401
    person = jonas.get(f"staff/{tomas.id}").json()
    assert person["status"] == "deactivated" and person["roles"] == []
    assert [one["id"] for one in jonas.get("staff?status=deactivated").json()["items"]] == [tomas.id]
    back = ask(jonas, tomas.id, "reactivate", None, "returned")
    assert back.status_code == 200 and back.json()["after"]["status"] == "active"
    assert tomas.get("sessions").status_code == 401
    returned = server.sign_in(server.person("support_l1"))
    assert returned.get("tenants").status_code == 403
    for one in (tomas, again, returned):
        one.close()


@pytest.mark.only("sqlite")
def test_new_factors_and_who_made_them(chromium, cast):
    server, jonas, hana, samir = cast
    server.apps = {}
    keiko = staff(jonas, "keiko.t")
    old = server.sign_in(server.person("customer_success"))
    asked = ask(jonas, keiko, "reset-factors", None, "lost")
    assert asked.status_code == 202, asked.text
    approval = asked.json()["approval_id"]
    assert approve(jonas, approval).status_code == 409
    assert old.get("sessions").status_code == 200
    assert approve(samir, approval).status_code == 200
    assert old.get("sessions").status_code == 401
    assert keiko in [one["id"] for one in jonas.get("staff?show=no_factor").json()["items"]]
    assert samir.post(f"/api/v1/approvals/{approval}/reveal", json={}, key=None).status_code == 403
    link = jonas.post(f"/api/v1/approvals/{approval}/reveal", json={}, key=None).json()["reveal"]["enrolment_link"]
    account = enrol(server, link)
    with Window(chromium, server) as window:
        page = window.page
        window.go("/signin")
        page.get_by_label("Work e-mail").fill(account["email"])
        page.get_by_label("Password", exact=True).fill(account["password"])
        page.get_by_role("button", name="Continue").click()
        window.heading("Enter your code")
        page.get_by_label("Code from your authenticator").fill(server.apps[account["email"]].next())
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.locator("main")).to_contain_text("Your factors were reset by Jonas W.")
        window.audit("home after a reset")
    old.close()


@pytest.mark.only("sqlite")
def test_staff_in_the_browser(chromium, cast):
    server, jonas, hana, samir = cast
    ruth, tomas, mira = (staff(jonas, name) for name in ("ruth.n", "tomas.v", "mira.o"))
    ask(jonas, ruth, "grant-role", {"role": "support_l1", "expires_at": until(hours=5)})
    asked = ask(jonas, tomas, "grant-role", {
        "role": "billing_ops", "expires_at": until(days=5), "exception": "Covers for Ines in the week of the audit."})
    approve(hana, asked.json()["approval_id"])
    signed = server.sign_in(server.person("support_l2"))
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("super_admin", 1), path="/staff")
        window.heading("^Staff$")
        window.audit("staff")
        page.get_by_label("Only").select_option("expiring")
        page.get_by_role("button", name="Filter").click()
        expect(page.get_by_role("link", name=re.compile("Ruth N."))).to_be_visible()
        expect(page.get_by_role("link", name=re.compile("Mira O."))).to_have_count(0)
        window.audit("staff with roles that end")

        window.go(f"/staff/{tomas}")
        window.heading("Tomas V.")
        expect(page.get_by_role("region", name="Roles held together")).to_contain_text("in the week of the audit")
        window.audit("a person")
        window.shot("staff-person")
        page.get_by_role("link", name="Revoke…").first.click()
        window.heading("Revoke role")
        expect(page.get_by_label("Role", exact=True)).not_to_have_value("")
        window.audit("revoking a role")

        # What is held can be taken, what is not held can be given.
        window.go(f"/staff/{mira}/change-roles")
        taking, giving = (page.locator(f'input[name="input.{field}"]') for field in ("revoke", "grant"))
        assert [box.get_attribute("value") for box in taking.all()] == ["support_l2"]
        assert "support_l2" not in [box.get_attribute("value") for box in giving.all()] and giving.count() == 12
        window.audit("changing roles")

        # A form answers at the field.
        window.go(f"/staff/{mira}/grant-role")
        page.get_by_label("Role", exact=True).select_option("billing_ops")
        page.get_by_label("Until").fill("next week")
        page.get_by_label("Justification").fill("Helps the billing team out.")
        page.get_by_label("Ticket").fill("HR-18")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.locator("main")).to_contain_text("must be a time such as")
        page.get_by_label("Until").fill("")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.locator("main")).to_contain_text("may not be held by one person")
        window.audit("granting a role that checks another")
        window.shot("staff-grant")

        window.go("/staff-flags")
        window.heading("Roles held together")
        window.audit("roles held together")
        window.shot("staff-exceptions")
        # Who agreed may review it, as she did not make it.
        page.get_by_role("link", name="Review…").click()
        window.heading("Close the review")
        page.get_by_label("Reason").select_option("accepted")
        page.get_by_label("Justification").fill("It ends on Friday by itself.")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        page.get_by_role("button", name=re.compile("^Close the review")).click()
        window.done("Close the review")

        window.go(f"/staff/{mira}/sessions")
        window.heading("Sessions of Mira O.")
        window.audit("sessions")
        window.shot("staff-sessions")
        page.get_by_role("link", name="End all sessions…").click()
        window.heading("End sessions")
        page.get_by_label("Reason").select_option("suspicious")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        page.get_by_role("button", name=re.compile("^End sessions")).click()
        window.done("End sessions: Mira O.")
        assert signed.get("sessions").status_code == 401

        window.go("/me")
        page.get_by_role("button", name="End all others").click()
        expect(page.locator("main")).to_contain_text("All your other sessions have ended.")
        assert hana.get("sessions").status_code == 401
    with Window(chromium, server, viewport=PHONE, scheme="dark") as window:
        window.sign_in(server.person("security"), path=f"/staff/{tomas}")
        window.heading("Tomas V.")
        expect(window.page.get_by_role("link", name="Grant role…")).to_have_count(0)
        window.audit("a person on a phone, in the dark")
    signed.close()


@pytest.mark.only("sqlite")
def test_the_command_line_changes_roles(cast, tmp_path):
    server, jonas, hana, samir = cast
    server.apps = {server.person("super_admin")["email"]: server.authenticator(server.person("super_admin"))}
    terminal = Terminal(server, tmp_path).login(server.person("super_admin"))
    ruth = staff(jonas, "ruth.n")
    words = ("staff", "grant-role", "ruth.n@northwind.example", "--role", "support_l1", "--justification", "Helps out in support.", "--yes")
    nobody = terminal.run(*words[:2], "nobody@northwind.example", *words[3:], "--ticket", "HR-3")
    assert nobody.returncode == 6 and "nobody among the staff" in nobody.stderr
    missing = terminal.run(*words)
    assert missing.returncode == 2 and "--ticket is required" in missing.stderr
    given = terminal.run(*words, "--ticket", "HR-3", "--expires-at", "2099-01-01 10:00")
    assert given.returncode == 2 and "within a year" in given.stderr + given.stdout, given.stderr
    given = terminal.run(*words, "--ticket", "HR-3", "--expires-at", until(hours=2))
    assert given.returncode == 0, given.stderr
    shown = terminal.run("staff", "list", "--show", "expiring")
    assert "Ruth N." in shown.stdout and "Tomas V." not in shown.stdout
    wrong = terminal.run("staff", "list", "--status", "gone")
    assert wrong.returncode == 2 and "status" in wrong.stderr, wrong.stderr
    waits = terminal.run("staff", "grant-role", ruth, "--role", "legal", "--justification", "Helps out in legal.",
                         "--ticket", "HR-4", "--yes")
    assert waits.returncode == 8, waits.stderr
    last = terminal.run("staff", "deactivate", ruth, "--reason-code", "left", "--justification", "Left the company.",
                        "--dry-run")
    assert last.returncode == 0 and "1 open request" not in last.stdout


def test_the_last_super_admin_is_recovered_from_the_server(chromium, fresh, tmp_path):  # noqa: F811
    first = fresh.run("staff", "bootstrap", "ada@company.example")
    fresh.start()
    ada = enrol(fresh, link_in(first.stdout))
    nobody = fresh.run("staff", "recover", "bob@company.example")
    assert nobody.returncode == 6 and "nobody with the address" in nobody.stderr
    asked = fresh.run("staff", "recover", "ada@company.example")
    assert asked.returncode == 0, asked.stderr
    link = link_in(asked.stdout)
    assert "unless a super admin cancels it" in asked.stderr
    twice = fresh.run("staff", "recover", "ada@company.example")
    assert twice.returncode == 3 and "asked for already" in twice.stderr
    fresh.stop()
    # A key that is as well-formed, and not this database's.
    secret = os.urandom(32)
    file = tmp_path / "other.key"
    file.touch(mode=0o600)
    digest = hashlib.sha256(b"postern-master:" + secret).hexdigest()
    file.write_text(f"postern-master:{digest[:8]}:{base64.b64encode(secret).decode()}\n")
    for words in (("staff", "recover", "ada@company.example"), ("serve",)):
        refused = fresh.run(*words, POSTERN_MASTER_KEY_FILE=str(file))
        assert refused.returncode == 3 and "is not this database's" in refused.stderr, refused.stderr
    found = fresh.run("doctor", POSTERN_MASTER_KEY_FILE=str(file))
    assert found.returncode != 0 and re.search(r"problem\s+master_key\s", found.stdout), found.stdout
    assert not re.search(r"problem\s+master_key\s", fresh.run("doctor").stdout)
    fresh.start()
    with Window(chromium, fresh) as window:
        page = window.page
        assert httpx.get(link).status_code == 404
        window.go("/signin")
        page.get_by_label("Work e-mail").fill(ada["email"])
        page.get_by_label("Password", exact=True).fill(ada["password"])
        page.get_by_role("button", name="Continue").click()
        window.heading("Enter your code")
        page.get_by_label("Code from your authenticator").fill(fresh.apps[ada["email"]].next())
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.locator("main")).to_contain_text("Your account is about to be recovered from the server")
        # The heading says no more than it knows: something does wait.
        window.heading("^No request waits for your signature$")
        window.audit("home with a recovery that waits")
        window.shot("staff-recovery")
        page.get_by_role("link", name="Cancel recovery…").click()
        window.heading("Cancel the recovery of ")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        page.get_by_role("button", name=re.compile("^Cancel")).click()
        window.done("Cancel recovery")
        window.go("/")
        expect(page.locator("main")).not_to_contain_text("is about to be recovered")
    assert fresh.run("staff", "recover", "ada@company.example").returncode == 0
    assert fresh.run("verify").returncode == 0
