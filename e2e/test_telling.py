"""What people are told while they sit at the console, and what Slack may ask: over one stream a browser, with several servers, and
against a Slack that signs as the real one does."""
import asyncio
import concurrent.futures
import datetime
import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import time
import urllib.parse
from pathlib import Path

import httpx
import peers
import postern
import psycopg
import pytest
from browser import PHONE, Window
from conftest import new_database
from playwright.sync_api import expect
from test_approvals import decide, invite

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


@pytest.fixture
def cast(own_server):
    """Two super admins."""
    server = own_server.start()
    people = [server.sign_in(server.person("super_admin")), server.sign_in(server.person("super_admin", 1))]
    story_is_told(people[1])
    for person in people:
        read_all(person)
    yield (server, *people)
    for person in people:
        person.close()


def story_is_told(person):
    """The demo's story has told people something, as soon as its worker got to it: all of it, once nothing comes any more."""
    told, since = 0, time.monotonic()

    def is_still():
        nonlocal told, since
        now = len(person.get("inbox").json()["items"])
        if now != told:
            told, since = now, time.monotonic()
        return told and time.monotonic() - since > 1.5

    postern.wait_until(is_still, 20, "the story to be told")


def read_all(person):
    until = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = person.post("inbox/read", json={"until": until.replace("Z", ".999999Z")}, key=None)
    assert answer.status_code == 200, answer.text
    assert person.get("inbox").json()["items"] == []


def streams(server):
    """How often a stream was opened."""
    found = re.findall(r'postern_http_requests_total\{[^}]*route="/events"[^}]*\} (\d+)', httpx.get(f"{server.metrics_url}/metrics").text)
    return sum(map(int, found))


def listening(server):
    """How many are open."""
    return int(re.search(r"^postern_streams (\d+)$", httpx.get(f"{server.metrics_url}/metrics").text, re.M)[1])


def number(page):
    return page.locator("[data-unread]")


@pytest.mark.only("sqlite")
def test_the_number_rises_in_every_tab_over_one_stream_and_ends_with_the_session(cast, chromium):
    server, asker, signer = cast
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(signer.person)
        expect(number(page)).to_be_hidden()
        window.audit("nothing unread")
        postern.wait_until(lambda: streams(server) >= 1, 10, "the stream")
        tab = window.context.new_page()
        tab.goto("/tenants")
        time.sleep(1)
        before = streams(server)
        approval = invite(asker, "nadia.n@northwind.example")
        began = time.monotonic()
        expect(number(page)).to_have_text("1 unread")
        took = time.monotonic() - began
        expect(number(tab)).to_have_text("1 unread")
        # Half a second on a machine that does nothing else.
        assert took < 6, f"{took} s"
        assert streams(server) == before, "a tab opened a stream of its own"
        expect(page.locator(".rail a[href='/inbox'] .count")).to_contain_text("1")
        expect(page.get_by_role("status")).to_contain_text("Something new")

        page.goto("/inbox")
        window.heading("Inbox")
        row = page.get_by_role("row").filter(has_text="Your signature is asked for")
        expect(row).to_have_count(1)
        window.audit("inbox")
        page.set_viewport_size(PHONE)
        window.audit("inbox on a phone")
        page.set_viewport_size({"width": 1440, "height": 900})
        # Opening it is reading it, in the other tab too.
        row.get_by_role("link").click()
        page.wait_for_url(re.compile(approval))
        expect(page.locator("main")).to_contain_text("able to sign")
        expect(number(tab)).to_be_hidden()
        window.audit("a request with who is there")

        assert asker.get("inbox").json()["items"] == []
        assert decide(signer, approval, "reject").status_code == 200
        (item,) = postern.wait_until(lambda: asker.get("inbox").json()["items"], 20, "the rejection")
        assert item["kind"] == "request_rejected" and "Looked at it with care" in item["detail"]
        assert asker.post(f"inbox/{item['id']}/read", json={}, key=None).status_code == 204
        assert signer.post(f"inbox/{item['id']}/read", json={}, key=None).status_code == 404
        assert asker.get("inbox").json()["items"] == []

        # Signing out in one tab ends the stream of all.
        page.goto("/")
        tab.wait_for_timeout(1000)
        page.locator("details.who summary").click()
        page.get_by_role("button", name="Sign out").click()
        window.heading("Sign in")
        expect(tab.get_by_role("status")).to_contain_text("Your session has ended")
        count = streams(server)
        time.sleep(3)
        assert streams(server) <= count + 1
        tab.close()
    assert server.run("verify").returncode == 0
    seconds, status = server.stop()
    assert status == 0 and seconds < 6, server.log()


