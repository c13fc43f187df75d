"""Single sign-on with a real provider and a real browser, and command lines that are let in by one."""
import html
import json
import re
import sqlite3
import time

import checker
import httpx
import pytest
import postern
from browser import OF_COLOURS, PHONE, Window
from passkeys import VirtualAuthenticator
from playwright.sync_api import expect
from sso import Authority, Provider, WaitingLogin


@pytest.fixture(scope="module")
def provider():
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def site(provider, tmp_path_factory):
    """A demo whose people may sign in through the provider."""
    server = postern.Server(tmp_path_factory.mktemp("sso") / "server", **provider.settings())
    try:
        yield server.start()
        server.stop()
    finally:
        server.kill()


class Door(Window):
    """A window that may go to the provider too."""

    def __init__(self, chromium, server, provider, **more):
        super().__init__(chromium, server, **more)
        self.provider = provider
        # Its pages want a stylesheet of the world's.
        self.context.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(body="", content_type="text/css"))

    def requested(self, request):
        if not request.url.startswith((self.provider.url, "https://cdn.jsdelivr.net/")):
            super().requested(request)

    def leave(self, path="/signin"):
        """To the provider."""
        if path:
            self.go(path)
        self.page.get_by_role("button", name="Sign in with Acme SSO").click()
        self.page.wait_for_url(re.compile(re.escape(self.provider.url)))

    def agree(self, sub):
        self.page.get_by_placeholder("sub").fill(sub)
        self.page.get_by_role("button", name="Authorize", exact=True).click()
        self.page.wait_for_url(re.compile("^" + re.escape(self.server.url)))

    def sso(self, sub, path="/signin"):
        self.leave(path)
        self.agree(sub)
        return self

    def give_code(self, person):
        self.page.get_by_label("Code from your authenticator").fill(self.server.authenticator(person).next())
        self.page.get_by_role("button", name="Sign in", exact=True).click()

    def sign_out(self):
        self.page.evaluate("document.querySelector('form[action=\"/signout\"]').submit()")
        self.heading("signed out here")

    def alert(self, text):
        expect(self.page.get_by_role("alert").first).to_contain_text(text)


def events(server, action):
    """Leaves of an action, oldest first."""
    with checker.Database.of(server) as database:
        rows = database.rows("SELECT leaf FROM events WHERE action = ? ORDER BY at, id", action)
    return [json.loads(bytes(row["leaf"])) for row in rows]


def linked(window, provider, sub, person):
    """Ties the two accounts together by signing in once."""
    provider.person(sub, person)
    window.sso(sub)
    window.heading("Enter your code")
    window.give_code(person)
    expect(window.page.get_by_role("heading", level=1)).not_to_have_text(re.compile("code"))
    return window


def test_the_first_time_a_factor_of_ones_own_links_and_then_the_provider_is_enough(chromium, site, provider):
    person = site.person("support_l2")
    provider.person("sub-l2", person)
    with Door(chromium, site, provider) as window:
        page = window.page
        window.go("/signin?next=/approvals")
        window.audit("sign-in with a provider")
        window.shot("sso-signin")
        window.leave(path=None)
        window.agree("sub-l2")
        window.heading("Enter your code")
        expect(page.locator("main")).to_contain_text("Acme SSO knows you. Show once that this is you here, too.")
        window.audit("the step that links")
        window.shot("sso-link")
        # A wrong code keeps the step.
        page.get_by_label("Code from your authenticator").fill("000000")
        page.get_by_role("button", name="Sign in", exact=True).click()
        window.alert("That did not work")
        expect(page.locator("main")).to_contain_text("Acme SSO knows you")
        page.get_by_role("button", name="Use a recovery code instead").click()
        expect(page.locator("main")).to_contain_text("Acme SSO knows you")
        page.get_by_role("button", name="Use the authenticator instead").click()
        window.give_code(person)
        page.wait_for_url(re.compile("/approvals$"))
        window.go("/me")
        expect(page.get_by_role("region", name="Single sign-on")).to_contain_text(person["email"])
        window.audit("my page with a link")
        window.shot("sso-me")

        window.sign_out()
        window.audit("signed out here")
        window.shot("sso-out")
        page.get_by_role("link", name="Sign out of Acme SSO too").click()
        page.get_by_role("button", name="End session").click()
        page.wait_for_url(re.compile(r"/signin\?out=1$"))

        # The provider said that a second factor was used just now: nothing more is asked, also not for high risk.
        provider.person("sub-l2", person)
        window.sso("sub-l2", "/signin?next=/me")
        window.heading("My security")
        expect(page.get_by_role("button", name="Change password")).to_be_visible()
        # What the provider says is nobody's own factor, which factors are changed with.
        expect(page.get_by_role("button", name="Make new recovery codes")).to_have_count(0)
        # The secret of the sign-in stays nowhere in the address.
        assert "code=" not in page.url and "state=" not in page.url
    assert [event["facts"]["method"] for event in events(site, "oidc.link")] == ["oidc"]
    assert events(site, "signin.succeeded")[-1]["auth"]["factors"] == ["oidc"]


