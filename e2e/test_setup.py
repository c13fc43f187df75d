"""Setting a deployment up as docs/getting-started.md and docs/postgresql.md tell it: keys, database, the first people."""
import json
import re
import shutil
import urllib.parse

import httpx
import postern
import pytest

ORIGIN = "console.company.example/log"


def deployment(home, database=None, **settings):
    return postern.Server(home, database, arguments=("serve",), POSTERN_LOG_ORIGIN=ORIGIN, **settings)


@pytest.fixture
def fresh(tmp_path):
    """A migrated deployment on the embedded database, not yet served."""
    server = deployment(tmp_path / "fresh")
    migrated = server.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    yield server
    server.kill()


def link_in(text):
    return re.search(r"https?://\S+/enrol\?token=[\w-]+", text).group()


def field(page, name):
    return re.search(rf'name="{name}"[^>]*value="([^"]*)"', page).group(1)


def enrol(server, link, password="four unrelated quiet lamps"):
    """Follows an enrolment link as a browser would, and answers how the person signs in from then on."""
    assert link.startswith(server.url + "/enrol?token=")
    with httpx.Client(headers={"Origin": server.url, "User-Agent": "e2e"}) as browser:
        page = browser.get(link)
        assert page.status_code == 200, page.text
        secret = re.search(r"[A-Z2-7]{4}(?: [A-Z2-7]{4})+", page.text).group().replace(" ", "")
        # Secure cookies are kept for localhost by browsers, not by this client.
        cookie = page.headers["set-cookie"].split(";")[0]
        email = field(page.text, "email")
        server.apps[email] = server.app(email, secret)
        done = browser.post(server.url + "/enrol", headers={"Cookie": cookie}, data={
            "token": urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)["token"][0],
            "csrf": field(page.text, "csrf"), "sealed_secret": field(page.text, "sealed_secret"), "password": password,
            "code": server.apps[email].next()})
        assert done.status_code == 200 and "Keep these recovery codes" in done.text, done.text
    return {"email": email, "password": password, "totp_secret": secret}


class Terminal:
    """A person's own credentials, as `postern login` keeps them."""

    def __init__(self, server, home):
        self.server, self.home = server, home

    def run(self, *words, stdin=""):
        import subprocess

        env = postern.clean_environment(
            XDG_CONFIG_HOME=self.home, HOME=self.home, POSTERN_URL=self.server.url)
        return subprocess.run([str(self.server.binary), *words], input=stdin, env=env, cwd=self.home, text=True,
                              capture_output=True, timeout=60)

    def login(self, person):
        done = self.run("login", "--email", person["email"], "--password-stdin", "--code",
                        self.server.apps[person["email"]].next(), stdin=person["password"] + "\n")
        assert done.returncode == 0, done.stderr
        return self


# ---- PostgreSQL ------------------------------------------------------------------------------------------


@pytest.fixture
def owned(admin_url):
    """An empty database and the URL of its owner, who is no superuser."""
    import psycopg

    database = postern.PostgresDatabase(admin_url)
    owner = "owner_" + database.name
    with psycopg.connect(admin_url, autocommit=True) as db:
        db.execute(f"CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD 'of-the-owner'")
        db.execute(f'ALTER DATABASE "{database.name}" OWNER TO {owner}')
    parts = urllib.parse.urlsplit(database.url)
    host = parts.netloc.split("@")[-1]
    database.owner_url = parts._replace(netloc=f"{owner}:of-the-owner@{host}").geturl()
    database.server_url = parts._replace(netloc=f"postern_app_{database.name}@{host}").geturl()
    yield database
    database.drop()
    with psycopg.connect(admin_url, autocommit=True) as db:
        db.execute(f"DROP ROLE IF EXISTS postern_app_{database.name}")
        db.execute(f"DROP ROLE IF EXISTS {owner}")


