"""The staff channel and mail against peers on loopback: a Slack that takes nothing Slack would refuse, and a mail server with
STARTTLS and authentication."""
import json
import re
import time

import browser as chrome
import peers
import postern
import pytest
from browser import Window
from conftest import new_database
from playwright.sync_api import expect, sync_playwright
from test_deliveries import confirm, deliveries

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd"),
              # What aiosmtpd does not see is TLS from the first byte.
              pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")]


@pytest.fixture
def slack():
    made = []

    def make(*arguments):
        made.append(peers.Slack(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def mail(tmp_path):
    made = []

    def make(**more):
        made.append(peers.Mail(tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def serve(kind, tmp_path, request):
    """A demo with settings of its own."""
    made = []

    def make(**settings):
        database = new_database(kind, request)
        made.append((postern.Server(tmp_path / "own", database, **settings), database))
        return made[-1][0].start()

    yield make
    for server, database in made:
        server.kill()
        database.drop()


def bot(slack, **more):
    return {"POSTERN_SLACK_TOKEN": slack.TOKEN, "POSTERN_SLACK_CHANNEL": "C0STAFF",
            "POSTERN_SLACK_API": slack.url + "/api", **more}


def channel(person, name):
    answer = person.get("delivery-channels")
    assert answer.status_code == 200, answer.text
    (found,) = [c for c in answer.json()["items"] if c["channel"] == name]
    return found


@pytest.mark.only("postgres")
def test_the_staff_channel_hears_what_happens_and_nothing_sealed(serve, slack):
    peer = slack()
    server = serve(**bot(peer))
    admin = server.sign_in(server.person("super_admin"))
    postern.wait_until(lambda: peer.messages, 10, "the root of the day")
    assert "Root of the audit log" in peer.texts()[0]
    (note,) = re.findall(r"```(.*)```", peer.texts()[0], re.S)
    tenants = admin.tenants(status="active", limit=12)
    began = time.monotonic()
    done = [admin.suspend(t["id"], justification="They told us their mother is ill.").json() for t in tenants]

    def told():
        return sum(text.count("Suspend tenant* ·") if " × Suspend tenant" not in text
                   else int(re.search(r"(\d+) × Suspend tenant, applied", text).group(1)) for text in peer.texts())

    took = time.monotonic() - began
    postern.wait_until(lambda: told() == 12, 20, "all twelve to be told")
    everything = json.dumps([m for _, m in peer.attempts])
    for tenant in tenants:
        assert tenant["name"] not in everything and tenant["slug"] not in everything
    for word in ("mother", "stf_", "usr_", "@", server.person("super_admin")["email"]):
        assert word not in everything, word
    assert any(f"/audit/{d['event_id']}|" in text for d in done for text in peer.texts())
    assert peer.wrong == []
    # Many happened at once, and the channel takes a message a second.
    times = [at for at, _ in peer.attempts]
    # Sent a second apart; on their way one may be held up.
    assert all(later - sooner > 0.5 for sooner, later in zip(times, times[1:])), times
    assert times[-1] - times[0] > 0.9 * (len(times) - 1) - 0.5, times
    # Not one for each, as long as it took to do them.
    assert len(peer.messages) <= 6 + took, took
    # The root that went to the channel proves that the log was not rewritten.
    kept = server.home / "root.txt"
    kept.write_text(note.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">"))
    verified = server.run("verify", "--against", str(kept))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert peer.TOKEN not in server.log()
    state = channel(admin, "slack")
    assert state["is_on"] and state["error"] is None and state["sent_at"]
    admin.close()


@pytest.mark.only("sqlite")
def test_a_slack_that_fails_is_told_once_it_is_back(serve, slack):
    answers = {3: (429, {"retry-after": "6"}, b'{"ok":false,"error":"ratelimited"}'), 4: (500, {}, b"oops")}
    peer = slack(lambda number, message: answers.get(number))
    server = serve(**bot(peer))
    admin = server.sign_in(server.person("super_admin"))
    # The demo begins with a request that waits.
    postern.wait_until(lambda: len(peer.messages) == 2, 15, "the root of the day and the request")
    tenant = admin.active_tenant()["id"]
    assert admin.suspend(tenant).status_code == 200
    postern.wait_until(lambda: len(peer.attempts) == 3, 10, "the first attempt")
    assert admin.restore(tenant).status_code == 200
    postern.wait_until(lambda: channel(admin, "slack")["error"] == "Slack asks to slow down", 20, "the reason")
    postern.wait_until(lambda: len(peer.messages) >= 4, 60, "Slack to be told")
    assert peer.attempts[3][0] - peer.attempts[2][0] > 5.5, "sooner than Slack said"
    first, second = peer.texts()[2:4]
    assert "Suspend tenant" in first and "Restore tenant" in second and peer.wrong == []
    assert channel(admin, "slack")["error"] is None
    notes = [a["note"] for d in deliveries(admin, webhook="slack") for a in admin.get(f"deliveries/{d['id']}").json()["attempts"]]
    assert "Slack answered 500" in notes and "Slack asks to slow down" in notes
    # Killed and started again, it goes on where it was.
    server.kill()
    server.start()
    again = server.sign_in(server.person("super_admin"))
    assert again.suspend(tenant).status_code == 200
    postern.wait_until(lambda: sum("Suspend tenant" in t for t in peer.texts()) == 2, 20, "the next one")
    assert sum("Root of" in t for t in peer.texts()) == 1
    again.close()


@pytest.mark.only("postgres")
def test_an_incoming_webhook_and_a_message_slack_refuses(serve, slack):
    answers = {3: (400, {}, b"invalid_blocks")}
    peer = slack(lambda number, message: answers.get(number))
    server = serve(POSTERN_SLACK_WEBHOOK_URL=peer.url + peer.HOOK)
    admin = server.sign_in(server.person("super_admin"))
    postern.wait_until(lambda: len(peer.messages) == 2, 15, "the root of the day and the request")
    tested = admin.operate("deliveries", input={"channel": "slack"})
    assert tested.status_code == 201 and tested.headers["location"].startswith("/api/v1/deliveries/dlv_"), tested.text
    id = tested.json()["after"]["id"]
    postern.wait_until(lambda: admin.get(f"deliveries/{id}").json()["state"] == "dead", 10, "the dead letter")
    dismissed = admin.operate(f"deliveries/{id}/dismiss", "not_needed")
    assert dismissed.status_code == 200, dismissed.text
    assert admin.operate(f"deliveries/{id}/dismiss", "not_needed").status_code == 409
    replayed = admin.operate(f"deliveries/{id}/replay")
    assert replayed.status_code == 200, replayed.text
    postern.wait_until(lambda: any("Test from Postern" in t for t in peer.texts()), 15, "the replay")
    found = server.run("doctor")
    assert found.returncode == 0 and "Slack answers" in found.stdout, found.stdout + found.stderr
    assert peer.HOOK not in found.stdout + server.log()
    admin.close()


@pytest.mark.only("sqlite")
def test_mail_goes_out_over_tls_and_tells_people(serve, mail):
    rejected = {}
    peer = mail(rcpt=lambda address: rejected.get(address), data=lambda number: "451 later" if number == 1 else None)
    server = serve(**peer.settings())
    first = server.person("super_admin")
    admin = server.sign_in(first)
    tested = admin.operate("deliveries", input={"channel": "mail"})
    assert tested.status_code == 201, tested.text
    postern.wait_until(lambda: peer.to(first["email"], "Test from Postern"), 30, "the test")
    (message,) = peer.to(first["email"], "Test from Postern")
    id = tested.json()["after"]["id"]
    assert message["message-id"] == f"<{id}@console.example>" and message["from"] == "Postern <postern@console.example>"
    assert message.get_content_type() == "multipart/alternative"
    text, html = (part.get_content() for part in message.iter_parts())
    assert "This is the test you asked for" in text and "<p>This is the test" in html
    postern.wait_until(lambda: admin.get(f"deliveries/{id}").json()["state"] == "delivered", 10, "it to be settled")

    # A mailbox that does not exist is a dead letter at once, and no other mail waits for it.
    rejected["gone@northwind.example"] = "550 no such user"
    for address in ("gone@northwind.example", "new@northwind.example"):
        invited = admin.operate("staff", justification="They join the team today.", ticket="HR-12", input={
            "email": address, "name": "Ödön Fehér", "roles": ["support_l1"]})
        assert invited.status_code in (201, 202), invited.text
    if invited.status_code == 201:
        postern.wait_until(lambda: peer.to("new@northwind.example"), 20, "the invitation")
        (invitation,) = peer.to("new@northwind.example")
        text = invitation.get_body(("plain",)).get_content()
        assert "Ödön Fehér" in text and "is not in this mail" in text
        assert invited.json()["reveal"]["enrolment_link"].split("=")[1] not in text
        postern.wait_until(lambda: deliveries(admin, state="dead"), 20, "the dead letter")
        (dead,) = deliveries(admin, state="dead")
        (attempt,) = admin.get(f"deliveries/{dead['id']}").json()["attempts"]
        assert attempt["http_status"] == 550 and dead["channel"] == "mail" and dead["webhook_id"] is None

    # Somebody tries doors: whoever looks after security hears of it.
    outsider = server.sign_in(server.person("support_l1"))
    for _ in range(6):
        assert outsider.get("audit-events").status_code == 403
    guardian = server.person("security")
    before = len(peer.to(guardian["email"], "Many refusals in a short time"))
    postern.wait_until(
        lambda: len(peer.to(guardian["email"], "Many refusals in a short time")) >= max(1, before), 20, "the alarm")
    found = server.run("doctor")
    assert found.returncode == 0 and "The mail server answers over TLS." in found.stdout, found.stdout + found.stderr
    assert peer.PASSWORD not in found.stdout + server.log()
    verified = server.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    seconds, status = server.stop()
    assert status == 0 and seconds < 6, server.log()
    admin.close()
    outsider.close()


@pytest.mark.only("sqlite")
def test_a_mail_refused_for_another_reason_than_its_address_goes_out_later(serve, mail):
    at_rcpt, at_data = [], []
    peer = mail(rcpt=lambda address: at_rcpt.pop() if at_rcpt else None,
                data=lambda number: at_data.pop() if at_data else None)
    server = serve(**peer.settings())
    admin = server.sign_in(server.person("super_admin"))
    for waiting, reply in ((at_rcpt, "550 5.7.1 sender rejected"), (at_rcpt, "554 5.7.1 relay access denied"),
                           (at_data, "552 over quota")):
        # Nobody else's mail is given the reply.
        postern.wait_until(lambda: not deliveries(admin, state="pending"), 60, "the mail before")
        waiting.append(reply)
        tested = admin.operate("deliveries", input={"channel": "mail"})
        assert tested.status_code == 201, tested.text
        id = tested.json()["after"]["id"]
        postern.wait_until(lambda: admin.get(f"deliveries/{id}").json()["state"] == "delivered", 30, "the mail after all")
        attempts = admin.get(f"deliveries/{id}").json()["attempts"]
        code = int(reply[:3])
        assert [a["note"] for a in attempts if a["http_status"] == code] == [f"The mail server answered {code}"], attempts
        assert len(attempts) == 2
    admin.close()


@pytest.mark.parametrize("implicit", [False, True], ids=["STARTTLS", "TLS from the first byte"])
def test_a_mail_server_that_cannot_prove_its_name_gets_nothing(mail, tmp_path, implicit):
    peer = mail(implicit=implicit)
    stranger = peers.Authority(tmp_path, "stranger")
    # Each in turn is what the server shows, and what is said of it.
    wrong = [
        (lambda: peer.authority.certify(peer.context, names=("mail.other.example",)),
         "The mail server’s certificate is for another name than localhost"),
        (lambda: peer.authority.certify(peer.context, days=-1), "The mail server’s certificate has expired"),
        (lambda: stranger.certify(peer.context),
         "The mail server’s certificate is not trusted: no authority of smtp_ca_file has signed it"),
    ]
    server = postern.Server(tmp_path / "own", **peer.settings())
    try:
        server.start()
        first = server.person("super_admin")
        admin = server.sign_in(first)
        sent = 0

        def arrived():
            return len(peer.to(first["email"], "Test from Postern"))

        for show, sentence in wrong:
            # Whatever else is on its way has arrived: a handshake under way would still see the right certificate.
            postern.wait_until(lambda: not deliveries(admin, state="pending"), 60, "the mail before")
            show()
            before, tries = arrived(), peer.signed_in
            tested = admin.operate("deliveries", input={"channel": "mail"})
            assert tested.status_code == 201, tested.text
            id = tested.json()["after"]["id"]
            (attempt,) = postern.wait_until(
                lambda: [a for a in admin.get(f"deliveries/{id}").json()["attempts"] if a["note"]], 20, "an attempt")
            assert attempt["note"] == sentence and attempt.get("http_status") is None, attempt
            assert channel(admin, "mail")["error"] == sentence
            found = server.run("doctor")
            assert found.returncode != 0 and sentence in found.stdout, found.stdout
            assert arrived() == before and peer.signed_in == tries, "it was told the password, or more"
            # Put right, the same mail goes out by itself.
            peer.authority.certify(peer.context)
            sent += 1
            postern.wait_until(lambda: arrived() == sent, 60, "the mail after all")
            delivery = admin.get(f"deliveries/{id}").json()
            assert delivery["attempts"][0]["note"] == sentence or delivery["attempts"][-1]["note"] == sentence
        found = server.run("doctor")
        assert found.returncode == 0 and "The mail server answers over TLS." in found.stdout, found.stdout
        (message, *_) = peer.to(first["email"], "Test from Postern")
        assert message["from"] == "Postern <postern@console.example>"
        # Without smtp_ca_file the system's authorities count, and they do not know this one.
        server.settings = {**server.settings, "POSTERN_SMTP_CA_FILE": None}
        found = server.run("doctor")
        assert found.returncode != 0 and "no authority this system knows has signed it" in found.stdout, found.stdout
        assert peer.PASSWORD not in server.log()
        admin.close()
    finally:
        server.kill()


def test_the_doctor_says_what_is_wrong_with_mail_and_slack(mail, slack, tmp_path):
    peer, channel = mail(), slack()
    server = postern.Server(tmp_path / "own", **peer.settings(), **bot(channel))
    try:
        server.start()
        server.stop()
        cases = [
            ({"POSTERN_SMTP_CA_FILE": None}, "certificate is not trusted"),
            ({"POSTERN_SMTP_USER": "somebody"}, "refused the user or the password"),
            ({"POSTERN_SMTP_URL": "smtp://localhost:1"}, "No connection to the mail server"),
            ({"POSTERN_SLACK_TOKEN": "xoxb-wrong"}, "Slack answered invalid_auth"),
            ({"POSTERN_SLACK_API": "http://127.0.0.1:1/api"}, "The connection to Slack was refused"),
            ({"POSTERN_SLACK_API": "http://slack.example/api"}, "slack_api must begin with https://"),
            ({"POSTERN_MAIL_FROM": None}, "smtp_url is set but mail_from is not"),
            ({"POSTERN_SMTP_URL": "smtp://me@localhost"}, "without a user name"),
            ({"POSTERN_MAIL_FROM": "nobody"}, "expected an address"),
        ]
        settings = dict(server.settings)
        for changed, sentence in cases:
            server.settings = {**settings, **changed}
            found = server.run("doctor")
            assert found.returncode != 0 and sentence in found.stdout + found.stderr, (changed, found.stdout[-900:])
    finally:
        server.kill()


def test_a_person_looks_after_the_channels(tmp_path, slack, mail):
    broken = {"yes": False}
    peer = slack(lambda *_: (200, {}, b'{"ok":false,"error":"channel_not_found"}') if broken["yes"] else None)
    box = mail()
    server = postern.Server(tmp_path / "own", **bot(peer), **box.settings())
    try:
        server.start()
        person = server.person("super_admin")
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=chrome.CHROMIUM, headless=True,
                                                  args=["--no-sandbox", "--disable-dev-shm-usage"])
            with Window(chromium, server) as window:
                look(window, person, peer, box, broken)
            chromium.close()
        _, status = server.stop()
        assert status == 0, server.log()
    finally:
        server.kill()


def look(window, person, peer, box, broken):
    page = window.page
    window.sign_in(person, "/deliveries")
    window.heading("Deliveries")
    window.audit("channels")
    panel = page.get_by_role("region", name="Staff channel and mail")
    expect(panel.get_by_role("row", name=re.compile("^Slack"))).to_contain_text("On")
    window.shot("channels")
    panel.get_by_role("link", name="Send test to Mail").click()
    window.heading("Send test")
    expect(page.get_by_label("Channel")).to_have_value("mail")
    window.audit("send test")
    confirm(page, "Send test")
    page.wait_for_url(re.compile("/done/key_"))
    postern.wait_until(lambda: box.to(person["email"], "Test from Postern"), 20, "the mail")

    broken["yes"] = True
    window.go("/deliveries/new?input.channel=slack")
    confirm(page, "Send test")
    page.wait_for_url(re.compile("/done/key_"))
    postern.wait_until(
        lambda: page.goto("/deliveries") and "channel_not_found" in panel.inner_text(), 20, "the reason on the page")
    expect(panel.get_by_role("row", name=re.compile("^Slack"))).to_contain_text("Failing")
    window.audit("failing")
    # The one under way is the oldest; what comes behind it waits.
    window.go("/deliveries?webhook=slack&state=pending")
    page.get_by_role("table").get_by_role("link").last.click()
    expect(page.locator("main")).to_contain_text("Slack answered channel_not_found")
    failed = window.path
    broken["yes"] = False
    postern.wait_until(lambda: any("Test from Postern" in t for t in peer.texts()), 40, "Slack to be told after all")
    postern.wait_until(lambda: page.goto("/deliveries") and "Failing" not in panel.inner_text(), 10, "all to be well")
    window.go(failed)
    window.heading(re.compile("staff channel"))
    expect(page.locator("main")).to_contain_text("Slack answered channel_not_found")
    expect(page.locator("main")).to_contain_text("Delivered")
    window.audit("a delivery to Slack")
    page.set_viewport_size(chrome.PHONE)
    window.go("/deliveries")
    window.audit("channels on a phone")