def test_without_amr_the_second_factor_is_asked_here_every_time(chromium, site, provider):
    person = site.person("billing_ops")
    with Door(chromium, site, provider, script=False) as window:
        linked(window, provider, "sub-billing", person)
        provider.person("sub-billing", person, amr=None)
        for _ in range(2):
            window.context.clear_cookies()
            window.sso("sub-billing")
            window.heading("Enter your code")
            expect(window.page.locator("main")).to_contain_text("did not ask for a second factor")
            window.give_code(person)
            expect(window.page.get_by_role("heading", level=1)).not_to_have_text(re.compile("code"))


def test_a_passkey_is_the_second_factor_after_the_provider(chromium, site, provider):
    person = site.person("engineering_oncall")
    with Door(chromium, site, provider) as window:
        window.sign_in(person)
        device = VirtualAuthenticator(window)
        window.go("/me")
        window.page.get_by_label("Name", exact=True).fill("Laptop")
        window.page.get_by_role("button", name="Add a passkey").click()
        expect(window.page.locator("main")).to_contain_text("The passkey is yours.")
        device.agree(False)
        window.page.evaluate("document.querySelector('form[action=\"/signout\"]').submit()")
        window.heading("Sign in")
        provider.person("sub-oncall", person, amr=None)
        window.sso("sub-oncall", path=None)
        window.heading("Enter your code")
        device.agree()
        window.page.get_by_role("button", name="Use a passkey").click()
        expect(window.page.get_by_role("heading", level=1)).not_to_have_text(re.compile("code"))
        window.go("/me")
        expect(window.page.get_by_role("region", name="Single sign-on")).to_contain_text("Unlink")
        device.remove()
    assert events(site, "signin.succeeded")[-1]["auth"]["factors"] == ["oidc", "webauthn"]


# ---- what is not as it must be


class Visitor:
    """A browser without a window: carries the form's cookie, which a client without TLS would not send by itself."""

    def __init__(self, server):
        self.http = httpx.Client(base_url=server.url)
        page = self.http.get("/signin")
        self.csrf = re.search('name="csrf" value="([^"]+)"', page.text).group(1)
        self.cookie = {"Cookie": page.headers["Set-Cookie"].split(";")[0]}

    def post(self, site="same-origin", **fields):
        return self.http.post("/signin/oidc/start", headers={**self.cookie, "Sec-Fetch-Site": site}, data=fields)

    def get(self, path):
        return self.http.get(path, headers=self.cookie)

    def back(self, sub, **fields):
        """Goes to the provider, agrees there, and answers where that sends the browser."""
        on = self.post(csrf=self.csrf, **fields)
        assert on.status_code == 200, on.text
        return httpx.post(on.headers["Refresh"].removeprefix("0;url="), data={"sub": sub}).headers["Location"]


