"""The settings of a deployment in the browser, over the API and on the command line, and the styleguide of the demo."""
import json
import os
import re
import sqlite3
import subprocess

import postern
import pytest
from browser import DESK, OF_COLOURS, OF_SIZE, PHONE, Window
from playwright.sync_api import expect

SECTIONS = ["", "/colours", "/words", "/states", "/buttons", "/fields", "/lists", "/records", "/layout", "/operation", "/outcomes"]


def test_a_setting_is_changed_seen_by_the_next_request_and_taken_back(server, people):
    admin = people("super_admin")
    listed = admin.get("settings")
    assert listed.status_code == 200
    shipped = {item["id"]: item["value"] for item in listed.json()["items"]}
    assert shipped == {"undo_hours": 24, "session_hours": 8, "idle_minutes": 30, "step_up_minutes": 5}
    assert admin.get("settings?limit=1").json()["next_cursor"]

    # What lies outside says what lies within.
    refused = admin.post("/api/v1/settings/session_hours/change",
                         json={"input": {"value": 9}, "justification": "Longer than it may ever be."})
    assert refused.status_code == 422 and refused.json()["errors"][0]["pointer"] == "/input/value"
    assert "from 1 to 8 hours" in refused.json()["errors"][0]["detail"]

    changed = admin.post("/api/v1/settings/undo_hours/change",
                         json={"input": {"value": 48}, "justification": "Support works in two shifts."})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["before"]["value"], changed.json()["after"]["value"]) == (24, 48)
    try:
        tenant = admin.get("tenants?status=active&limit=1").json()["items"][0]
        preview = admin.post(f"/api/v1/tenants/{tenant['id']}/suspend?dry_run=true", key=None, json={
            "input": {}, "reason_code": "non_payment", "justification": "Only to see how long."})
        assert "48 hours" in preview.json()["reversibility"], preview.json()
        # Somebody who only reads may not change, and is told what is missing.
        reader = people("security")
        assert reader.get("settings/undo_hours").json()["value"] == 48
        denied = reader.post("/api/v1/settings/undo_hours/change",
                             json={"input": {"value": 1}, "justification": "I may not do this."})
        assert denied.status_code == 403 and denied.json()["required_permission"] == "setting.change"
        assert people("support_l1").get("settings").status_code == 403
    finally:
        undone = admin.post(f"/api/v1/audit-events/{changed.json()['event_id']}/undo",
                            json={"justification": "It was only tried."})
        assert undone.status_code == 200, undone.text
    assert admin.get("settings/undo_hours").json()["value"] == 24


@pytest.mark.only("postgres")
def test_a_shorter_session_ends_one_that_is_older(own_server):
    server = own_server.start()
    admin, other = server.sign_in(server.person("super_admin")), server.sign_in(server.person("security"))
    # A factor may be at most a minute old now: the session that signed in just now still has one that is.
    assert admin.post("/api/v1/settings/step_up_minutes/change",
                      json={"input": {"value": 1}, "justification": "An audit asked for it."}).status_code == 200
    assert other.get("settings/step_up_minutes").json()["value"] == 1
    assert admin.post("/api/v1/settings/idle_minutes/change",
                      json={"input": {"value": 5}, "justification": "An audit asked for it."}).status_code == 200
    server.stop()
    # Nobody was there for longer than that.
    db = sqlite3.connect(server.data / "postern.db") if server.database.kind == "sqlite" else server.database.connect()
    db.execute("UPDATE sessions SET last_seen_at = last_seen_at - 360000000")
    db.commit()
    db.close()
    server.start()
    assert other.get("settings").status_code == 401
    for person in (admin, other):
        person.close()


def test_what_the_installation_says_is_what_the_doctor_says(sqlite_server):
    admin = sqlite_server.sign_in(sqlite_server.person("super_admin", 1))
    report = admin.get("installation").json()
    assert report["environment"] == "demo" and report["database"]["engine"].startswith("SQLite ")
    assert report["database"]["bytes"] > 100_000 and report["log"]["size"] > 0
    doctor = sqlite_server.run("doctor", "--json")
    said = {finding["about"]: finding["detail"] for finding in json.loads(doctor.stdout)["findings"]}
    for entry in report["configuration"]:
        if entry["value"] is not None:
            origin = "default" if entry["origin"] == "default" else f"from {entry['origin']}"
            assert said[entry["key"]] == f"{entry['value']} ({origin})"
        else:
            assert entry["key"] not in said
    for key in report["keys"]:
        assert key["fingerprint"] in said["keys"]
    text = admin.get("installation").text
    for name in ("log.key", "master.key", "pepper.key"):
        secret = (sqlite_server.data / "keys" / name).read_text().strip().splitlines()[-1]
        assert secret not in text and len(secret) > 20
    admin.close()


