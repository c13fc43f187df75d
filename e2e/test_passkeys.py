"""Passkeys as people use them: made, signed in with, used again in the middle of a form, named, removed, refused."""
import base64
import copy
import hashlib
import html
import json
import re
import time

import conftest
import httpx
import pytest
import postern
import totp
import verify_approval
from browser import PHONE, Window
from passkeys import Passkey, VirtualAuthenticator, b64
from playwright.sync_api import expect
from test_access_reviews import start
from test_api import write_as_owner


OWN = {}


def own(server, person):
    """A passkey of somebody's that the test holds itself. The first one is made with a code; others take this one."""
    kept = (server.url, person["email"])
    if kept not in OWN:
        visitor = Visitor(server)
        visitor.sign_in_with_code(person)
        passkey = Passkey()
        made = visitor.post("/me/passkeys", name="Kept", passkey=json.dumps(
            passkey.make(visitor.ask("/me/passkeys/options")["publicKey"], server.url)))
        assert made.status_code == 303, made.text
        OWN[kept] = passkey
    return OWN[kept]


def by_hand(window):
    """Requests in the session of a window, past its page."""
    return Visitor(window.server, {cookie["name"]: cookie["value"] for cookie in window.context.cookies()},
                   window.page.locator("input[name=csrf]").first.input_value(),
                   agent=window.page.evaluate("navigator.userAgent"))


def prove(window, passkey):
    """Uses a passkey again in the session of a window, as a device of its owner's would."""
    window.go("/me")
    visitor = by_hand(window)
    done = visitor.post("/step-up", next="/me", passkey=json.dumps(
        passkey.use(visitor.ask("/step-up/options")["publicKey"], window.server.url)))
    assert done.status_code == 303, done.text


def add(window, name, to=None):
    """`to` has one already, which the next one takes."""
    page = window.page
    if to:
        prove(window, own(window.server, to))
    window.go("/me")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("main")).to_contain_text("The passkey is yours.")


# Says when the page asks the device.
LISTENING = """if (!window.listens) {
    window.listens = true;
    const own = navigator.credentials.get.bind(navigator.credentials);
    navigator.credentials.get = (options) => { const answer = own(options); window.asked = true; return answer; };
}"""


def sign_out(window):
    window.page.evaluate("document.querySelector('form[action=\"/signout\"]').submit()")
    window.heading("Sign in")


def sign_in(window, device, path="/signin", presses=True):
    """By the button, or from the list under the e-mail, which a virtual device chooses from by itself."""
    device.agree(not presses)
    window.context.add_init_script(LISTENING)
    if device.options["transport"] == "usb":
        # Nothing to list.
        window.go(path)
    else:
        with window.page.expect_response(re.compile("/signin/passkey/options")):
            window.go(path)
    if presses:
        # A request that waits already does not see that somebody agrees from now on; the button's is a new one.
        if device.options["transport"] != "usb":
            window.page.wait_for_function("window.asked === true")
        device.agree()
        window.page.get_by_role("button", name="Sign in with a passkey").click()
    expect(window.page.get_by_role("heading", level=1)).not_to_have_text(re.compile("Sign in"))


def asked_once(window):
    """The page that refuses asks the device again, and one that agrees by itself answers at once: as often as the machine manages,
    each time a failure of the source that all these tests share."""
    asked = []

    def answer(route):
        asked.append(route)
        if len(asked) == 1:
            return route.continue_()
        route.fulfill(status=409, content_type="application/problem+json", body='{"detail": "Asked once."}')

    window.page.route("**/signin/passkey/options", answer)