@pytest.mark.parametrize("claims, words", [
    ({"email": "stranger@acme.example"}, "no active account here has your address"),
    ({"email_verified": False}, "does not say that your e-mail address is verified"),
    ({"email": None}, "does not say that your e-mail address is verified"),
    ({"aud": "another"}, "for another application"),
    ({"iss": "http://localhost:1"}, "comes from somebody else"),
    ({"exp": 1000}, "its token is over"),
    ({"iat": 4000000000}, "made in the future"),
    ({"nbf": 4000000000}, "not valid yet"),
    ({"nonce": "another"}, "belongs to another sign-in"),
    ({"azp": "another"}, "given to another application"),
    ({"auth_time": 1000}, "older than it may be"),
])
def test_what_is_not_as_it_must_be_is_refused_in_words(site, provider, claims, words):
    provider.person("sub-odd", site.person("security"), **claims)
    browser = Visitor(site)
    answer = browser.get(browser.back("sub-odd", next="/tenants"))
    assert 400 <= answer.status_code < 500, answer.text
    assert not re.search("postern_staff=[^;]", answer.headers.get("Set-Cookie", "")), answer.headers
    assert words in " ".join(html.unescape(re.sub("<[^>]+>", "", answer.text)).split()), answer.text
    # Where one wanted to go is kept.
    assert 'name="next" value="/tenants"' in answer.text, answer.text


def test_the_refusal_is_a_page_like_another(chromium, site, provider):
    provider.person("sub-odd", site.person("security"), email="stranger@acme.example")
    with Door(chromium, site, provider) as window:
        window.sso("sub-odd", "/signin?next=/tenants")
        window.heading("Sign in")
        window.alert("no active account here has your address")
        # The other ways in are there.
        expect(window.page.get_by_label("Password", exact=True)).to_be_visible()
        expect(window.page.locator("input[name=next]").first).to_have_attribute("value", "/tenants")
        assert not any(cookie["name"].endswith("postern_staff") for cookie in window.context.cookies())
        window.audit("a refused single sign-on")
        window.dress("dark")
        window.audit("a refused single sign-on", rules=OF_COLOURS)
        window.shot("sso-refused-dark")
        window.dress("light", PHONE)
        window.audit("a refused single sign-on on a phone")
        window.shot("sso-refused-phone")


def test_who_cancels_there_comes_back_in_words_and_nothing_is_echoed(chromium, site, provider):
    with Door(chromium, site, provider) as window:
        window.leave()
        window.page.get_by_role("button", name="Deny").click()
        window.heading("Sign in")
        # This one forgets the state when it refuses.
        window.alert("Acme SSO sent you back without letting you in. Begin again.")
        window.leave()
        state = re.search("state=([^&]+)", window.page.url).group(1)
        window.go(f"/signin/oidc?state={state}&error=access_denied")
        window.alert("did not let you in, or you pressed Cancel there")
        window.leave()
        state = re.search("state=([^&]+)", window.page.url).group(1)
        window.go(f"/signin/oidc?state={state}&error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=%3Cb%3Ebold%3C/b%3E")
        window.alert("refused, without a reason that is known here")
        window.is_whole()
        assert "bold" not in window.page.content() and "alert(1)" not in window.page.content()


def test_the_answer_is_for_the_browser_that_asked_and_counts_once(chromium, site, provider):
    person = site.person("finance_lead")
    provider.person("sub-finance", person)
    with Door(chromium, site, provider) as mine, Door(chromium, site, provider) as other:
        mine.leave()
        # What the provider sends the browser back with, before it arrives.
        answer = httpx.post(mine.page.url, data={"sub": "sub-finance"}).headers["Location"]
        # Somebody who was sent the address (login CSRF, or a stolen code).
        other.go(answer)
        other.alert("allow cookies")
        other.go("/signin")
        other.go(answer)
        other.alert("begun in another browser")
        mine.go(answer)
        mine.heading("Enter your code")
        mine.give_code(person)
        expect(mine.page.get_by_role("heading", level=1)).not_to_have_text(re.compile("code"))
        # Again, signed in by now.
        mine.go(answer)
        mine.alert("was used already")


