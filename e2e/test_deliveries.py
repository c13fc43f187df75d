"""Signed notices to real receivers on loopback: ones that verify, hang, answer slowly, redirect inside, fail half the time, are
gone; and the server killed in mid-delivery."""
import datetime
import http.server
import json
import re
import sqlite3
import threading
import time

import browser as chrome
import postern
import pytest
from browser import Window
from conftest import new_database
from playwright.sync_api import expect, sync_playwright
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
from test_runtime import Product

EVENTS = ["tenant.created", "tenant.updated", "tenant.suspended", "tenant.restored", "tenant.archived"]


class Receiver:
    """Answers each notice with what `answer(id, attempt)` says: a status, or a tuple of status and headers."""

    def __init__(self, answer=lambda id, attempt: 204):
        self.requests = []
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                with receiver.lock:
                    receiver.requests.append((self.path, dict(self.headers), body))
                    id = self.headers["webhook-id"]
                    attempt = sum(headers.get("webhook-id") == id for _, headers, _ in receiver.requests)
                said = answer(id, attempt)
                status, headers = said if isinstance(said, tuple) else (said, {})
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", "0")
                    self.end_headers()
                except OSError:
                    pass  # The server gave up, or was killed.

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def bodies(self, tenant=None):
        found = [json.loads(body) for _, _, body in self.requests]
        return [b for b in found if tenant is None or b.get("subject") == f"tenants/{tenant}"]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = []

    def make(*arguments):
        made.append(Receiver(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def sender(kind, tmp_path, request):
    """A demo that may send to this machine."""
    database = new_database(kind, request)
    server = postern.Server(tmp_path / "own", database, POSTERN_WEBHOOK_ALLOW_PRIVATE="true")
    yield server.start()
    server.kill()
    database.drop()


def subscribe(admin, url, events=EVENTS):
    answer = admin.operate("webhooks", justification="The rest of the stack must hear.", input={
        "url": url, "events": events})
    assert answer.status_code == 201, answer.text
    return answer.json()["after"]["id"], answer.json()["reveal"]["signing_secret"]


def deliveries(person, **query):
    answer = person.get("deliveries", params={"limit": 200, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def settled(person, webhook, count, seconds=20):
    """Waits until `count` deliveries of an endpoint are delivered."""
    postern.wait_until(lambda: len(deliveries(person, webhook=webhook, state="delivered")) >= count, seconds,
                       f"{count} deliveries to {webhook}")


def verifies(secret, headers, body):
    try:
        Webhook(secret).verify(body, {k.lower(): v for k, v in headers.items()})
        return True
    except WebhookVerificationError:
        return False


def test_a_receiver_verifies_what_it_hears(sender, receiver):
    hears = receiver()
    admin = sender.sign_in(sender.person("super_admin"))
    webhook, secret = subscribe(admin, hears.url("/in?from=postern"))
    tenant = admin.tenant(admin.active_tenant()["id"])
    done = admin.suspend(tenant["id"])
    assert done.status_code == 200, done.text
    settled(admin, webhook, 1)
    path, headers, body = hears.requests[0]
    assert path == "/in?from=postern" and len(body) < 20_000
    assert verifies(secret, headers, body) and not verifies(secret, headers, body + b" ")
    event = json.loads(body)
    assert event["specversion"] == "1.0" and event["type"] == "tenant.suspended"
    assert event["data"]["tenant"] == {
        "id": tenant["id"], "external_id": tenant["external_id"], "status": "suspended",
        "version": done.json()["after"]["version"]}
    assert event["data"]["event_id"] == done.json()["event_id"]
    assert datetime.datetime.fromisoformat(event["time"])
    assert tenant["name"] not in body.decode()

    rotated = admin.operate(f"webhooks/{webhook}/rotate", justification="The old one was in a chat.")
    assert rotated.status_code == 200, rotated.text
    new_secret = rotated.json()["reveal"]["signing_secret"]
    tested = admin.operate(f"webhooks/{webhook}/send-test")
    assert tested.status_code == 200, tested.text
    settled(admin, webhook, 2)
    _, headers, body = hears.requests[1]
    assert json.loads(body)["type"] == "webhook.test"
    assert verifies(secret, headers, body) and verifies(new_secret, headers, body)

    (delivery,) = [d for d in deliveries(admin, webhook=webhook) if d["name"] == "tenant.suspended"]
    assert delivery["id"] == hears.requests[0][1]["webhook-id"]
    replayed = admin.operate(f"deliveries/{delivery['id']}/replay")
    assert replayed.status_code == 200, replayed.text
    postern.wait_until(lambda: len(hears.requests) == 3, 20, "the replay")
    assert hears.requests[2][1]["webhook-id"] == delivery["id"] and hears.requests[2][2] == hears.requests[0][2]
    settled(admin, webhook, 2)

    disabled = admin.operate(f"webhooks/{webhook}/disable", "unused")
    assert disabled.status_code == 200, disabled.text
    admin.restore(tenant["id"])
    time.sleep(2)
    assert len(hears.requests) == 3
    verified = sender.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    admin.close()


@pytest.mark.only("sqlite")
def test_a_receiver_hears_of_people_and_of_their_places_in_tenants(sender, receiver):
    hears = receiver()
    admin = sender.sign_in(sender.person("super_admin"))
    webhook, secret = subscribe(admin, hears.url(), [
        "user.created", "user.updated", "user.invited", "user.joined", "user.role_changed", "user.removed"])
    product = Product(sender)
    answers = product.batch([
        {"type": "tenant", "external_id": "hears-1", "name": "Hears", "slug": "hears-1"},
        {"type": "user", "external_id": "u-hears", "email": "secret.person@hears.example", "name": "Secret Person"},
        {"type": "member", "tenant": "hears-1", "user": "u-hears"},
    ])
    tenant, user, membership = (answer["id"] for answer in answers)
    assert product.put("tenants/hears-1/members/u-hears", {"role": "admin"}).status_code == 200
    assert product.put("users/u-hears", {"name": "Another Name"}).status_code == 200
    assert product.http.delete("tenants/hears-1/members/u-hears").status_code == 204
    settled(admin, webhook, 5)
    assert all(verifies(secret, headers, body) for _, headers, body in hears.requests)
    for _, _, body in hears.requests:
        assert b"Secret" not in body and b"Another" not in body and b"hears.example" not in body and len(body) < 20_000
    events = hears.bodies()
    assert {event["subject"] for event in events} == {f"users/{user}"}
    # Each in its own order: the person's, and the tenant's.
    alone = [event for event in events if "tenant" not in event["data"]]
    assert [(e["type"], e["data"]["user"]["version"], e["data"].get("fields")) for e in alone] == [
        ("user.created", 1, None), ("user.updated", 2, ["name"])]
    places = [event["data"] | {"type": event["type"]} for event in events if "tenant" in event["data"]]
    assert [(e["type"], e["membership"]["version"], e["membership"]["role"]) for e in places] == [
        ("user.joined", 1, "member"), ("user.role_changed", 2, "admin"), ("user.removed", 3, "admin")]
    for event in places:
        assert event["user"] == {"id": user, "external_id": "u-hears"} and event["membership"]["id"] == membership
        assert event["tenant"]["id"] == tenant and event["tenant"]["external_id"] == "hears-1"
    assert places[1]["change"] == {"field": "role", "from": "member", "to": "admin"}
    product.http.close()
    admin.close()


@pytest.mark.only("postgres")
def test_bad_receivers_harm_only_themselves(sender, receiver):
    inner = receiver()
    endings = threading.Event()
    bad = {
        "hangs": receiver(lambda *_: endings.wait(60) and 204),
        "slow": receiver(lambda *_: time.sleep(3) or 204),
        "redirects": receiver(lambda *_: (302, {"location": inner.url("/latest/meta-data")})),
        "half": receiver(lambda _, attempt: 204 if attempt == 2 else 500),
        "gone": receiver(lambda *_: 410),
    }
    good = receiver()
    admin = sender.sign_in(sender.person("super_admin"))
    ids = {name: subscribe(admin, one.url())[0] for name, one in {**bad, "good": good}.items()}
    chosen = [t["id"] for t in admin.tenants(status="active", limit=5)]
    for tenant in chosen:
        assert admin.suspend(tenant).status_code == 200
        assert admin.restore(tenant).status_code == 200
    settled(admin, ids["good"], 10, 15)
    for tenant in chosen:
        assert [b["type"] for b in good.bodies(tenant)] == ["tenant.suspended", "tenant.restored"]
    # Ones that are slow, or fail every second time, get everything in the end, each tenant's in order.
    settled(admin, ids["slow"], 10, 40)
    settled(admin, ids["half"], 10, 60)
    for tenant in chosen:
        assert [b["type"] for b in bad["half"].bodies(tenant)] == [
            "tenant.suspended", "tenant.suspended", "tenant.restored", "tenant.restored"]

    assert inner.requests == [], "a redirect was followed"
    waiting = deliveries(admin, webhook=ids["redirects"], state="pending")
    assert len(waiting) == 10
    notes = [a["note"] for d in waiting for a in admin.get(f"deliveries/{d['id']}").json()["attempts"]]
    assert any("redirect" in note for note in notes if note)

    gone = admin.get(f"webhooks/{ids['gone']}").json()
    assert gone["status"] == "disabled" and gone["disabled_for"] == "gone"
    assert deliveries(admin, webhook=ids["gone"], state="dead")

    # One that hangs is left after 15 seconds; in the meantime each tenant's second notice was not sent.
    assert {b["type"] for b in bad["hangs"].bodies()} == {"tenant.suspended"}
    endings.set()
    seconds, status = sender.stop()
    assert status == 0 and seconds < 6, sender.log()
    admin.close()


@pytest.mark.only("sqlite")
def test_kill_9_in_mid_delivery_loses_nothing(sender, receiver):
    free = threading.Event()
    slow = receiver(lambda *_: free.wait(30) and 204)
    admin = sender.sign_in(sender.person("super_admin"))
    webhook, secret = subscribe(admin, slow.url())
    tenant = admin.active_tenant()["id"]
    assert admin.suspend(tenant).status_code == 200
    assert admin.restore(tenant).status_code == 200
    postern.wait_until(lambda: slow.requests, 10, "the first notice")
    admin.close()
    sender.kill()
    free.set()
    # The dead server's lease runs out after a minute: as if that had passed.
    db = sqlite3.connect(sender.data / "postern.db") if sender.database.kind == "sqlite" else sender.database.connect()
    assert db.execute("UPDATE delivery_lanes SET due_at = due_at - 60000000 WHERE lease IS NOT NULL").rowcount == 1
    db.commit()
    db.close()
    sender.start()
    # It is sent again, and then what waited behind it.
    postern.wait_until(lambda: len(slow.requests) >= 3, 60, "the notice to come again")
    ids = [headers["webhook-id"] for _, headers, _ in slow.requests]
    assert ids[0] == ids[1] and ids[2] != ids[0] and len(ids) == 3
    assert [b["type"] for b in slow.bodies()] == ["tenant.suspended", "tenant.suspended", "tenant.restored"]
    assert all(verifies(secret, headers, body) for _, headers, body in slow.requests[1:])
    again = sender.sign_in(sender.person("super_admin"))
    settled(again, webhook, 2)
    verified = sender.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    again.close()


def test_private_addresses_are_refused_by_default(sqlite_server, receiver):
    inner = receiver()
    admin = sqlite_server.sign_in(sqlite_server.person("super_admin"))
    for url in (inner.url(), f"https://localhost:{inner.port}/", "https://169.254.169.254/latest", "https://[::1]/"):
        webhook, _ = subscribe(admin, url)
        assert admin.operate(f"webhooks/{webhook}/send-test").status_code == 200

        def note():
            items = deliveries(admin, webhook=webhook)
            attempts = items and admin.get(f"deliveries/{items[0]['id']}").json()["attempts"]
            return attempts and attempts[0]["note"]

        said = postern.wait_until(note, 15, "an attempt")
        assert "not a public address" in said or "private addresses" in said, said
        assert admin.operate(f"webhooks/{webhook}/disable", "unused").status_code == 200
    assert inner.requests == []
    admin.close()


def test_a_person_makes_an_endpoint_and_follows_a_notice(tmp_path, receiver):
    answers = {"first": 500}
    hears = receiver(lambda *_: answers.pop("first", 204))
    server = postern.Server(tmp_path / "own", POSTERN_WEBHOOK_ALLOW_PRIVATE="true")
    try:
        server.start()
        person = server.person("super_admin")
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=chrome.CHROMIUM, headless=True,
                                                  args=["--no-sandbox", "--disable-dev-shm-usage"])
            with Window(chromium, server) as window:
                follow(window, person, hears)
            chromium.close()
        seconds, status = server.stop()
        assert status == 0, server.log()
    finally:
        server.kill()


def confirm(page, title):
    page.get_by_role("button", name=re.compile("^Preview")).click()
    page.get_by_role("button", name=re.compile(f"^{title}")).click()


def follow(window, person, hears):
    page = window.page
    window.sign_in(person, "/webhooks")
    window.heading("Webhooks")
    window.audit("no webhooks")
    page.get_by_role("link", name=re.compile("^Create webhook")).click()
    window.heading("Create webhook")
    window.audit("new webhook")
    page.get_by_role("textbox", name="Address").fill("ftp://example.com")
    page.get_by_label("Justification").fill("Our product must hear.")
    page.get_by_role("button", name=re.compile("^Preview")).click()
    expect(page.get_by_role("textbox", name="Address")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("textbox", name="Address").fill(hears.url("/in"))
    for name in ("tenant.suspended", "tenant.restored"):
        page.get_by_label(re.compile(re.escape(name))).check()
    confirm(page, "Create webhook")
    main = page.locator("main")
    expect(main).to_contain_text("Shown once")
    window.is_whole()
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", main.inner_text()).group()
    window.audit("secret")

    window.go("/webhooks")
    page.get_by_role("link", name=hears.url("/in")).click()
    window.heading("127.0.0.1")
    window.is_whole()
    assert secret not in page.content()
    window.audit("webhook")
    webhook = window.path
    page.get_by_role("group", name="Actions").get_by_role("link", name=re.compile("^Send test")).click()
    confirm(page, "Send test")
    page.wait_for_url(re.compile("/done/key_"))
    # The first attempt fails, and the next one does not.
    postern.wait_until(lambda: len(hears.requests) == 2, 20, "the second attempt")
    assert verifies(secret, *hears.requests[1][1:])
    window.go("/deliveries")
    window.heading("Deliveries")
    window.audit("deliveries")
    window.shot("deliveries")
    expect(main).to_contain_text("webhook.test")
    page.get_by_role("link", name="Test notice").first.click()
    window.heading("Test notice")
    expect(main).to_contain_text("“Send test”")
    expect(main).to_contain_text("Answered 500")
    postern.wait_until(lambda: page.reload() and "Delivered" in main.inner_text(), 10, "the delivery")
    window.audit("delivery")
    page.get_by_role("group", name="Actions").get_by_role("link", name=re.compile("^Replay")).click()
    confirm(page, "Replay")
    page.wait_for_url(re.compile("/done/key_"))
    postern.wait_until(lambda: len(hears.requests) == 3, 20, "the replay")
    window.go(webhook)
    window.audit("webhook with deliveries")
    window.shot("webhook")
    window.go("/deliveries?state=dead")
    expect(main).to_contain_text("No delivery matches")
    window.go("/")
    postern.wait_until(lambda: page.reload() and "Everything that was to be sent has arrived" in main.inner_text(), 10,
                       "Home to say that everything arrived")