@pytest.mark.only("sqlite")
def test_without_script_the_number_is_in_the_page(cast, chromium):
    server, asker, signer = cast
    invite(asker, "omar.o@northwind.example")
    postern.wait_until(lambda: signer.get("inbox").json()["items"], 20, "the notice")
    with Window(chromium, server, script=False) as window:
        page = window.page
        window.sign_in(signer.person)
        expect(number(page)).to_have_text("1 unread")
        window.go("/inbox")
        page.get_by_role("button", name="Mark all as read").click()
        window.heading("Inbox")
        expect(page.locator("main")).to_contain_text("You have read everything")
        expect(number(page)).to_be_hidden()
        page.get_by_role("link", name="All", exact=True).click()
        expect(page.locator("main")).to_contain_text("Your signature is asked for")
        window.shot("inbox")


def test_a_stream_on_another_server_hears_as_soon(request, tmp_path, chromium):
    database = new_database("postgres", request)
    first = postern.Server(tmp_path / "first", database).start()
    second = postern.beside(first, tmp_path / "second")
    second.settings["POSTERN_STAFF_URL"] = second.url
    second.start()
    try:
        asker = first.sign_in(first.person("super_admin"))
        signer = first.person("super_admin", 1)
        reader = first.sign_in(signer)
        story_is_told(reader)
        read_all(reader)
        reader.close()
        with Window(chromium, second) as window:
            window.sign_in(signer)
            expect(number(window.page)).to_be_hidden()
            postern.wait_until(lambda: streams(second) >= 1, 10, "the stream")
            time.sleep(1)
            invite(asker, "nadia.n@northwind.example")
            began = time.monotonic()
            expect(number(window.page)).to_have_text("1 unread")
            assert time.monotonic() - began < 6
        with httpx.Client(base_url=second.url) as http:
            assert http.get("/events").status_code == 401 and http.get("/events/now").status_code == 401
        asker.close()
        seconds, status = second.stop()
        assert status == 0 and seconds < 20, second.log()
    finally:
        second.kill()
        first.kill()
        database.drop()


# ---- Slack


@pytest.fixture
def channel(kind, tmp_path, request):
    peer = peers.Slack()
    secret = tmp_path / "signing.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    database = new_database(kind, request)
    server = postern.Server(
        tmp_path / "own", database, POSTERN_SLACK_TOKEN=peer.TOKEN, POSTERN_SLACK_CHANNEL="C0STAFF",
        POSTERN_SLACK_API=peer.url + "/api", POSTERN_SLACK_SIGNING_SECRET_FILE=str(secret)).start()
    yield server, peer
    server.kill()
    peer.close()
    database.drop()


def signed(body, at=None, secret=SECRET):
    timestamp = str(int(at if at is not None else time.time()))
    code = hmac.new(secret.encode(), f"v0:{timestamp}:{body}".encode(), hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={code}",
            "Content-Type": "application/x-www-form-urlencoded"}


def command(server, text, user="U0ROBIN"):
    # As Slack sends it; the trigger makes each its own.
    body = urllib.parse.urlencode({
        "token": "x", "team_id": "T0NORTH", "team_domain": "northwind", "channel_id": "C0STAFF", "user_id": user,
        "user_name": "robin", "command": "/postern", "text": text, "trigger_id": postern.new_key()})
    began = time.monotonic()
    answer = httpx.post(f"{server.url}/slack/commands", content=body, headers=signed(body))
    assert answer.status_code == 200 and time.monotonic() - began < 3, answer.text
    assert answer.json()["response_type"] == "ephemeral"
    return answer.json()["text"]