def test_a_code_is_redeemed_once_and_only_with_its_verifier(site, provider):
    provider.person("sub-code", site.person("head_of_cs"))
    browser = Visitor(site)
    on = browser.post(csrf=browser.csrf, next="//evil.example")
    assert on.status_code == 200 and on.headers["Refresh"].startswith(f"0;url={provider.url}/oauth2/authorize?")
    address = on.headers["Refresh"].removeprefix("0;url=")
    assert "code_challenge_method=S256" in address and "nonce=" in address
    back = httpx.post(address, data={"sub": "sub-code"}).headers["Location"]
    assert back.startswith(f"{site.url}/signin/oidc?")
    first = browser.get(back)
    assert first.status_code == 200 and "Enter your code" in first.text and "evil" not in first.text
    assert browser.get(back).status_code == 403
    # The code is worth nothing at the provider any more.
    code = re.search("code=([^&]+)", back).group(1)
    again = httpx.post(f"{provider.url}/oauth2/token", auth=("postern", "x"), data={
        "grant_type": "authorization_code", "code": code, "redirect_uri": f"{site.url}/signin/oidc"})
    assert again.status_code == 400


def test_forms_that_leave_come_from_here(site):
    browser = Visitor(site)
    for answer in (browser.post(site="cross-site", csrf=browser.csrf), browser.post(next="/"), browser.post(csrf="x")):
        assert answer.status_code == 403 and "Refresh" not in answer.headers


def test_keys_change_and_the_provider_goes_away(chromium, site, provider):
    person = site.person("compliance")
    with Door(chromium, site, provider) as window:
        linked(window, provider, "sub-compliance", person)
        provider.change_keys()
        window.context.clear_cookies()
        provider.person("sub-compliance", person)
        window.sso("sub-compliance", "/signin?next=/me")
        window.heading("My security")

        window.context.clear_cookies()
        window.leave()
        state = re.search("state=([^&]+)", window.page.url).group(1)
        provider.stop()
        try:
            # It ended between the two.
            window.go(f"/signin/oidc?state={state}&code=any")
            window.alert("can’t be reached right now")
            window.alert("Sign in with your password or a passkey meanwhile")
            window.audit("the provider is away")
            window.shot("sso-away")
            window.sign_in(person, path=None)
            window.go("/me")
            window.heading("My security")
        finally:
            provider.start()


def test_linking_and_unlinking_while_signed_in(chromium, site, provider):
    person = site.person("customer_success")
    provider.put("sub-cs", email="private@elsewhere.example", amr=["mfa"], auth_time=int(time.time()))
    with Door(chromium, site, provider) as window:
        page = window.page
        window.sign_in(person)
        window.go("/me")
        page.get_by_role("button", name="Link Acme SSO").click()
        page.wait_for_url(re.compile(re.escape(provider.url)))
        window.agree("sub-cs")
        window.heading("My security")
        expect(page.locator("main")).to_contain_text("Acme SSO signs you in from now on.")
        expect(page.get_by_role("region", name="Single sign-on")).to_contain_text("private@elsewhere.example")
    with Door(chromium, site, provider) as window:
        page = window.page
        window.sso("sub-cs", "/signin?next=/me")
        window.heading("My security")
        # Nobody else gets it.
        other = Door(chromium, site, provider)
        other.sign_in(site.person("head_of_cs"))
        other.go("/me")
        other.page.get_by_role("button", name="Link Acme SSO").click()
        other.page.wait_for_url(re.compile(re.escape(provider.url)))
        other.agree("sub-cs")
        other.heading("My security")
        other.alert("linked to somebody here already")
        other.close()
        page.get_by_role("button", name="Unlink Acme SSO").click()
        expect(page.locator("main")).to_contain_text("Acme SSO no longer signs you in.")
        window.context.clear_cookies()
        window.sso("sub-cs")
        window.alert("verified")