@pytest.mark.only("sqlite")
def test_a_passkey_from_its_making_to_its_end(chromium, server):
    person = server.person("support_l2")
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(person)
        window.go("/me")
        window.audit("my page without a passkey")
        # What is the only factor is not offered to go, and the page says what has to be there first.
        expect(page.get_by_role("region", name="Authenticator app")).to_contain_text("add a passkey below first")
        expect(page.get_by_role("button", name="Remove the app")).to_have_count(0)
        device = VirtualAuthenticator(window)
        add(window, "Work laptop")
        row = page.get_by_role("row").filter(has_text="Work laptop")
        expect(row).to_contain_text("Passkey in a device")
        expect(row).not_to_contain_text("ES256")
        expect(row.get_by_title("Signs with ES256")).to_be_visible()
        expect(row).to_contain_text("never")
        device.audit("my page with a passkey")
        window.shot("passkeys")

        # The code of the sign-in gives no second one: the page asks for the passkey, and comes back.
        panel = page.get_by_role("region", name="Passkeys")
        expect(panel).to_contain_text("Adding or removing a passkey needs your passkey first.")
        # Nor does it take one away: neither the app nor the passkey is offered to go before the passkey was used.
        app = page.get_by_role("region", name="Authenticator app")
        expect(app).to_contain_text("Replacing or removing the app needs your passkey first.")
        expect(page.get_by_role("button", name="Remove the app")).to_have_count(0)
        expect(page.get_by_role("button", name="Remove Work laptop")).to_have_count(0)
        expect(page.get_by_role("link", name="Remove Work laptop")).to_have_attribute("href", "/step-up?next=/me")
        expect(page.get_by_role("button", name="Make new recovery codes")).to_have_count(0)
        panel.get_by_role("link", name="Use your passkey").click()
        window.heading("Use your authenticator again")
        expect(page.get_by_label("Code from your authenticator")).to_be_hidden()
        page.get_by_role("button", name="Use your passkey").click()
        window.heading("My security")
        expect(page.get_by_role("button", name="Remove the app")).to_be_visible()
        expect(page.get_by_role("button", name="Remove Work laptop")).to_be_visible()

        # The same device says by itself that it holds one.
        page.get_by_label("Name", exact=True).fill("Again")
        page.get_by_role("button", name="Add a passkey").click()
        expect(page.get_by_role("alert")).to_contain_text("already holds a passkey of yours")

        device.agree(False)
        sign_out(window)
        device.audit("sign-in with a passkey")
        window.shot("signin-passkey")
        sign_in(window, device, presses=False)
        assert window.path == "/"
        device.agree(False)
        sign_out(window)
        sign_in(window, device, "/signin?next=/approvals")
        assert window.path == "/approvals"
        window.go("/me")
        expect(page.get_by_role("row").filter(has_text="Work laptop")).not_to_contain_text("never")

        window.go("/step-up?next=/me")
        device.audit("step-up with a passkey")
        page.get_by_role("button", name="Use your passkey").click()
        window.heading("My security")

        row = page.get_by_role("row").filter(has_text="Work laptop")
        row.locator("summary").click()
        row.get_by_label("New name of Work laptop").fill("Old laptop")
        row.get_by_role("button", name="Rename").click()
        expect(page.locator("main")).to_contain_text("has its new name")
        page.get_by_role("button", name="Remove Old laptop").click()
        expect(page.locator("main")).to_contain_text("The passkey is removed.")
        # The device still offers it; what it answers is refused in words.
        asked_once(window)
        sign_out(window)
        expect(page.get_by_role("alert").first).to_contain_text("not known here")
        device.remove()


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("algorithm", [-7, -8, -257])
def test_each_algorithm_makes_and_uses_passkeys(chromium, server, algorithm):
    with Window(chromium, server) as window:
        # A device that knows one algorithm alone, as the page sees it.
        window.context.add_init_script("""{
            const make = navigator.credentials.create.bind(navigator.credentials);
            navigator.credentials.create = (options) => {
                options.publicKey.pubKeyCredParams = options.publicKey.pubKeyCredParams.filter((one) => one.alg === %d);
                return make(options);
            }; }""" % algorithm)
        window.sign_in(server.person("billing_ops"))
        device = VirtualAuthenticator(window, transport="usb")
        name = {-7: "ES256", -8: "EdDSA", -257: "RS256"}[algorithm]
        add(window, f"Key {name}")
        row = window.page.get_by_role("row").filter(has_text=f"Key {name}")
        expect(row).to_contain_text("Passkey on a security key")
        expect(row.get_by_title(f"Signs with {name}")).to_be_visible()
        sign_out_quietly(window, device)
        sign_in(window, device)
        window.go("/me")
        window.page.get_by_role("button", name=f"Remove Key {name}").click()
        expect(window.page.locator("main")).to_contain_text("The passkey is removed.")
        # Chromium advises against what only this test does.
        window.troubles = [trouble for trouble in window.troubles if "pubKeyCredParams" not in trouble]


def sign_out_quietly(window, device):
    device.agree(False)
    sign_out(window)


@pytest.mark.only("sqlite")
def test_devices_that_do_not_know_their_owner_are_refused_in_words(chromium, server):
    with Window(chromium, server) as window:
        window.sign_in(server.person("finance_lead"))
        for options in ({"protocol": "u2f", "transport": "usb"}, {"verifies": False}):
            device = VirtualAuthenticator(window, **options)
            window.go("/me")
            window.page.get_by_label("Name", exact=True).fill("A key")
            window.page.get_by_role("button", name="Add a passkey").click()
            expect(window.page.locator("[data-passkey-says]").first).to_contain_text(
                re.compile("cancelled|has no PIN"), timeout=30_000)
            device.remove()