@pytest.mark.only("sqlite")
def test_slack_is_believed_by_its_signature_alone(channel):
    server, _ = channel
    body = "team_id=T0NORTH&user_id=U0ROBIN&text=help"
    url = f"{server.url}/slack/commands"
    headers = signed(body)
    assert httpx.post(url, content=body, headers=headers).status_code == 200
    for changed, more in [(body, headers), (body + "&x=1", signed(body)), (body, signed(body, secret="other")),
                          (body, signed(body, at=time.time() - 301)), (body, {"Content-Type": headers["Content-Type"]})]:
        refused = httpx.post(url, content=changed, headers=more)
        assert refused.status_code == 401 and refused.json()["type"] == "/problems/slack-refused", refused.text
    pressed = "payload=" + urllib.parse.quote('{"type":"block_actions","actions":[{"action_id":"approve"}]}')
    interactions = f"{server.url}/slack/interactions"
    assert httpx.post(interactions, content=pressed, headers=signed(pressed)).status_code == 200
    assert httpx.post(interactions, content=pressed, headers=headers).status_code == 401
    broken = "payload=x"
    assert httpx.post(interactions, content=broken, headers=signed(broken)).status_code == 400
    found = server.run("doctor")
    assert "/slack/commands" in found.stdout and SECRET not in found.stdout + server.log()


@pytest.mark.only("sqlite")
def test_a_person_links_slack_looks_up_there_and_decides_in_the_console(channel, chromium):
    server, peer = channel
    asker, signer = server.sign_in(server.person("super_admin")), server.sign_in(server.person("super_admin", 1))
    assert "is not linked" in command(server, "approvals")
    (link,) = re.findall(r"<([^|>]+)\|", command(server, "link"))
    with Window(chromium, server) as window:
        page = window.page
        window.go(link)
        window.sign_in(signer.person, path=None)
        window.heading("Link with Slack")
        expect(page.locator("main")).to_contain_text("robin")
        window.audit("link with Slack")
        page.get_by_role("button", name="Link this account").click()
        window.heading("My security")
        expect(page.get_by_role("region", name="Slack")).to_contain_text("U0ROBIN")
        window.audit("my security with Slack")

        approval = invite(asker, "nadia.n@northwind.example")
        assert approval in command(server, "approvals")
        assert re.search(r"\d+ requests? waits?> for a signature you could give", command(server, "status"))
        tenant = asker.active_tenant()
        found = command(server, f"search {tenant['slug']}")
        assert tenant["id"] in found and tenant["name"] not in found
        looks = asker.get("audit-events?action=tenant.search").json()["items"]
        assert any(e["actor"]["id"] == signer.id for e in looks), looks[:1]

        postern.wait_until(lambda: any("A signature" in m["text"] and approval in str(m) for _, m in peer.messages), 15,
                           "the message")
        # The demo itself begins with a request, of which the channel may hear as well.
        (message,) = [m for _, m in peer.messages if "A signature is asked for" in m["text"] and approval in str(m)]
        assert "nadia" not in str(message) and "Nadia" not in str(message)
        (buttons,) = [b["elements"] for b in message["blocks"] if b["type"] == "actions"]
        (url,) = [b["url"] for b in buttons if b["action_id"] == "reject"]
        page.goto(url)
        window.heading(re.compile("Reject"))
        assert decide(signer, approval, "reject").status_code == 200
        postern.wait_until(lambda: peer.changed, 15, "the message to be changed")
        assert "rejected" in peer.changed[0]["text"] and peer.wrong == []

        window.go("/me")
        page.get_by_role("button", name="Unlink U0ROBIN").click()
        window.heading("My security")
        assert "is not linked" in command(server, "approvals")
    asker.close()
    signer.close()
    assert server.run("verify").returncode == 0


# ---- what streams cost