def test_the_provider_ends_sessions_by_itself(chromium, site, provider):
    person = site.person("security")
    with Door(chromium, site, provider) as window:
        linked(window, provider, "sub-ic", person)
        provider.person("sub-ic", person, sid="there-1")
        window.context.clear_cookies()
        window.sso("sub-ic", "/signin?next=/me")
        window.heading("My security")

        def say(token):
            return httpx.post(f"{site.url}/signin/oidc/logout", data={"logout_token": token})

        good = provider.logout_token(sid="there-1")
        tampered = good[:-6] + ("AAAAAA" if not good.endswith("AAAAAA") else "BBBBBB")
        for wrong in ("", "a.b.c", tampered, provider.logout_token(), provider.logout_token(sid="there-1", nonce="n"),
                      provider.logout_token(sid="there-1", aud="another"), provider.logout_token(sid="there-1", events={}),
                      provider.logout_token(sid="there-1", iat=int(time.time()) - 3600)):
            answer = say(wrong)
            assert answer.status_code == 400 and answer.json()["error"] == "invalid_request", wrong
        assert say(provider.logout_token(sid="another")).status_code == 200
        window.go("/me")
        window.heading("My security")
        answer = say(good)
        assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store", answer.text
        assert say(good).status_code == 400, "a token counts once"
        window.go("/me")
        window.heading("Sign in")
    assert events(site, "oidc.logout")[-1]["facts"]["sessions_ended"] == 1


def test_a_form_that_was_open_survives_the_way_through_the_provider(chromium, site, provider):
    person = site.person("super_admin")
    with Door(chromium, site, provider) as window:
        page = window.page
        linked(window, provider, "sub-root", person)
        window.go("/staff/new")
        page.get_by_label("Name", exact=True).fill("Kept Over There")
        window.context.clear_cookies()
        page.get_by_role("button", name="Preview").click()
        window.heading("Sign in")
        provider.person("sub-root", person)
        # The cookie of the form came with this page.
        page.get_by_role("button", name="Sign in with Acme SSO").click()
        page.wait_for_url(re.compile(re.escape(provider.url)))
        window.agree("sub-root")
        expect(page.get_by_label("Name", exact=True)).to_have_value("Kept Over There")


def test_where_the_provider_is_demanded_there_is_no_other_door(chromium, provider, tmp_path):
    server = postern.Server(tmp_path / "required", **provider.settings(POSTERN_OIDC_REQUIRED="true"))
    try:
        server.start()
        # How it is set is told by name, never by value.
        changed = events(server, "oidc.settings_changed")
        assert len(changed) == 1 and {"oidc_required", "oidc_client_secret"} <= set(changed[0]["facts"]["changed"]), changed
        assert "only-for-tests" not in json.dumps(changed) and provider.url not in json.dumps(changed)
        person = server.person("security")
        answer = httpx.post(f"{server.url}/api/v1/sessions", json={"email": person["email"], "password": person["password"]})
        assert answer.status_code == 409 and "Acme SSO alone" in answer.json()["detail"]
        with Door(chromium, server, provider) as window:
            window.go("/signin")
            expect(window.page.get_by_label("Password", exact=True)).to_have_count(0)
            window.audit("sign-in through the provider alone")
            window.shot("sso-only")
            linked(window, provider, "sub-demanded", person)
        login = WaitingLogin(server, tmp_path)
        refused = login.run("login", "--email", person["email"], "--password-stdin", "--code", "000000")
        login.kill()
        assert refused.returncode == 2 or "alone" in refused.stderr
        done = server.run("doctor", POSTERN_ENVIRONMENT="demo")
        assert f"redirect address {server.url}/signin/oidc" in done.stdout and "1 key." in done.stdout, done.stdout
        done = server.run("doctor", POSTERN_ENVIRONMENT="demo", POSTERN_OIDC_ISSUER=provider.url + "/")
        assert done.returncode != 0 and "another issuer" in done.stdout, done.stdout
    finally:
        server.kill()


# ---- roles of a claim, and a provider with a certificate of one's own


def claimed(server, action):
    """What was done by a claim; the demo's directory did some of it before."""
    return [event for event in events(server, action) if event["actor"]["id"] == "oidc"]