@pytest.mark.only("sqlite")
def test_without_script_codes_work_as_ever(chromium, server):
    with Window(chromium, server, script=False) as window:
        page = window.page
        window.go("/signin")
        expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
        window.sign_in(server.person("customer_success"))
        window.go("/me")
        expect(page.get_by_role("button", name="Add a passkey")).to_be_hidden()
        expect(page.locator("main")).to_contain_text("needs script and a browser that knows passkeys")


class Visitor:
    """A browser's requests with a passkey made here, so that any part of an answer may be wrong."""

    def __init__(self, server, cookies=None, csrf=None, agent="visitor", source=None):
        """`source` is an address of this machine's that no other test comes from."""
        self.server = server
        self.cookies = dict(cookies or {})
        self.http = httpx.Client(base_url=server.url, headers={"Sec-Fetch-Site": "same-origin", "User-Agent": agent},
                                 timeout=30, transport=httpx.HTTPTransport(local_address=source))
        self.csrf = csrf or self.token("/signin")

    def send(self, method, path, **more):
        """Keeps cookies itself: they are for secure places, which plain localhost is to browsers alone."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        answer = self.http.request(method, path, headers={"Cookie": cookies} if cookies else {}, **more)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
        self.http.cookies.clear()
        return answer

    def token(self, path):
        return re.search(r'name="csrf" value="([^"]+)"', self.send("GET", path).text).group(1)

    def post(self, path, **fields):
        return self.send("POST", path, data={"csrf": self.csrf, **fields})

    def ask(self, path, **fields):
        answer = self.post(path, **fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def sign_in(self, answer):
        return self.post("/signin/passkey", passkey=json.dumps(answer))

    def sign_in_with_code(self, person):
        page = self.post("/signin", email=person["email"], password=person["password"])
        challenge = re.search(r'name="challenge" value="([^"]+)"', page.text).group(1)
        done = self.post("/signin/code", challenge=challenge, code=self.server.authenticator(person).next())
        assert done.status_code == 303, done.text
        self.csrf = self.token("/me")


@pytest.mark.only("sqlite")
def test_forged_answers_are_each_refused_in_their_own_words(server):
    person = server.person("engineering_oncall")
    member = Visitor(server)
    member.sign_in_with_code(person)
    origin = server.url
    passkey = Passkey()
    passkey.counter = 5
    made = member.post("/me/passkeys", name="Software", passkey=json.dumps(
        passkey.make(member.ask("/me/passkeys/options")["publicKey"], origin)))
    assert made.status_code == 303, made.text

    # What fails here holds back whoever comes from there.
    alone = "127.0.0.2"
    visitor = Visitor(server, source=alone)

    def refused(text, change=lambda passkey: None, at=origin, **more):
        forged = copy.copy(passkey)
        change(forged)
        answer = postern.patiently(
            lambda: visitor.sign_in(forged.use(visitor.ask("/signin/passkey/options")["publicKey"], at, **more)))
        assert answer.status_code in (401, 422) and text in html.unescape(answer.text), answer.text

    refused("which is not this console", at="https://evil.example")
    refused("another site’s page", crossOrigin=True)
    refused("something else than it was asked", type="webauthn.create")
    refused("belongs to another site", lambda one: setattr(one, "rp", "evil.example"))
    refused("nobody touched it", lambda one: setattr(one, "flags", 0x04))
    refused("did not check who you are", lambda one: setattr(one, "flags", 0x01))
    refused("signature is wrong", lambda one: setattr(one, "key", Passkey().key))
    refused("not known here", lambda one: setattr(one, "id", b"nobody's"))
    refused("belongs to another account", lambda one: setattr(one, "handle", b64(b"stf_somebody")))
    refused("not asked in this session", challenge=b64(b"x" * 57))
    refused("counter went back", lambda one: setattr(one, "counter", 1))

    options = visitor.ask("/signin/passkey/options")["publicKey"]
    right = passkey.use(options, origin)
    elsewhere = Visitor(server, source=alone)
    assert "not asked in this session" in html.unescape(elsewhere.sign_in(right).text)
    again = Visitor(server, visitor.cookies, visitor.csrf, source=alone)
    assert visitor.sign_in(right).status_code == 303
    assert "used already" in html.unescape(again.sign_in(right).text)


@pytest.fixture(scope="module")
def server(kind, tmp_path_factory, request):
    """A demo of these tests' own: what they fail at holds back their source, which others share."""
    database = conftest.new_database(kind, request)
    server = postern.Server(tmp_path_factory.mktemp("passkeys") / "demo", database)
    yield server.start()
    server.kill()
    database.drop()