def test_settings_in_the_browser(chromium, sqlite_server):
    person = sqlite_server.person("super_admin")
    with Window(chromium, sqlite_server) as window:
        page = window.page
        window.sign_in(person, path="/settings")
        window.heading("^Settings$")
        window.shot("settings")
        page.get_by_role("link", name="This installation").click()
        expect(page.get_by_role("region", name="Log and keys")).to_be_visible()
        page.get_by_role("link", name="Configuration").click()
        expect(page.locator("main")).to_contain_text("POSTERN_STAFF_PORT")
        window.go("/settings")
        page.get_by_role("link", name="Change Undo window…").click()
        window.heading("Change Undo window")
        page.get_by_label("Value").fill("500")
        page.get_by_label("Justification").fill("Support works in two shifts.")
        page.get_by_role("button", name="Preview").click()
        expect(page.get_by_label("Value")).to_have_attribute("aria-invalid", "true")
        page.get_by_label("Value").fill("36")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.get_by_role("region", name="Preview")).to_contain_text("36 hours instead of 24 hours")
        window.audit("preview of a setting")
        page.get_by_role("button", name=re.compile("^Change ")).click()
        window.done("Change Undo window")
        page.get_by_role("link", name=re.compile("^Undo")).first.click()
        page.get_by_label("Justification").fill("It was only tried, for this picture.")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        page.get_by_role("button", name=re.compile("^Change ")).click()
        window.done("Change Undo window")
    with Window(chromium, sqlite_server, viewport=PHONE, scheme="dark") as window:
        window.sign_in(sqlite_server.person("security"), path="/settings")
        for path in ("/settings", "/settings/undo_hours", "/installation", "/installation/configuration"):
            window.go(path)
            window.audit(f"{path} on a phone")
            expect(window.page.get_by_role("link", name=re.compile("^Change"))).to_have_count(0)


def test_the_styleguide_shows_every_component(chromium, sqlite_server):
    with Window(chromium, sqlite_server) as window:
        def look(what, **more):
            # What hangs on the colours and on what is shown at this size.
            window.audit(what, **more)
            window.dress("dark", PHONE)
            window.audit(what, rules=OF_COLOURS + OF_SIZE, **more)
            window.dress("light", DESK)

        window.sign_in(sqlite_server.person("support_l1"), path="/styleguide")
        for section in SECTIONS:
            window.go(f"/styleguide{section}")
            assert len(window.page.content()) < 60_000, section
            look(f"styleguide{section}", headings=None)
            if section in ("", "/states"):
                window.shot("styleguide" + section.replace("/", "-"))
        for query in ("environment=production", "environment=staging", "environment=production&red=true"):
            window.go(f"/styleguide/frame?{query}")
            look(query)
        for step in ("signin", "provider", "leaving", "code", "link", "recovery", "enrolment", "codes", "stepup", "farewell", "ask",
                     "device", "letin"):
            window.go(f"/styleguide/door?step={step}")
            look(f"door {step}", headings=None)
        assert window.go("/styleguide/fields?theme=dark").locator("html").get_attribute("data-theme") == "dark"


def test_bash_completes_what_this_program_can(tmp_path):
    script = subprocess.run([postern.BINARY, "completion", "bash"], capture_output=True, text=True, check=True, timeout=60)
    (tmp_path / "completion").write_text(script.stdout)
    ask = 'source "$1"; shift; COMP_WORDS=(postern "$@"); COMP_CWORD=$#; _postern; printf "%s\\n" "${COMPREPLY[@]}"'

    def offered(*words):
        done = subprocess.run(["bash", "--norc", "-c", ask, "bash", tmp_path / "completion", *words], cwd=tmp_path,
                              capture_output=True, text=True, check=True, timeout=30)
        assert done.stderr == ""
        return done.stdout.split()

    assert offered("sett") == ["setting"] and offered("setting", "c") == ["change"]
    assert "--justification" in offered("setting", "change", "undo_hours", "--")
    assert offered("tenant", "suspend", "acme", "--reason-code", "non") == ["non_payment"]
    assert offered("import", "csv", "compl") == ["completion"]
    for shell in ("zsh", "fish"):
        done = subprocess.run([postern.BINARY, "completion", shell], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "undo_hours" not in done.stdout and "justification" in done.stdout
    wrong = subprocess.run([postern.BINARY, "completion", "tcsh"], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 2 and "bash" in wrong.stderr
    assert os.path.getsize(tmp_path / "completion") < 120_000
