"""Workers of the servers in the browser and over the API: whoever is on call has one start anew."""
import re

import postern
import pytest
from browser import PHONE, Window
from playwright.sync_api import expect

WORKERS = {"sequencer", "chores", "integrity", "outbox"}


def test_a_worker_starts_anew_and_the_server_says_so(own_server):
    own_server.settings["POSTERN_LOG_LEVEL"] = "info"
    server = own_server.start()
    oncall = server.sign_in(server.person("engineering_oncall"))
    listed = oncall.get("workers").json()["items"]
    assert {item["id"] for item in listed} == WORKERS and all(item["title"] and item["summary"] for item in listed)

    def said(words):
        return server.log(10**8).count(words)

    taken, given, swept = "the chores are taken up", "the chores are given up", "a sweep of governed rows begins"
    postern.wait_until(lambda: said(taken) and said(swept), 30, "the chores and the sweep to begin")
    counts = {words: said(words) for words in (taken, given, swept)}
    before = said("a worker starts anew")
    for worker in sorted(WORKERS):
        told = oncall.operate(f"workers/{worker}/restart", justification="It has stood still since noon.")
        assert told.status_code == 200, told.text
        assert not told.json().get("undo")
    postern.wait_until(lambda: said("a worker starts anew") == before + len(WORKERS), 10, "the server to hear of all")
    # The next sweep would come in an hour.
    for words, count in counts.items():
        postern.wait_until(lambda: said(words) > count, 20, f"the server to say that {words}")
    # It leads again, and what happens goes on into the log.
    reader = server.sign_in(server.person("security"))
    done = oncall.operate("workers/outbox/restart", justification="Once more, for the log.")
    assert done.status_code == 200, done.text
    postern.wait_until(lambda: reader.get(f"audit-events/{done.json()['event_id']}/receipt").status_code == 200, 20,
                       "what happened to be in the log")
    postern.wait_until(server.ready, 10, "the server to be ready")
    assert server.run("verify").returncode == 0
    assert reader.get("workers/chores").json()["restarted_at"]
    denied = reader.operate("workers/chores/restart", justification="I may not do this.")
    assert denied.status_code == 403 and denied.json()["required_permission"] == "worker.restart"
    assert server.sign_in(server.person("support_l1")).get("workers").status_code == 403


@pytest.mark.only("sqlite")
def test_workers_in_the_browser(chromium, server):
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("engineering_oncall"), path="/settings")
        page.get_by_role("link", name="Workers", exact=True).click()
        page.wait_for_url(server.url + "/workers")
        window.heading("Settings")
        window.audit("workers")
        page.get_by_role("link", name="Restart Chores…").click()
        window.heading("^Restart Chores$")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.locator("main")).to_contain_text("Chores starts anew within a few seconds.")
        window.audit("restarting a worker")
        page.get_by_role("button", name=re.compile("^Restart Chores")).click()
        window.done("Restart Chores")
    with Window(chromium, server, viewport=PHONE, scheme="dark") as window:
        window.sign_in(server.person("security"), path="/workers")
        window.audit("workers on a phone, in the dark")
        expect(window.page.get_by_role("link", name=re.compile("^Restart "))).to_have_count(0)