@pytest.fixture(scope="module")
def signed_approval(chromium, server):
    """A request that one super admin made and another approved with a passkey, in place; and a way to look at it."""
    asker = server.sign_in(server.person("super_admin"))
    asked = asker.post("/api/v1/staff", json={
        "input": {"email": "signe.s@northwind.example", "name": "Signe S.", "roles": ["support_l1"]},
        "justification": "Joins support next month.", "ticket": "HR-4"})
    assert asked.status_code == 202, asked.text
    approval = asked.json()["approval_id"]
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("super_admin", 1), path=f"/approvals/{approval}")
        device = VirtualAuthenticator(window)
        add(window, "Approver’s laptop", to=server.person("super_admin", 1))
        window.go(f"/approvals/{approval}/approve")
        page.get_by_label("Justification").fill("Spoke to the team lead.")
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.get_by_role("button", name="Approve with passkey")).to_be_visible()
        device.audit("an approval to be signed")
        window.shot("approval-sign")
        page.get_by_role("button", name="Approve with passkey").click()
        window.heading("Invite staff")
        expect(page.get_by_role("region", name="Signatures")).to_contain_text("a passkey’s signature")
        device.audit("an approval that was signed")
    yield asker, approval
    asker.close()


@pytest.mark.only("sqlite")
def test_an_approval_is_signed_and_verified_by_strangers(server, signed_approval, tmp_path):
    asker, approval = signed_approval
    answer = asker.get(f"approvals/{approval}/evidence")
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    key = httpx.get(server.url + "/log/key").text.strip()
    lines = verify_approval.verify(bundle, key)
    assert any("signed with a passkey at " + server.url in line for line in lines), lines
    assert any(line.startswith("carried out") for line in lines), lines
    # Nothing of a person is in it.
    for word in ("signe.s@", "Signe", "Joins support", "127.0.0.1", "Spoke to"):
        assert word not in answer.text

    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(bundle))
    done = server.run("verify", "approval", "--evidence", str(path), "--key", key)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "signed with a passkey (ES256)" in done.stdout and "carried out" in done.stdout

    # Every part that matters, edited, is found and named by both verifiers.
    decision = next(n for n, r in enumerate(bundle["receipts"]) if "intent" in r["sealed"])
    for name, part in (("signature", "signature"), ("client_data", None), ("authenticator_data", None),
                       ("public_key", None), ("nonce", None), ("action", None)):
        forged = copy.deepcopy(bundle)
        proof = forged["receipts"][decision]["sealed"]["intent"]["value"]
        if name == "action":
            proof["action"]["decision"] = "reject"
        else:
            raw = bytearray(base64.b64decode(proof[name]))
            raw[-1] ^= 1
            proof[name] = base64.b64encode(raw).decode()
        with pytest.raises(verify_approval.Bad, match="sealed member intent"):
            verify_approval.verify(forged, key)
        path.write_text(json.dumps(forged))
        done = server.run("verify", "approval", "--evidence", str(path), "--key", key)
        assert done.returncode == 10 and "sealed member intent" in done.stdout, done.stdout + done.stderr
    forged = copy.deepcopy(bundle)
    leaf = bytearray(base64.b64decode(forged["receipts"][decision]["leaf"]))
    leaf[-3] ^= 1
    forged["receipts"][decision]["leaf"] = base64.b64encode(leaf).decode()
    with pytest.raises((verify_approval.Bad, ValueError)):
        verify_approval.verify(forged, key)
    missing = copy.deepcopy(bundle)
    del missing["receipts"][decision]["sealed"]["intent"]
    with pytest.raises(verify_approval.Bad, match="what the passkey signed is missing"):
        verify_approval.verify(missing, key)
    path.write_text(json.dumps(missing))
    done = server.run("verify", "approval", "--evidence", str(path), "--key", key)
    assert done.returncode == 10 and "is not in the evidence" in done.stdout
    # Whose key it was is said by the log, or it counts for nothing.
    assert len(bundle["registrations"]) == 1
    for registrations in ([], bundle["receipts"][:1]):
        unowned = bundle | {"registrations": registrations}
        with pytest.raises(verify_approval.Bad, match="does not say that the passkey was registered"):
            verify_approval.verify(unowned, key)
        path.write_text(json.dumps(unowned))
        done = server.run("verify", "approval", "--evidence", str(path), "--key", key)
        assert done.returncode == 10 and "does not say that the passkey was registered" in done.stdout, done.stdout
    assert server.run("verify").returncode == 0