def test_a_claim_gives_roles_lets_power_wait_and_takes_back_what_it_gave(chromium, provider, tmp_path):
    server = postern.Server(tmp_path / "server", **provider.settings(
        POSTERN_OIDC_ROLES_CLAIM="groups", POSTERN_OIDC_ROLES="Support Agents=support_l1, Refunds=billing_ops, Law=legal"))
    try:
        server.start()
        person = server.person("customer_success")
        admin = server.sign_in(server.person("super_admin"))
        id = next(one["id"] for one in admin.get("staff").json()["items"] if one["email"] == person["email"])
        had = admin.get(f"staff/{id}").json()["roles"]

        def asked():
            return [one["role"] for one in admin.get("pending-grants").json()["items"] if one["staff_id"] == id]

        # The demo's directory asks for one already.
        before = asked()

        def waiting():
            return sorted(role for role in asked() if role not in before)

        with Door(chromium, server, provider) as window:
            # The first time there is a factor before anything is given.
            provider.person("sub-claims", person, groups=["Support Agents", "Law", "Cooks"])
            window.sso("sub-claims")
            window.heading("Enter your code")
            assert admin.get(f"staff/{id}").json()["roles"] == had and waiting() == []
            window.give_code(person)
            expect(window.page.get_by_role("heading", level=1)).not_to_have_text(re.compile("code"))
            assert admin.get(f"staff/{id}").json()["roles"] == sorted(had + ["support_l1"])
            assert waiting() == ["legal"]
            # What the role shows is there with the first page.
            window.go("/me")
            expect(window.page.locator("main")).to_contain_text("Support L1")
            given = claimed(server, "staff.provision_role")
            assert [(e["facts"]["cause"], e["outcome"]) for e in given] == [("claim", "applied")] * 2

            # The same again says nothing new; refunds are not held together with support.
            window.context.clear_cookies()
            provider.person("sub-claims", person, groups=["Support Agents", "Law"])
            window.sso("sub-claims")
            assert len(claimed(server, "staff.provision_role")) == 2
            window.context.clear_cookies()
            provider.person("sub-claims", person)
            window.sso("sub-claims")
            expect(window.page.get_by_role("heading", level=1)).not_to_have_text(re.compile("Sign in"))
            assert admin.get(f"staff/{id}").json()["roles"] == had and waiting() == []
            taken = claimed(server, "staff.withdraw_role")
            assert sorted(e["facts"]["revoked"][0] for e in taken) == ["legal", "support_l1"]
            window.context.clear_cookies()
            provider.person("sub-claims", person, groups=["Support Agents", "Refunds"])
            window.sso("sub-claims")
            assert waiting() == ["billing_ops"]

        with Window(chromium, server) as window:
            window.sign_in(server.person("super_admin", 1))
            window.go(f"/staff/{id}")
            expect(window.page.locator("main")).to_contain_text("the identity provider")
            expect(window.page.get_by_role("region", name="Grants that wait")).to_contain_text("Single sign-on")
            window.audit("a person with roles of a claim")
            window.shot("sso-claims")
        admin.close()
        done = server.run("doctor", POSTERN_ENVIRONMENT="demo")
        assert "The claim is groups; 3 values of it stand for billing_ops, legal, support_l1." in done.stdout, done.stdout
        assert "oidc_required: true takes that way out" in done.stdout, done.stdout
        done = server.run("doctor", POSTERN_ENVIRONMENT="demo", POSTERN_OIDC_ROLES="Cooks=chef")
        assert done.returncode != 0 and 'oidc_roles gives "Cooks" the role chef, which there is not.' in done.stdout, done.stdout
        assert server.run("verify").returncode == 0
        server.stop()
    finally:
        server.kill()