def sessions(server, person, count):
    """Tokens of sessions that are put where the server looks for them: nobody signs in five hundred times in a minute."""
    import checker

    agent = b"streams"
    now = int(time.time() * 1_000_000)
    made = []
    for _ in range(count):
        token = "pst_" + secrets.token_urlsafe(32)
        made.append((token, (f"ses_{secrets.token_hex(13)}", hashlib.sha256(token.encode()).digest(), person,
                             hashlib.sha256(agent).digest(), now, now + 3_600_000_000)))
    sql = """INSERT INTO sessions (id, token_hash, realm, staff_id, client, factors, mfa_at, user_agent_hash, user_agent, ip,
        created_at, last_seen_at, expires_at)
        VALUES (?, ?, 'staff', ?, 'console', '["password","totp"]', {0}, ?, 'streams', '127.0.0.1', {0}, {0}, ?)"""
    rows = [row[:4] + row[5:] for _, row in made]
    if server.database.url:
        with psycopg.connect(server.database.url, autocommit=True) as db:
            db.cursor().executemany(sql.format(now).replace("?", "%s"), rows)
    else:
        with sqlite3.connect(checker.sqlite_file(server.data), timeout=30) as db:
            db.executemany(sql.format(now), rows)
        db.close()
    return [token for token, _ in made]


def usage(server):
    """Resident memory in MB, and seconds of processor time."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    times = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024, (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


async def listen(server, token, heard, ready):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.staff_port)
    writer.write(f"GET /events HTTP/1.1\r\nHost: localhost:{server.staff_port}\r\nUser-Agent: streams\r\n"
                 f"Cookie: __Host-postern_staff={token}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0], head
    first = True
    while data := await reader.read(4096):
        if b"event: unread" in data:
            if first:
                ready.append(1)
                first = False
            else:
                heard[token] = time.monotonic()
        # The connection stays, for the next request.
        if b"event: end" in data:
            break
    writer.close()


@pytest.mark.only("postgres")
def test_five_hundred_streams_cost_little_and_stop_by_themselves(cast):
    server, asker, signer = cast
    tokens = sessions(server, signer.id, 512)
    before, _ = usage(server)

    async def run():
        heard, ready = {}, []
        tasks = [asyncio.create_task(listen(server, token, heard, ready)) for token in tokens]
        end = time.monotonic() + 60
        while len(ready) < len(tokens) and time.monotonic() < end:
            await asyncio.sleep(0.05)
            for task in tasks:
                if task.done():
                    task.result()
        assert len(ready) == len(tokens), len(ready)
        assert listening(server) == len(tokens)
        # One more is told to come back later.
        (extra,) = sessions(server, signer.id, 1)
        full = httpx.get(f"{server.url}/events", headers={
            "Cookie": f"__Host-postern_staff={extra}", "User-Agent": "streams"})
        assert full.status_code == 429 and full.headers["retry-after"] == "60", full.text
        memory, busy = usage(server)
        await asyncio.sleep(5)
        share = (usage(server)[1] - busy) / 5
        # Whoever came is told again when others of the same person come.
        heard.clear()
        began = time.monotonic()
        await asyncio.to_thread(invite, asker, "nadia.n@northwind.example")
        while len(heard) < len(tokens) and time.monotonic() < began + 30:
            await asyncio.sleep(0.01)
        assert len(heard) == len(tokens), len(heard)
        print(f"512 streams: {memory - before:.1f} MB more, {share * 100:.1f} % of a processor when nothing happens, "
              f"the last heard after {max(heard.values()) - began:.2f} s")
        assert memory - before < 60 and share < 0.2
        # Whoever leaves is noticed with the next beat, whoever is signed out within seconds.
        await asyncio.to_thread(end_all, server, signer.id)
        await asyncio.wait_for(asyncio.gather(*tasks), 30)
        assert listening(server) == 0

    # The browser's loop runs in this thread.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: asyncio.run(run())).result()
    seconds, status = server.stop()
    assert status == 0 and seconds < 6, server.log()


def end_all(server, person):
    import checker

    sql = f"UPDATE sessions SET ended_at = {int(time.time() * 1_000_000)} WHERE staff_id = ? AND user_agent = 'streams'"
    if server.database.url:
        with psycopg.connect(server.database.url, autocommit=True) as db:
            db.execute(sql.replace("?", "%s"), (person,))
    else:
        with sqlite3.connect(checker.sqlite_file(server.data), timeout=30) as db:
            db.execute(sql, (person,))
        db.close()