def test_the_verifier_knows_the_algebra():
    """Distinct people, one leaf each: what an outsider holds signatures against."""
    def person(*roles, permissions=()):
        return {"as": {"roles": list(roles), "permissions": list(permissions)}}

    security, admin = {"role": ["security"]}, {"role": ["super_admin"]}
    both, either = {"all_of": [security, admin]}, {"any_of": [security, admin]}
    two = {"n": 2, "n_of": [security, security, admin]}
    one = person("security", "super_admin")
    assert not verify_approval.met(both, [one]) and verify_approval.met(either, [one])
    assert verify_approval.met(both, [one, person("security")]) and verify_approval.met(both, [person("super_admin"), one])
    assert not verify_approval.met(two, [person("security")])
    assert verify_approval.met(two, [person("security"), person("security")])
    assert not verify_approval.met({"permission": "tenant.suspend"}, [one])
    assert verify_approval.met({"permission": "tenant.suspend"}, [person(permissions=["tenant.suspend"])])


def test_what_is_signed_over_the_api_is_bound_to_the_action(server):
    """A passkey at the API: the question, the answer, and every answer that is to another question."""
    asker = server.sign_in(server.person("super_admin"))
    signer = server.sign_in(server.person("super_admin", 1))
    passkey = own(server, server.person("super_admin", 1))

    def ask(email):
        answer = asker.post("/api/v1/staff", json={
            "input": {"email": email, "name": "Tom T.", "roles": ["support_l1"]},
            "justification": "Joins support next month.", "ticket": "HR-4"})
        assert answer.status_code == 202, answer.text
        return answer.json()["approval_id"]

    def intent(approval, decision="approve"):
        answer = signer.post(f"/api/v1/approvals/{approval}/intent", json={"decision": decision}, key=None)
        assert answer.status_code == 200, answer.text
        asked = answer.json()
        nonce = base64.urlsafe_b64decode(asked["nonce"] + "==")
        challenge = hashlib.sha256(verify_approval.canonical(asked["action"]) + nonce).digest()
        assert asked["publicKey"]["challenge"] == b64(challenge)
        assert asked["action"]["decision"] == decision and asked["action"]["rp_id"] == "localhost"
        return asked

    def decide(approval, asked, verb="approve", key=True, answer=None):
        return signer.post(f"/api/v1/approvals/{approval}/{verb}", key=key, json={
            "justification": "Looked at it with care.",
            "intent": {"nonce": asked["nonce"], "passkey": answer or passkey.use(asked["publicKey"], server.url)}})

    first, second = ask("tom.t@northwind.example"), ask("tim.t@northwind.example")
    asked = intent(first)
    # To another request, as another decision, twice.
    wrong = decide(second, asked)
    assert wrong.status_code == 422 and "not what would be done now" in wrong.text, wrong.text
    again = decide(first, asked)
    assert again.status_code == 422 and "used already" in again.text, again.text
    wrong = decide(first, intent(first), "reject")
    assert wrong.status_code == 422 and "not what would be done now" in wrong.text
    assert asker.get(f"approvals/{first}").json()["state"] == "pending"

    # Who has a passkey does not agree with a code.
    weaker = signer.post(f"/api/v1/approvals/{first}/approve", json={"justification": "Looked at it with care."})
    assert weaker.status_code == 409 and "You have a passkey" in weaker.text, weaker.text
    # Nor is one given or taken with a code.
    weak = Visitor(server)
    weak.sign_in_with_code(server.person("super_admin", 1))
    kept = re.search(r"/me/passkeys/(fct_\w+)/rename", weak.send("GET", "/me").text).group(1)
    for path, fields in ((f"/me/passkeys/{kept}/remove", {}), ("/me/recovery-codes", {}), ("/me/passkeys", {
            "name": "Another", "passkey": json.dumps(Passkey().make(weak.ask("/me/passkeys/options")["publicKey"], server.url))})):
        answer = weak.post(path, **fields)
        assert answer.status_code == 409 and "so this takes it" in html.unescape(answer.text), (path, answer.status_code, answer.text)

    asked, key = intent(first), postern.new_key()
    answer = passkey.use(asked["publicKey"], server.url)
    done = decide(first, asked, key=key, answer=answer)
    assert done.status_code == 200 and done.json()["execution"]["state"] == "executed", done.text
    same = decide(first, asked, key=key, answer=answer)
    assert same.status_code == 200 and same.headers["Idempotency-Replayed"] == "true", same.text
    # With a code only, the record says so.
    assert signer.post(f"/api/v1/approvals/{second}/reject", json={
        "justification": "Not needed any more."}).status_code == 200
    bundle = asker.get(f"approvals/{second}/evidence").json()
    lines = verify_approval.verify(bundle, httpx.get(server.url + "/log/key").text)
    assert any("not signed" in line for line in lines), lines

    # Taking something back is signed like whatever does it.
    tenant = asker.active_tenant(1)["id"]
    assert asker.suspend(tenant).status_code == 200
    path = f"/api/v1/audit-events/{asker.restore(tenant).json()['event_id']}/undo"
    body = {"reason_code": "non_payment", "justification": "It was somebody else who paid."}
    asked = signer.post(path + "?intent=true", json=body, key=None).json()
    assert asked["action"]["operation"] == "tenant.suspend" and asked["action"]["undoes"] in path, asked
    proof = {"nonce": asked["nonce"], "passkey": passkey.use(asked["publicKey"], server.url)}
    wrong = signer.post(path, json={**body, "justification": "It was something else altogether.", "intent": proof})
    assert wrong.status_code == 422 and "not what would be done now" in wrong.text, wrong.text
    asked = signer.post(path + "?intent=true", json=body, key=None).json()
    proof = {"nonce": asked["nonce"], "passkey": passkey.use(asked["publicKey"], server.url)}
    undone = signer.post(path, json={**body, "intent": proof})
    assert undone.status_code == 200, undone.text
    receipt = signer.get(f"audit-events/{undone.json()['event_id']}/receipt").json()
    _, sealed = verify_approval.event(receipt, httpx.get(server.url + "/log/key").text)
    verify_approval.verify_intent(sealed["intent"], sealed["intent"]["action"])
    # What takes this back is of no high risk: nothing is signed there.
    path = f"/api/v1/audit-events/{undone.json()['event_id']}/undo"
    refused = signer.post(path, json={"justification": "They paid after all.", "intent": proof})
    assert refused.status_code == 422 and "/intent" in refused.text, refused.text
    assert asker.restore(tenant).status_code == 200
    for person in (asker, signer):
        person.close()