def test_a_provider_with_a_certificate_of_ones_own(chromium, tmp_path):
    ours, another = Authority(tmp_path / "ours"), Authority(tmp_path / "another")
    provider = Provider(ours)
    server = postern.Server(tmp_path / "server", **provider.settings(POSTERN_OIDC_CA_FILE=str(ours.file)))
    try:
        server.start()
        done = server.run("doctor", POSTERN_ENVIRONMENT="demo")
        assert "Acme SSO answers; 1 key." in done.stdout, done.stdout
        (tmp_path / "empty.pem").write_text("nothing")
        for file, words in (("", "its certificate is not trusted"), (another.file, "its certificate is not trusted"),
                            (tmp_path / "none.pem", "none.pem, is not there or can’t be read"),
                            (tmp_path / "empty.pem", "empty.pem, holds no certificate in PEM")):
            done = server.run("doctor", POSTERN_ENVIRONMENT="demo", POSTERN_OIDC_CA_FILE=str(file))
            assert done.returncode != 0 and words in done.stdout, done.stdout
        with Door(chromium, server, provider, ignore_https_errors=True) as window:
            linked(window, provider, "sub-tls", server.person("support_l2"))
            # A file that takes its place counts with the next start, which tells of it.
            ours.file.write_bytes(another.file.read_bytes())
            window.context.clear_cookies()
            window.sso("sub-tls")
            expect(window.page.get_by_role("heading", level=1)).not_to_have_text(re.compile("Sign in"))
            server.stop()
            server.start()
            assert events(server, "oidc.settings_changed")[-1]["facts"]["changed"] == ["oidc_ca_file"]
            window.context.clear_cookies()
            window.go("/signin")
            window.page.get_by_role("button", name="Sign in with Acme SSO").click()
            window.alert("its certificate is not trusted")
            # What a browser notes of such an answer, and of a server that starts anew, is expected.
            assert any("503" in trouble for trouble in window.troubles), window.troubles
            window.troubles.clear()
        server.stop()
    finally:
        server.kill()
        provider.stop()


def test_half_a_configuration_is_refused(site, provider):
    for extra, words in (({"POSTERN_OIDC_CLIENT_SECRET": ""}, "oidc_issuer is set but oidc_client_secret is not"),
                         ({"POSTERN_OIDC_ISSUER": "http://idp.example.com"}, "oidc_issuer must begin with https://"),
                         ({"POSTERN_OIDC_ISSUER": "", "POSTERN_OIDC_CLIENT_ID": "", "POSTERN_OIDC_CLIENT_SECRET": "",
                           "POSTERN_OIDC_NAME": "", "POSTERN_OIDC_REQUIRED": "true"}, "nobody could sign in")):
        done = site.run("doctor", **extra)
        assert done.returncode != 0 and words in done.stdout, done.stdout + done.stderr


# ---- command lines


def approve(window, login):
    page = window.page
    page.get_by_role("button", name="Continue").click()
    expect(page.locator("main")).to_contain_text("Did you type postern login yourself, a moment ago?")
    page.get_by_role("button", name="Approve: it is my machine").click()
    expect(page.locator("main")).to_contain_text("The command line is let in.")


def test_a_command_line_is_let_in_by_a_browser(chromium, sqlite_server, tmp_path):
    server = sqlite_server
    person = server.person("support_l1")
    login = WaitingLogin(server, tmp_path)
    assert login.address == f"{server.url}/device?code={login.code}"
    with Window(chromium, server) as window:
        page = window.page
        # From the address to the sign-in and back.
        window.go(login.address)
        window.sign_in(person, path=None)
        window.heading("Sign in a command line")
        expect(page.get_by_label("Code in your terminal")).to_have_value(login.code)
        window.audit("the code of a command line")
        # Another code first.
        page.get_by_label("Code in your terminal").fill("BBBB-BBBB")
        page.get_by_role("button", name="Continue").click()
        expect(page.locator("main")).to_contain_text("No command line waits with this code.")
        page.get_by_label("Code in your terminal").fill(login.code.lower().replace("-", ""))
        page.get_by_role("button", name="Continue").click()
        panel = page.get_by_role("region", name="Who asks")
        expect(panel).to_contain_text(login.code)
        expect(panel).to_contain_text("in the same network as you")
        expect(page.get_by_role("region", name="What it may do")).to_contain_text("Support L1")
        window.audit("a command line that waits")
        window.shot("device")
        page.get_by_role("button", name="Approve: it is my machine").click()
        expect(page.locator("main")).to_contain_text("The command line is let in.")
        window.audit("a command line that was let in")
        status, out, error = login.end()
        assert status == 0 and f"Signed in to {server.url} as" in out, error
        assert person["email"] in login.run("whoami").stdout
        credentials = tmp_path / "postern/credentials"
        assert credentials.stat().st_mode & 0o077 == 0

        window.go("/me")
        row = page.get_by_role("row").filter(has_text="Postern command line")
        row.get_by_role("button", name=re.compile("End the session")).click()
        expect(page.locator("main")).to_contain_text("The session has ended.")
        assert login.run("whoami").returncode == 4
    assert events(server, "device.approve")[-1]["facts"]["method"] == "device"


