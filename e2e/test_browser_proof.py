"""A receipt checked by the browser itself: what holds, and each way it can be wrong."""
import base64
import contextlib
import json
import re

import browser as chrome
import postern
import pytest
from browser import Window
from playwright.sync_api import expect, sync_playwright


@pytest.fixture(scope="module")
def window(sqlite_server):
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chrome.CHROMIUM, headless=True,
                                              args=["--no-sandbox", "--disable-dev-shm-usage"])
        with Window(chromium, sqlite_server) as window:
            window.sign_in(sqlite_server.person("super_admin"))
            yield window
        chromium.close()


@pytest.fixture(scope="module")
def event(sqlite_server):
    with contextlib.closing(sqlite_server.sign_in(sqlite_server.person("super_admin"))) as admin:
        answer = admin.suspend(admin.active_tenant()["id"], justification="Unpaid: Zoë, „drei“ \u2028 and 𝄞 \\ \" \t.")
        assert answer.status_code == 200, answer.text
        return answer.json()["event_id"]


@contextlib.contextmanager
def answering(page, path, change):
    """Another answer than the server's."""
    def handle(route):
        answer = route.fetch()
        route.fulfill(response=answer, body=change(answer.text()))
    page.route(path, handle)
    yield
    page.unroute(path)


def check(window, event):
    button = window.page.get_by_role("button", name="Check it in this browser")
    # The log takes an event in within a second.
    postern.wait_until(lambda: (window.go(f"/audit/{event}"), button.is_visible())[1], 10, "the event's place in the log")
    button.click()
    verdict = window.page.locator("[data-verdict]")
    expect(verdict).not_to_have_text(re.compile("^(Checking)?$"))
    return verdict.inner_text()


def receipt(change):
    def changed(text):
        members = json.loads(text)
        change(members)
        return json.dumps(members)
    return changed


def test_a_receipt_holds_and_the_key_is_remembered(window, event):
    said = check(window, event)
    # As many as the event has: one that closes a difference of the registry has more.
    assert said.startswith("Proof holds") and re.search(r", [1-9]\d* sealed values,", said), said
    # Both are counted like the index in the list.
    index, last = map(int, re.search(r"event #(\d+), in the log up to #(\d+),", said).groups())
    assert index <= last, said
    assert "seen for the first time" in said, said
    window.audit("a checked event")
    window.shot("event-checked")
    assert "known since" in check(window, event)


def flip(text):
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(data).decode()


def edit_leaf(members):
    leaf = base64.b64decode(members["leaf"]).replace(b"non_payment", b"abuse______")
    members["leaf"] = base64.b64encode(leaf).decode()


FORGERIES = {
    "an edited event": (edit_leaf, "does not lead"),
    "another place": (lambda m: m.update(index=m["index"] ^ 1), "does not lead"),
    "an edited step": (lambda m: m["proof"].__setitem__(0, flip(m["proof"][0])), "does not lead"),
    "a longer path": (lambda m: m["proof"].extend([m["proof"][0]] * 40), "too long"),
    "a shorter path": (lambda m: m["proof"].pop(), "too short"),
    "an edited value": (lambda m: m["sealed"]["justification"].update(value="They paid."), "the sealed justification"),
    "an edited salt": (lambda m: m["sealed"]["justification"].update(salt=flip(m["sealed"]["justification"]["salt"])),
                       "the sealed justification"),
    "a value of its own": (lambda m: m["sealed"].update(extra=m["sealed"]["justification"]), "the sealed extra"),
    "a checkpoint nobody signed": (lambda m: m.update(checkpoint=re.sub(r"— (\S+) (\S+)", lambda s: f"— {s[1]} {flip(s[2])}",
                                                                     m["checkpoint"])), "signature"),
    "a checkpoint of another size": (lambda m: m.update(size=m["size"] + 1), "different sizes"),
    "a note without a signature": (lambda m: m.update(checkpoint="nothing\n1\nAAAA\n"), "not signed"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_forged_receipt_fails(window, event, what):
    change, reason = FORGERIES[what]
    with answering(window.page, f"**/audit-events/{event}/receipt", receipt(change)):
        said = check(window, event)
    assert said.startswith("Proof fails") and reason in said, said


def test_another_key_is_said(window, event, sqlite_server):
    window.go(f"/audit/{event}")
    window.page.evaluate("""() => { for (const name of Object.keys(localStorage)) if (name.startsWith("log ")) {
        const known = JSON.parse(localStorage[name]); known.key = "another"; localStorage[name] = JSON.stringify(known); } }""")
    assert "not the one this browser knew" in check(window, event)