@pytest.mark.only("sqlite")
def test_an_operation_of_high_risk_is_signed_in_its_form(chromium, server, tmp_path):
    """What was typed stays while the passkey signs, and the event proves the signature."""
    person = server.person("super_admin")
    watcher = server.sign_in(person)
    with Window(chromium, server, viewport=PHONE, scheme="dark") as window:
        page = window.page
        window.sign_in(person, path="/me")
        device = VirtualAuthenticator(window)
        add(window, "Phone", to=person)
        device.audit("my page on a phone")
        window.go("/staff/new")
        page.locator("#f-input-email").fill("uma.u@northwind.example")
        page.locator("#f-input-name").fill("Uma U.")
        page.locator("input[value=support_l1]").check()
        page.get_by_label("Justification").fill("Joins support in the autumn.")
        page.get_by_role("textbox", name="Ticket").fill("HR-9")
        page.get_by_role("button", name="Preview", exact=True).click()
        button = page.get_by_role("button", name="with passkey")
        expect(button).to_be_visible()
        # Who has a passkey asks with it and in no other way.
        expect(page.get_by_role("button", name=re.compile("^Ask to |with the code"))).to_have_count(0)
        device.audit("an operation to be signed, on a phone")

        # The device says no: nothing is sent, and everything stays.
        device.verify(False)
        button.click()
        expect(page.locator("[data-passkey-says]")).to_contain_text("was not used", timeout=30_000)
        expect(page.get_by_label("Justification")).to_have_value("Joins support in the autumn.")
        device.verify(True)
        button.click()
        page.wait_for_url(re.compile("/done/key_"))
        approval = re.search(r"apr_[0-9A-Z]{26}", page.content()).group(0)
    key = httpx.get(server.url + "/log/key").text.strip()
    bundle = watcher.get(f"approvals/{approval}/evidence").json()
    asked = bundle["receipts"][0]
    body, sealed = verify_approval.event(asked, key)
    action = sealed["intent"]["action"]
    assert action["operation"] == "staff.invite" and action["operation_id"] == body["operation_id"]
    assert action["sealed"]["justification"] == body["sealed"]["justification"]
    lines = verify_approval.verify(bundle, key)
    assert lines[0].startswith(f"request by {watcher.id}: signed with a passkey"), lines
    path = tmp_path / "evidence.json"
    path.write_text(json.dumps(bundle))
    done = server.run("verify", "approval", "--evidence", str(path), "--key", key)
    assert done.returncode == 0 and "request by" in done.stdout, done.stdout + done.stderr

    # Another person agrees, with a code, having nothing better; it is carried out as it was signed.
    signer = server.sign_in(server.person("security"))
    agreed = signer.post(f"/api/v1/approvals/{approval}/approve", json={"justification": "Yes, I know of it."})
    assert agreed.status_code == 200 and agreed.json()["execution"]["state"] == "executed", agreed.text
    lines = verify_approval.verify(watcher.get(f"approvals/{approval}/evidence").json(), key)
    assert any("method totp" in line for line in lines) and lines[-1].startswith("carried out"), lines

    # At once, without approval: the receipt of the event proves it.
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(person, path="/me")
        device = VirtualAuthenticator(window)
        add(window, "Laptop", to=person)
        tenant = watcher.active_tenant()
        window.go(f"/tenants/{tenant['id']}/suspend")
        page.get_by_label("Reason", exact=True).select_option("abuse")
        page.get_by_label("Justification").fill("Sends spam to everybody.")
        page.get_by_role("button", name="Preview", exact=True).click()
        page.get_by_role("button", name="Suspend with passkey").click()
        page.wait_for_url(re.compile("/done/key_"))
        event = re.search(r"evt_[0-9A-Z]{26}", page.content()).group(0)
    receipt = watcher.get(f"audit-events/{event}/receipt").json()
    body, sealed = verify_approval.event(receipt, key)
    assert sealed["intent"]["action"]["operation_id"] == body["operation_id"]
    verify_approval.verify_intent(sealed["intent"], sealed["intent"]["action"])
    path.write_text(json.dumps(receipt))
    done = server.run("verify", "--receipt", str(path), "--key", key)
    assert done.returncode == 0 and "signed with a passkey" in done.stdout, done.stdout + done.stderr
    assert server.run("verify").returncode == 0
    watcher.close()
    signer.close()