@pytest.mark.parametrize("settings", [
    {"POSTERN_MIGRATE_DATABASE_URL": "owner_url"}, {"POSTERN_DATABASE_URL": "owner_url"},
    {"POSTERN_MIGRATE_DATABASE_URL": "owner_url", "POSTERN_DATABASE_URL": "server_url"},
], ids=["owner as owner", "owner as server", "both"])
def test_postgresql_is_set_up_and_served_as_a_role_that_owns_nothing(owned, tmp_path, settings):
    settings = {name: getattr(owned, which) for name, which in settings.items()}
    server = deployment(tmp_path / "on-postgres", **settings)
    migrated = server.run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    role = f"postern_app_{owned.name}"
    assert f"The server's role is {role}" in migrated.stdout
    assert not (server.data / "postern.db").exists()
    again = server.run("migrate")
    assert again.returncode == 0 and "up to date" in again.stdout, again.stderr
    first = server.run("staff", "bootstrap", "ada@company.example")
    assert first.returncode == 0, first.stderr
    try:
        server.start()
        ada = enrol(server, link_in(first.stdout))
        signed_in = server.sign_in(ada)
        assert signed_in.session["staff"]["email"] == "ada@company.example"
        signed_in.close()
        with owned.connect() as db:
            users = {row[0] for row in db.execute(
                "SELECT usename FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", [owned.name])}
        assert users == {role}
        doctor = server.run("doctor")
        assert doctor.returncode == 0, doctor.stdout
        assert role in doctor.stdout and "of-the-owner" not in doctor.stdout
        verified = server.run("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        server.stop()


def test_the_server_needs_no_owner_once_migrated(owned, tmp_path):
    home = tmp_path / "on-postgres"
    migrated = deployment(home, POSTERN_MIGRATE_DATABASE_URL=owned.owner_url).run("migrate")
    assert migrated.returncode == 0, migrated.stderr
    served = deployment(home, POSTERN_DATABASE_URL=owned.server_url)
    try:
        served.start()
    finally:
        served.stop()
    # With the password in the URL it may run where the file is not.
    password = (home / "data/keys/database.password").read_text().strip()
    elsewhere = deployment(
        tmp_path / "elsewhere",
        POSTERN_DATABASE_URL=owned.server_url.replace("@", f":{password}@"))
    for name in ("keys/log.key", "keys/master.key", "keys/pepper.key", "checkpoints.log"):
        (elsewhere.data / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(home / "data" / name, elsewhere.data / name)
    try:
        elsewhere.start()
    finally:
        elsewhere.stop()


# ---- the first people ------------------------------------------------------------------------------------


def test_an_unused_first_link_is_renewed_and_the_old_one_dies(fresh):
    old = fresh.run("staff", "bootstrap", "ada@company.example")
    other = fresh.run("staff", "bootstrap", "bob@company.example")
    assert other.returncode == 3 and "--instead-of ada@company.example" in other.stderr
    new = fresh.run("staff", "bootstrap", "ada@company.example")
    assert new.returncode == 0, new.stderr
    fresh.start()
    assert httpx.get(link_in(old.stdout)).status_code == 404
    enrol(fresh, link_in(new.stdout))
    late = fresh.run("staff", "bootstrap", "ada@company.example")
    assert late.returncode == 3 and "enrolled already" in late.stderr


def test_an_invitation_is_a_whole_link_and_is_renewed_by_inviting_again(fresh, tmp_path):
    first = fresh.run("staff", "bootstrap", "ada@company.example")
    fresh.start()
    ada = enrol(fresh, link_in(first.stdout))
    terminal = Terminal(fresh, tmp_path).login(ada)
    words = ("staff", "invite", "--email", "bob@company.example", "--name", "Bob", "--roles", "support_l1",
             "--justification", "Joins the support team today.", "--ticket", "HR-7", "--yes")
    shown = terminal.run(*words)
    assert shown.returncode == 0, shown.stderr
    old = link_in(shown.stdout)
    assert httpx.get(old).status_code == 200
    again = terminal.run(*words, "--json")
    assert again.returncode == 0, again.stderr
    new = json.loads(again.stdout)["reveal"]["enrolment_link"]
    assert new != old and httpx.get(old).status_code == 404
    enrol(fresh, new)
    listed = json.loads(terminal.run("staff", "list", "--json").stdout)["items"]
    assert {person["email"]: person["status"] for person in listed} == {
        "ada@company.example": "active", "bob@company.example": "active"}


def test_the_console_hands_out_the_whole_link_too(fresh):
    first = fresh.run("staff", "bootstrap", "ada@company.example")
    fresh.start()
    api = fresh.sign_in(enrol(fresh, link_in(first.stdout)))
    browser = httpx.Client(base_url=fresh.url, headers={
        "Cookie": f"__Host-postern_staff={api.session['token']}", "User-Agent": "postern-e2e",
        "Sec-Fetch-Site": "same-origin"})
    fields = {"input.email": "bob@company.example", "input.name": "Bob", "input.roles": "support_l1",
              "justification": "Joins the support team today.", "ticket": "HR-7"}

    def post(page, action):
        hidden = {name: field(page, name) for name in ("csrf", "author", "idempotency_key")}
        if action == "confirm":
            hidden["previewed"] = field(page, "previewed")
        return browser.post("/staff/new", data={**fields, **hidden, "action": action})

    preview = post(browser.get("/staff/new").text, "preview")
    assert preview.status_code == 200, preview.text
    done = post(preview.text, "confirm")
    assert done.status_code == 200, done.text
    assert httpx.get(link_in(done.text)).status_code == 200
    # The page of somebody who has not enrolled offers the invitation again, filled in.
    bob = next(p for p in api.get("staff").json()["items"] if p["email"] == "bob@company.example")
    page = browser.get(f"/staff/{bob['id']}").text
    href = re.search(r'href="(/staff/new\?[^"]*)"[^>]*>Send a new link', page).group(1).replace("&amp;", "&")
    assert 'value="bob@company.example"' in browser.get(href).text
    api.close()
    browser.close()


# ---- settings that keep secrets --------------------------------------------------------------------------


@pytest.mark.parametrize("environment", ["production", "staging"])
@pytest.mark.parametrize("url", ["http://console.company.example", "http://127.0.0.1:{port}"])
def test_outside_the_demo_no_console_is_served_whose_cookies_are_open(fresh, url, environment):
    settings = {"POSTERN_STAFF_URL": url.format(port=fresh.staff_port), "POSTERN_ENVIRONMENT": environment}
    refused = fresh.run("serve", **settings)
    assert refused.returncode == 2
    assert "POSTERN_STAFF_URL" in refused.stderr and "https://" in refused.stderr
    doctor = fresh.run("doctor", "--json", **settings)
    assert doctor.returncode != 0
    findings = json.loads(doctor.stdout)["findings"]
    assert [f["about"] for f in findings if f["level"] == "problem"] == ["staff_url"]
    # Without mail and Slack what can't wait would reach nobody.
    assert any(f["about"] == "alerts" and f["level"] == "warning" for f in findings), findings
    # Whether the others have host names of their own nobody can tell.
    assert {"auditor_url", "runtime_url"} <= {f["about"] for f in findings if f["level"] == "warning"}, findings
    told = fresh.run("doctor", "--json", **settings, POSTERN_SLACK_WEBHOOK_URL="http://127.0.0.1:1/hook")
    assert not [f for f in json.loads(told.stdout)["findings"] if f["about"] == "alerts"], told.stdout


def test_keys_come_from_commands(fresh, tmp_path):
    vault = tmp_path / "vault"
    shutil.move(fresh.data / "keys", vault)
    commands = {f"POSTERN_{name}_COMMAND": f"cat '{vault}/{file}'; echo fetched >&2" for name, file in (
        ("LOG_KEY", "log.key"), ("MASTER_KEY", "master.key"), ("PEPPER", "pepper.key"))}
    doctor = fresh.run("doctor", **commands)
    assert doctor.returncode == 0, doctor.stdout
    assert "cat " not in doctor.stdout
    assert re.search(r"master key [0-9a-f]{8}\s+pepper [0-9a-f]{8}", doctor.stdout)
    first = fresh.run("staff", "bootstrap", "ada@company.example", **commands)
    assert first.returncode == 0, first.stderr
    fresh.settings.update(commands)
    fresh.start()
    fresh.sign_in(enrol(fresh, link_in(first.stdout))).close()
    fresh.stop()
    assert not (fresh.data / "keys").exists()
    for command, sentence in (("exit 7", "master_key_command ended with status 7"),
                              ("true", "master_key_command printed nothing"),
                              ("echo something", "lines of the form postern-master")):
        refused = fresh.run("serve", POSTERN_MASTER_KEY_COMMAND=command)
        assert refused.returncode == 2 and sentence in refused.stderr, refused.stderr
    both = fresh.run("doctor", POSTERN_MASTER_KEY_FILE=vault / "master.key")
    assert "master_key_file and master_key_command are both set" in both.stdout


# ---- receipts --------------------------------------------------------------------------------------------


def test_a_file_that_is_no_receipt_is_a_mistake_and_a_false_receipt_is_drift(server, people, tmp_path):
    auditor = people("security")
    event = auditor.get("audit-events", params={"action": "tenant.suspend", "limit": 1}).json()["items"][0]["id"]
    receipt = auditor.get(f"audit-events/{event}/receipt").json()
    key = tmp_path / "log.key"
    key.write_text(httpx.get(server.auditor_url + "/log/key").text)
    file = tmp_path / "receipt.json"

    def status(text):
        file.write_text(text)
        return server.run("verify", "--receipt", str(file), "--key", str(key)).returncode

    assert status(json.dumps(receipt)) == 0
    assert status(json.dumps({**receipt, "index": receipt["index"] + 1})) == 10
    for text in ("{}", "[]", "not JSON", json.dumps({**receipt, "proof": "none"}), json.dumps({**receipt, "leaf": 1})):
        assert status(text) == 2, text
