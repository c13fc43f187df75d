"""Access reviews: as whoever starts one, as a reviewer, as somebody who is reviewed, and as somebody who must be refused; over the
API, on the command line and in the browser; with evidence that is checked without the server."""
import base64
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import checker
import httpx
import postern
import pytest
from browser import OF_COLOURS, PHONE, Window
from playwright.sync_api import expect
from test_staff import cast, staff, until  # noqa: F401
from test_setup import Terminal  # noqa: F401

SMALL = {"width": 380, "height": 800}


@pytest.fixture
def ruth(cast):  # noqa: F811
    """Somebody from compliance."""
    server = cast[0]
    person = server.sign_in(server.person("compliance"))
    yield person
    person.close()


def start(person, **input):
    answer = person.operate("access-reviews", None, "Quarterly look at who may do what.", input)
    assert answer.status_code == 201, answer.text
    review = answer.headers["Location"].rsplit("/", 1)[-1]
    assert answer.json()["after"]["id"] == review
    return review


def items(person, review, **query):
    answer = person.get(f"access-reviews/{review}/items", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def decide(person, item, verb, code, why="Looked at their work of the last quarter.", **more):
    return person.operate(f"access-review-items/{item['id']}/{verb}", code, why, **more)


def log_key(server):
    return httpx.get(server.auditor_url + "/log/key").text.strip()


@pytest.mark.only("sqlite")
def test_a_review_from_start_to_evidence(cast, ruth, tmp_path):  # noqa: F811
    server, jonas, hana, samir = cast
    mira = server.sign_in(server.person("support_l2"))
    # Somebody who must be refused, everywhere.
    for path in ("access-reviews", "access-review-plans", "compliance-exceptions"):
        assert mira.get(path).status_code == 403
    assert mira.operate("access-reviews", None, "I would like to.").status_code == 403

    # Whoever starts it: a preview, then the list.
    preview = ruth.operate("access-reviews?dry_run=true", None, None, key=None).json()
    assert preview["allowed"] and len(preview["also"]) == 3
    review = start(ruth, due_at=until(days=9))
    shown = ruth.get(f"access-reviews/{review}").json()
    assert shown["state"] == "open" and shown["progress"] == {"total": 3, "open": 3, "kept": 0, "revoked": 0, "ended": 0}
    listed = items(ruth, review)
    assert [(one["role"], one["name"]) for one in listed] == [
        ("security", "Samir B."), ("super_admin", "Hana L."), ("super_admin", "Jonas W.")]
    by_name = {one["name"].split()[0]: one for one in listed}
    hanas, jonass, samirs = by_name["Hana"], by_name["Jonas"], by_name["Samir"]
    assert all(one["reviewer"] != one["staff_id"] and one["is_live"] for one in listed)
    assert mira.get(f"access-reviews/{review}/items").status_code == 403
    assert mira.get(f"access-reviews/{review}/evidence").status_code == 403
    assert decide(mira, samirs, "keep", "needed").status_code == 403

    # Nobody decides on their own; a reason is needed; somebody else may.
    own = decide(hana, hanas, "keep", "needed")
    assert own.status_code == 409 and "Nobody decides on their own" in own.json()["detail"]
    bare = decide(samir, hanas, "keep", "needed", why="")
    assert bare.status_code == 422 and bare.json()["errors"][0]["pointer"] == "/justification"
    unknown = decide(samir, hanas, "keep", "because")
    assert unknown.status_code == 422 and unknown.json()["errors"][0]["pointer"] == "/reason_code"
    kept = decide(samir, hanas, "keep", "needed", headers={"If-Match": f'"{hanas["version"]}"'})
    assert kept.status_code == 200 and kept.json()["after"]["state"] == "kept", kept.text
    # A second reviewer who looked at the same page.
    late = decide(jonas, hanas, "keep", "needed", headers={"If-Match": f'"{hanas["version"]}"'})
    assert late.status_code == 412
    # Hana was kept by Samir, so somebody else decides on his.
    pair = decide(hana, samirs, "keep", "needed")
    assert pair.status_code == 409 and "kept a grant of yours" in pair.json()["detail"]
    early = ruth.operate(f"access-reviews/{review}/close", None, "All done.")
    assert early.status_code == 409 and "2 of 3 grants are not decided" in early.json()["detail"]

    # Revoked: the reviewed person's very next request is without the role.
    assert jonas.get("settings").status_code == 200
    gone = decide(ruth, jonass, "revoke", "moved", "Leads the sales engineers since October.")
    assert gone.status_code == 200, gone.text
    assert jonas.get("settings").status_code == 403
    last = decide(ruth, hanas, "revoke", "moved")
    assert last.status_code == 409 and "last super admin" in last.json()["detail"]
    assert decide(ruth, samirs, "keep", "needed").status_code == 200
    assert [one["name"] for one in items(ruth, review, state="revoked")] == [jonass["name"]]
    assert items(ruth, review, state="revoked")[0]["reason"] == "Leads the sales engineers since October."
    assert len(items(ruth, review, reviewer="me")) >= 2
    closed = ruth.operate(f"access-reviews/{review}/close", None, "Every grant was looked at.")
    assert closed.status_code == 200 and closed.json()["after"]["state"] == "closed"

    # Evidence: by this program, by the independent one, and receipt by receipt.
    answer = ruth.get(f"access-reviews/{review}/evidence")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/x-tar"

    def ended():
        return [one["id"] for one in ruth.get("audit-events?action=export.end&limit=100").json()["items"]]

    # Nothing leaves for HEAD, so no export is recorded.
    before = ended()
    head = ruth.http.head(f"/api/v1/access-reviews/{review}/evidence")
    assert head.status_code == 200 and head.headers["content-disposition"] == answer.headers["content-disposition"]
    assert before and ended() == before
    package = tmp_path / "review.tar"
    package.write_bytes(answer.content)
    key = log_key(server)
    mine = server.run("verify", "evidence", str(package), "--key", key)
    assert mine.returncode == 0 and "Everything holds." in mine.stdout, mine.stdout + mine.stderr
    assert "Leads the sales engineers since October." in mine.stdout and "CC6.2, CC6.3" in mine.stdout
    script = Path(__file__).with_name("verify_evidence.py")

    def independent(path, trusted=key):
        return subprocess.run([sys.executable, script, path, trusted], capture_output=True, text=True)

    other = independent(package)
    assert other.returncode == 0 and f"valid: {review}" in other.stdout, other.stderr
    folder = tmp_path / "unpacked"
    with tarfile.open(package) as archive:
        archive.extractall(folder, filter="data")
    receipts = sorted(os.listdir(folder / "receipts"))
    assert len(receipts) == 5
    for name in receipts:
        checked = server.run("verify", "--receipt", str(folder / "receipts" / name), "--key", key)
        assert checked.returncode == 0, checked.stdout
        assert "actor_ip" not in json.loads((folder / "receipts" / name).read_text())["sealed"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert [one["id"] for one in manifest["controls"]] == ["CC6.2", "CC6.3"] and manifest["produced_by"] == ruth.id

    # One byte, or one event kept back, is found by both.
    def forge(change):
        path = tmp_path / "forged.tar"
        with tarfile.open(package) as source, tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as target:
            for member in source:
                data = change(member.name, source.extractfile(member).read())
                if data is not None:
                    member.size = len(data)
                    target.addfile(member, io.BytesIO(data))
        return path

    for change in (
        lambda name, data: data.replace(b"October", b"Octobre") if name == "rows.json" else data,
        lambda name, data: None if name == f"receipts/{receipts[2]}" else data,
        lambda name, data: data.replace(b'"keep"', b'"kept"') if name == "manifest.json" else data + b" ",
    ):
        path = forge(change)
        found = server.run("verify", "evidence", str(path), "--key", key)
        assert found.returncode == 10, found.stdout
        assert independent(path).returncode == 1

    # Nor is the decision that came last left out, with everything else in order: the event that closed it commits to all rows.
    def leaf(receipt):
        return json.loads(base64.b64decode(receipt["leaf"]))

    found = {name: json.loads((folder / "receipts" / name).read_text()) for name in receipts}
    (revoked,) = [name for name, one in found.items() if leaf(one)["action"] == "access_review_item.revoke"]
    (started,) = [one for one in found.values() if leaf(one)["action"] == "access_review.start"]
    (place,) = [n for n, change in enumerate(leaf(started)["changes"]) if change["id"] == jonass["id"]]
    rows = json.loads((folder / "rows.json").read_text())
    (row,) = [one for one in rows["rows"] if one["id"] == jonass["id"]]
    row |= {"document": started["sealed"][f"changes.{place}.after"]["value"], "event": leaf(started)["id"]}
    del row["reason"]
    told = json.dumps(rows).encode()
    artefacts = [one for one in manifest["artefacts"] if one["path"] != f"receipts/{revoked}"]
    (named,) = [one for one in artefacts if one["path"] == "rows.json"]
    named |= {"sha256": hashlib.sha256(told).hexdigest(), "size_bytes": len(told)}
    contents = json.dumps(manifest | {"artefacts": artefacts}).encode()
    path = forge(lambda name, data: {"rows.json": told, "manifest.json": contents, f"receipts/{revoked}": None}.get(name, data))
    missed = server.run("verify", "evidence", str(path), "--key", key)
    assert missed.returncode == 10 and "an event is missing" in missed.stdout + missed.stderr, missed.stdout
    other = independent(path)
    assert other.returncode == 1 and "an event is missing" in other.stderr, other.stderr
    assert server.run("verify", "evidence", str(tmp_path / "none.tar"), "--key", key).returncode == 2
    assert server.run("verify", "evidence", str(package)).returncode == 2

    # The export is in the log, and the log and the tables agree.
    actions = {one["action"] for one in hana.get("audit-events?limit=100").json()["items"]}
    assert {"access_review.export", "export.end", "access_review_item.revoke"} <= actions
    assert server.run("verify").returncode == 0
    with checker.Database.of(server) as database:
        assert checker.Checker(database).run() == []
    mira.close()


@pytest.mark.only("postgres")
def test_overdue_by_the_clock_of_the_server(cast, ruth):  # noqa: F811
    server, jonas, hana, samir = cast
    review = start(ruth, due_at=until(seconds=5))
    postern.wait_until(lambda: ruth.get(f"access-reviews/{review}").json()["exception_id"], 60, "the escalation")
    found = ruth.get("compliance-exceptions").json()["items"]
    assert len(found) == 1 and found[0]["source_id"] == review and found[0]["status"] == "open"
    assert found[0]["control_id"] == "CC6.3" and found[0]["severity"] == "high" and found[0]["owner"] == ruth.id
    # Cancelling takes two.
    asked = ruth.operate(f"access-reviews/{review}/cancel", "mistake", "Started only to see what happens.")
    assert asked.status_code == 202, asked.text
    agreed = samir.operate(f"approvals/{asked.json()['approval_id']}/approve", None, "Looked at it with care.")
    assert agreed.status_code == 200 and agreed.json()["execution"]["state"] == "executed", agreed.text
    assert ruth.get("compliance-exceptions").json()["items"] == []
    assert ruth.get("compliance-exceptions?view=closed").json()["items"][0]["status"] == "accepted"
    changed = ruth.operate("access-review-plans/standing/change", None, "Every month until the audit.",
                           {"every": "month", "days_until_due": 7})
    assert changed.status_code == 200 and changed.json()["undo"]["operation"] == "access_review_plan.change"
    assert ruth.get("access-review-plans").json()["items"][0]["cadence"] == "month"


@pytest.mark.only("sqlite")
def test_on_the_command_line(cast, ruth, tmp_path):  # noqa: F811
    server, jonas, hana, samir = cast
    server.apps = {server.person("security")["email"]: server.authenticator(server.person("security"))}
    terminal = Terminal(server, tmp_path).login(server.person("security"))
    started = terminal.run("access-review", "start", "--roles", "super_admin", "--reviewers",
                           server.person("security")["email"], "--yes", "--json")
    assert started.returncode == 0, started.stderr
    review = json.loads(started.stdout)["after"]["id"]
    listed = terminal.run("access-review", "items", review, "--state", "open")
    assert "Hana L." in listed.stdout and "Jonas W." in listed.stdout, listed.stdout
    ids = re.findall(r"rvi_[0-9A-Z]{26}", listed.stdout)
    missing = terminal.run("access-review-item", "keep", ids[0], "--yes")
    assert missing.returncode == 2 and "--reason-code is required" in missing.stderr
    words = ("--reason-code", "needed", "--justification", "Runs the platform, on call.", "--yes")
    for one in ids:
        kept = terminal.run("access-review-item", "keep", one, *words)
        assert kept.returncode == 0, kept.stderr
    twice = terminal.run("access-review-item", "keep", ids[0], *words)
    assert twice.returncode != 0 and "kept already" in twice.stderr, twice.stderr
    closed = terminal.run("access-review", "close", review, "--justification", "Both were looked at.", "--yes")
    assert closed.returncode == 0, closed.stderr
    assert "2 of 2" in terminal.run("access-review", "list", "--state", "closed").stdout
    out = tmp_path / "evidence.tar"
    fetched = terminal.run("access-review", "evidence", review, "--out", str(out))
    assert fetched.returncode == 0, fetched.stderr
    assert server.run("verify", "evidence", str(out), "--key", log_key(server)).returncode == 0
    dormant = terminal.run("staff", "list", "--show", "dormant", "--days", "1")
    assert dormant.returncode == 0, dormant.stderr


@pytest.mark.only("sqlite")
def test_what_changed_since_several_were_shown_is_not_done(chromium, cast, ruth):  # noqa: F811
    server = cast[0]
    review = start(ruth, roles=["billing_ops", "support_l2"], due_at=until(days=9))
    with Window(chromium, server, script=False) as window:
        page = window.page
        window.sign_in(server.person("security"))
        window.go(f"/access-reviews/{review}?state=open")
        boxes = page.locator("tbody input[type=checkbox]")
        first, second = (boxes.nth(number).get_attribute("value") for number in (0, 1))
        boxes.nth(0).check()
        boxes.nth(1).check()
        page.get_by_role("button", name="Revoke…", exact=True).click()
        window.heading("Revoke 2 grants")
        # Somebody keeps one of them meanwhile, which could still be revoked: by whoever knows that.
        shown = {one["id"]: one for one in items(ruth, review)}
        kept = decide(ruth, shown[first], "keep", "needed")
        assert kept.status_code == 200, kept.text
        page.get_by_label("Reason").select_option("unused")
        page.get_by_label("Justification").fill("Neither was used within two quarters.")
        page.get_by_role("button", name="Revoke 2 grants").click()
        window.heading("Revoke 2 grants: 1 of 2 done")
        expect(page.locator("main")).to_contain_text("It changed since it was shown")
    states = {one["id"]: one["state"] for one in items(ruth, review)}
    assert (states[first], states[second]) == ("kept", "revoked"), states
    assert decide(ruth, {"id": first}, "revoke", "unused").status_code == 200


@pytest.mark.only("sqlite")
def test_in_the_browser(chromium, cast, ruth):  # noqa: F811
    server, jonas, hana, samir = cast
    tomas = staff(jonas, "tomas.v")
    review = start(ruth, roles=["super_admin", "security", "billing_ops", "support_l2"], due_at=until(days=9))
    # Without script: several at once, one by itself, what is one's own, and the reason at its field.
    with Window(chromium, server, script=False) as window:
        page = window.page
        window.sign_in(server.person("security"))
        expect(page.locator("main")).to_contain_text("Reviews you owe")
        page.get_by_role("link", name=re.compile("^Access of")).first.click()
        window.heading("Access review of ")
        window.go(f"/access-reviews/{review}")
        expect(page.locator("main")).to_contain_text("yours: others decide")
        boxes = page.locator("tbody input[type=checkbox]")
        count = boxes.count()
        assert count == page.locator("tbody tr").count() - 1
        boxes.nth(0).check()
        boxes.nth(1).check()
        page.get_by_role("button", name="Keep…").click()
        window.heading("Keep 2 grants")
        page.get_by_role("button", name="Keep 2 grants").click()
        expect(page.locator("main")).to_contain_text("fields need another look")
        page.get_by_label("Reason").select_option("needed")
        page.get_by_label("Justification").fill("Both are on the rota of this quarter.")
        page.get_by_role("button", name="Keep 2 grants").click()
        window.heading("Keep 2 grants: 2 of 2 done")
        page.get_by_role("link", name="Back").first.click()
        window.heading("Access review of ")
        page.get_by_role("link", name="Kept").click()
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page.locator("main")).to_contain_text("Both are on the rota of this quarter.")
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("compliance"), path=f"/access-reviews/{review}")
        window.heading("Access review of ")
        window.audit("an access review")
        window.shot("access-review")
        page.get_by_role("link", name=re.compile("^Revoke Billing operations of")).first.click()
        window.heading("Revoke grant")
        page.get_by_label("Reason").select_option("unused")
        page.get_by_label("Justification").fill("No refund in two quarters, and not on the rota.")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        window.audit("revoking in a review")
        page.get_by_role("button", name=re.compile("^Revoke grant")).click()
        page.wait_for_url(re.compile(r"/done/"))
        window.go(f"/access-reviews/{review}?state=open")
        # One alone has its own form.
        page.locator("tbody input[type=checkbox]").first.check()
        page.get_by_role("button", name="Revoke…", exact=True).click()
        window.heading("^Revoke grant")
        assert re.fullmatch(r"/access-review-items/\w+/revoke", window.path), window.path
        window.go(f"/access-reviews/{review}?state=open")
        page.locator("tbody input[type=checkbox]").nth(0).check()
        page.locator("tbody input[type=checkbox]").nth(1).check()
        window.audit("ticked rows")
        page.get_by_role("button", name="Revoke…", exact=True).click()
        window.heading("Revoke 2 grants")
        expect(page.locator("main")).to_contain_text("Takes away the roles these grants give")
        expect(page.get_by_role("region", name="Preview")).to_contain_text("Grant the role again")
        window.audit("revoking several")
        window.shot("access-review-several")
        page.get_by_role("link", name="Cancel").click()
        for path, heading in (("/access-reviews", "Access reviews"), (f"/access-reviews/{review}/report", "Result of "),
                              ("/access-reviews/new", "Start access review"), ("/compliance-exceptions", "Compliance exceptions"),
                              (f"/access-reviews/{review}/reassign", "Reassign"),
                              ("/access-review-plans/standing/change", "Change the schedule"),
                              ("/staff-report", "People report"), ("/staff-report?days=1", "People report"),
                              ("/staff-report?days=x", "People report")):
            window.go(path)
            window.heading(heading)
            window.audit(path)
        window.go("/access-reviews")
        window.shot("access-reviews")
        window.go("/staff-report?days=1")
        window.shot("staff-report")
        with page.expect_download() as download:
            window.go(f"/access-reviews/{review}")
            page.get_by_role("link", name="Evidence").click()
        assert download.value.suggested_filename == f"{review}.evidence.tar"
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("super_admin"), path=f"/staff/{tomas}")
        window.heading("Tomas V.")
        page.get_by_role("link", name="Compare roles…").click()
        window.heading("Compare roles: Tomas V.")
        page.get_by_label("Billing operations").check()
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("main")).to_contain_text("These roles may not be held by one person")
        window.audit("roles that are kept apart, compared")
        page.get_by_label("Support L1").uncheck()
        page.get_by_role("button", name="Compare").click()
        expect(page.locator("main")).to_contain_text("Rights before and after")
        expect(page.get_by_role("link", name="Go on to the change…")).to_be_in_viewport()
        window.audit("roles compared")
        window.shot("staff-move")
        page.get_by_role("link", name="Go on to the change…").click()
        window.heading("Change roles")
        expect(page.get_by_label("Billing operations").first).to_be_checked()
    # The person who must be refused has no menu item, and the page says why.
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("support_l1"))
        expect(page.get_by_role("link", name="Access reviews")).to_have_count(0)
        window.go(f"/access-reviews/{review}")
        expect(page.locator("main")).to_contain_text("access_review.view")
    with Window(chromium, server, viewport=SMALL) as window:
        def look(what):
            window.dress("dark", PHONE)
            window.audit(what, rules=OF_COLOURS)
            window.dress("light", SMALL)
            window.audit(what)

        window.sign_in(server.person("compliance"), path=f"/access-reviews/{review}")
        window.heading("Access review of ")
        look("an access review on a phone")
        # What decides is in sight without scrolling sideways, and the filters open.
        assert window.page.locator(".table--cards").evaluate(
            "table => table.parentElement.scrollWidth <= table.parentElement.clientWidth")
        for verb in ("Keep", "Revoke"):
            box = window.page.get_by_role("link", name=re.compile(f"^{verb} .* of ")).last.bounding_box()
            assert 0 <= box["x"] and box["x"] + box["width"] <= SMALL["width"], (verb, box)
        window.dress("dark", PHONE)
        window.shot("access-review-phone")
        window.dress("light", SMALL)
        expect(window.page.locator("#r-reviewer")).to_be_hidden()
        window.page.get_by_role("link", name="Filters").click()
        expect(window.page.locator("#r-reviewer")).to_be_visible()
        for path in ("/access-reviews", f"/access-reviews/{review}/report", "/staff-report", "/staff", "/compliance-exceptions"):
            window.go(path)
            look(f"{path} on a phone")


def test_whoever_leaves_is_refused_by_every_server(admin_url, tmp_path):
    database = postern.PostgresDatabase(admin_url)
    first = postern.Server(tmp_path / "first", database)
    second = None
    try:
        first.start()
        second = postern.beside(first, tmp_path / "second")
        second.start()
        jonas = first.sign_in(first.person("super_admin"))
        there = second.sign_in(first.person("security"))
        ruth = first.sign_in(first.person("compliance"))
        review = start(ruth, reviewers=[there.id, ruth.id])
        assert there.get("audit-events").status_code == 200
        left = jonas.operate(f"staff/{there.id}/deactivate", "left", "Leaves the company today.", None)
        assert left.status_code == 200, left.text
        # The very next request, on the other server, with the session it knows.
        assert there.get("audit-events").status_code == 401
        assert there.operate("access-reviews", None, "One more, quickly.").status_code == 401
        shown = ruth.get(f"access-reviews/{review}").json()
        assert shown["reviewers"] == [ruth.id]
        assert all(one["reviewer"] in (ruth.id, None) for one in items(ruth, review, state="open"))
        assert first.run("verify").returncode == 0
        for person in (jonas, there, ruth):
            person.close()
    finally:
        if second:
            second.kill()
        first.kill()
        database.drop()