def test_a_command_line_is_turned_away(chromium, sqlite_server, tmp_path):
    login = WaitingLogin(sqlite_server, tmp_path)
    with Window(chromium, sqlite_server, viewport=PHONE, scheme="dark") as window:
        window.sign_in(sqlite_server.person("support_l1"))
        window.go(login.address)
        window.page.get_by_role("button", name="Continue").click()
        window.audit("a command line on a phone")
        window.shot("device-phone")
        window.page.get_by_role("button", name="Deny").click()
        expect(window.page.locator("main")).to_contain_text("The command line is turned away.")
    status, _, error = login.end()
    assert status == 3 and "turned away" in error
    assert login.run("whoami").returncode == 4


def test_approving_asks_for_a_fresh_factor_and_comes_back(chromium, sqlite_server, tmp_path):
    server = sqlite_server
    person = server.person("support_l1")
    login = WaitingLogin(server, tmp_path)
    with Window(chromium, server, script=False) as window:
        page = window.page
        window.sign_in(person)
        with sqlite3.connect(server.data / "postern.db", timeout=30) as database:
            # Time passes.
            database.execute("UPDATE sessions SET mfa_at = mfa_at - 3600000000")
        window.go(login.address)
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("button", name="Approve: it is my machine")).to_have_count(0)
        page.get_by_role("link", name="Use your authenticator").click()
        window.heading("Use your authenticator again")
        page.get_by_label("Code from your authenticator").fill(server.authenticator(person).next())
        page.get_by_role("button", name="Continue").click()
        window.heading("Sign in a command line")
        expect(page.get_by_label("Code in your terminal")).to_have_value(login.code)
        approve(window, login)
    status, out, error = login.end()
    assert status == 0, error
    out = login.run("logout")
    assert out.returncode == 0 and "Signed out of" in out.stdout
    assert login.run("whoami").returncode == 4


def test_the_api_of_a_command_line(sqlite_server):
    with httpx.Client(base_url=f"{sqlite_server.url}/api/v1") as http:
        for body, status in (({}, 422), ({"machine": ""}, 422), ({"machine": "a\nb"}, 422), ({"machine": "m", "x": 1}, 422)):
            assert http.post("/sessions/device", json=body).status_code == status, body
        begun = http.post("/sessions/device", json={"machine": "script"}).json()
        assert begun["verification_uri_complete"].endswith(begun["user_code"]) and begun["interval"] == 5
        first = http.post("/sessions/device/token", json={"device_code": begun["device_code"]})
        assert first.status_code == 400 and first.json()["type"] == "/problems/authorization-pending"
        assert first.headers["Retry-After"] == "5"
        second = http.post("/sessions/device/token", json={"device_code": begun["device_code"]})
        assert second.json()["type"] == "/problems/slow-down" and second.headers["Retry-After"] == "10"
        # The code a person sees is no secret of the machine's.
        other = http.post("/sessions/device/token", json={"device_code": begun["user_code"]})
        assert other.json()["type"] == "/problems/expired-token"
        for slug in ("authorization-pending", "slow-down", "access-denied", "expired-token"):
            assert httpx.get(f"{sqlite_server.url}/problems/{slug}").status_code == 200