@pytest.mark.only("sqlite")
def test_a_passkey_can_be_the_first_factor(chromium, server):
    asker = server.sign_in(server.person("super_admin"))
    signer = server.sign_in(server.person("security"))
    asked = asker.post("/api/v1/staff", json={
        "input": {"email": "vera.v@northwind.example", "name": "Vera V.", "roles": ["support_l1"]},
        "justification": "Joins support next month.", "ticket": "HR-4"}).json()["approval_id"]
    assert signer.post(f"/api/v1/approvals/{asked}/approve", json={"justification": "Yes, I know."}).status_code == 200
    link = asker.post(f"/api/v1/approvals/{asked}/reveal", json={}, key=None).json()["reveal"]["enrolment_link"]
    path = link[len(server.url):]
    with Window(chromium, server, viewport=PHONE) as window:
        window.go(path)
        window.audit("enrolment on a phone")
    with Window(chromium, server) as window:
        page = window.page
        window.go(path)
        window.audit("enrolment")
        window.shot("enrolment")
        device = VirtualAuthenticator(window)
        window.go(path)
        page.get_by_label("New password").fill("plum tractor vivid")
        page.get_by_role("button", name="Make a passkey and sign in").click()
        window.heading("Keep these recovery codes")
        page.get_by_role("link", name="I kept them").click()
        window.go("/me")
        expect(page.get_by_role("button", name="Remove My first passkey")).to_have_count(0)
        passkeys = page.get_by_role("region", name="Passkeys")
        expect(passkeys).to_contain_text("your only factor, so it can’t be removed yet")
        # Nor is it past the page.
        window.is_whole()
        factor = re.search(r"/me/passkeys/(fct_\w+)/rename", page.content()).group(1)
        past = by_hand(window).post(f"/me/passkeys/{factor}/remove")
        assert past.status_code == 409 and "Add another passkey or an authenticator app first" in past.text, past.text

        # An authenticator app beside it, and the passkey could go.
        page.get_by_role("button", name="Set up an authenticator app").click()
        window.heading("Add to your authenticator")
        device.audit("an authenticator app is set up")
        window.shot("authenticator-app")
        secret = page.locator("main .id").first.inner_text().replace(" ", "")
        page.get_by_label("Code the app shows now").fill("000000")
        page.get_by_role("button", name="Use this app").click()
        expect(page.get_by_text("That code does not fit")).to_be_visible()
        assert page.locator("main .id").first.inner_text().replace(" ", "") == secret
        page.get_by_label("Code the app shows now").fill(totp.code(secret, int(time.time() // totp.STEP)))
        page.get_by_role("button", name="Use this app").click()
        expect(page.get_by_text("The authenticator app is set up.")).to_be_visible()
        expect(page.get_by_role("button", name="Remove My first passkey")).to_be_visible()
        page.get_by_role("button", name="Remove the app").click()
        expect(page.get_by_text("The authenticator app is removed.")).to_be_visible()
        sign_out_quietly(window, device)
        sign_in(window, device)
    for person in (asker, signer):
        person.close()


# Last: whose approval it takes elsewhere has a passkey from here on.
@pytest.mark.only("sqlite")
def test_several_at_once_are_confirmed_with_a_passkey(chromium, server):
    ruth = server.sign_in(server.person("compliance"))
    person = server.person("security")
    review = start(ruth, roles=["super_admin"], reviewers=[person["email"]])
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(person)
        device = VirtualAuthenticator(window)
        add(window, "Reviewer’s laptop")

        def tick(verb, *rows):
            window.go(f"/access-reviews/{review}?state=open")
            for row in rows:
                page.locator("tbody input[type=checkbox]").nth(row).check()
            page.get_by_role("button", name=f"{verb}…", exact=True).click()
            window.heading(f"^{verb} {len(rows)} grants" if len(rows) > 1 else f"^{verb} grant")

        # One alone has its own form, where the passkey signs it.
        tick("Keep", 0)
        assert re.fullmatch(r"/access-review-items/\w+/keep", window.path), window.path
        # The code of the sign-in is not as good, however fresh it is.
        tick("Keep", 0, 1)
        expect(page.get_by_label("Code from your authenticator")).to_have_count(0)
        expect(page.get_by_role("button", name="Keep 2 grants with passkey")).to_be_visible()
        expect(page.get_by_role("button", name="Keep 2 grants", exact=True)).to_have_count(0)
        # Nor is it past the page.
        window.is_whole()
        past = by_hand(window).post(
            "/several", operation="access_review_item.keep", action="confirm", reason_code="needed",
            justification="Both are on the rota of this quarter.",
            id=[one.get_attribute("value") for one in page.locator("input[name=id]").all()])
        assert past.status_code == 401 and "several at once are confirmed with it" in past.text, past.text
        # Once the passkey was used nothing is asked for while that is fresh.
        window.go("/step-up?next=/me")
        page.get_by_role("button", name="Use your passkey").click()
        window.heading("My security")
        tick("Keep", 0, 1)
        expect(page.get_by_role("button", name="Keep 2 grants", exact=True)).to_be_visible()
        expect(page.get_by_role("button", name="with passkey")).to_have_count(0)
        write_as_owner(server, "UPDATE sessions SET mfa_at = mfa_at - 600000000 WHERE ended_at IS NULL")
        tick("Keep", 0, 1)
        expect(page.get_by_label("Code from your authenticator")).to_have_count(0)
        button = page.get_by_role("button", name="Keep 2 grants with passkey")
        device.audit("several to be confirmed with a passkey")
        window.shot("several-passkey")
        # What is missing is said before the device is asked, and nothing typed is lost by what it refuses.
        button.click()
        expect(page.locator("[data-passkey-says]")).to_contain_text("ustification")
        page.get_by_label("Reason").select_option("needed")
        page.get_by_label("Justification").fill("Both are on the rota of this quarter.")
        device.verify(False)
        button.click()
        expect(page.locator("[data-passkey-says]")).to_be_visible(timeout=30_000)
        device.verify(True)
        button.click()
        window.heading("Keep 2 grants: 2 of 2 done")
        device.audit("several that were confirmed with a passkey")
        device.remove()
    kept = ruth.get(f"access-reviews/{review}/items?state=kept").json()["items"]
    assert len(kept) == 2 and len({one["event_id"] for one in kept}) == 2
    # The record says what proved who it was.
    event = server.sign_in(server.person("super_admin")).get(f"audit-events/{kept[0]['event_id']}").json()
    assert "webauthn" in json.dumps(event), event
    ruth.close()
