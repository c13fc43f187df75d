"""The command line as a person and as a script use it, against a running server."""
import json
import os
import pty
import re
import subprocess

import checker
import postern
import pytest


class Terminal:
    """Commands of one person, whose credentials are in a directory of their own."""

    def __init__(self, server, home):
        self.server = server
        self.home = home

    def run(self, *words, stdin="", **extra):
        env = postern.clean_environment(**{
            "XDG_CONFIG_HOME": self.home, "HOME": self.home, "POSTERN_URL": self.server.url, **extra})
        return subprocess.run([str(self.server.binary), *words], input=stdin, env=env, cwd=self.home, capture_output=True,
                              text=True, timeout=60)

    def json(self, *words, **extra):
        done = self.run(*words, "--json", **extra)
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout)

    def login(self, person):
        done = self.run("login", "--email", person["email"], "--password-stdin", "--code",
                        self.server.authenticator(person).next(), stdin=person["password"] + "\n")
        assert done.returncode == 0, done.stderr
        return self


@pytest.fixture(scope="module")
def terminal(server, tmp_path_factory):
    home = tmp_path_factory.mktemp("cli")
    return Terminal(server, home).login(server.person("super_admin", 1))


@pytest.mark.only("sqlite")
def test_help_and_version_need_nothing(server, tmp_path):
    terminal = Terminal(server, tmp_path)
    for words in (("--help",), ("tenant", "--help"), ("tenant", "suspend", "--help"), ("help", "exit-codes"), ("--version",)):
        done = terminal.run(*words)
        assert done.returncode == 0 and done.stdout.strip(), (words, done.stderr)
        assert "\x1b[" not in done.stdout
    assert "non_payment" in terminal.run("tenant", "suspend", "--help").stdout


@pytest.mark.only("sqlite")
def test_credentials_are_for_their_owner_alone_and_hold_no_password(terminal):
    path = terminal.home / "postern/credentials"
    assert path.stat().st_mode & 0o077 == 0
    assert terminal.server.person("super_admin", 1)["password"] not in path.read_text()
    assert terminal.server.person("super_admin", 1)["email"] in terminal.run("whoami").stdout


@pytest.mark.only("sqlite")
def test_a_tenant_is_found_previewed_suspended_and_restored(terminal):
    listed = terminal.json("tenant", "list", "--status", "active")
    tenant = (listed["items"] if isinstance(listed, dict) else listed)[2]
    why = ("--reason-code", "non_payment", "--justification", "Three invoices are unpaid since August.")

    rehearsed = terminal.json("tenant", "suspend", tenant["slug"], *why, "--dry-run")
    assert rehearsed["preview"] is True and rehearsed["after"]["status"] == "suspended"
    assert terminal.json("tenant", "show", tenant["id"])["status"] == "active"

    key = postern.new_key()
    done = terminal.json("tenant", "suspend", tenant["slug"], *why, "--yes", "--idempotency-key", key)
    assert done["after"]["status"] == "suspended"
    again = terminal.json("tenant", "suspend", tenant["slug"], *why, "--yes", "--idempotency-key", key)
    assert again["event_id"] == done["event_id"]

    shown = terminal.run("tenant", "show", tenant["slug"])
    assert shown.returncode == 0 and "suspended" in shown.stdout and "\x1b[" not in shown.stdout
    assert done["event_id"] in terminal.run("audit", "show", done["event_id"]).stdout
    undone = terminal.run("undo", done["event_id"], "--yes")
    assert undone.returncode == 0, undone.stderr
    assert terminal.json("tenant", "show", tenant["id"])["status"] == "active"


@pytest.mark.only("sqlite")
def test_every_noun_with_a_list_is_listed_and_shown(terminal):
    made = terminal.run(
        "segment", "save", "--name", "Expired, from here", "--filter", "status=expired",
        "--justification", "For the weekly look.", "--yes")
    assert made.returncode == 0, made.stderr
    made = terminal.run(
        "webhook", "create", "--url", "https://hooks.example.com/cli", "--events", "tenant.suspended", "--events",
        "user.joined", "--justification", "The rest of the stack must hear.", "--yes")
    assert made.returncode == 0, made.stderr
    for noun in ("delivery", "webhook", "drift", "segment", "runtime-token", "setting", "discrepancy"):
        listed = terminal.json(noun, "list", "--limit", "2")
        assert set(listed) == {"items", "next_cursor"} and len(listed["items"]) <= 2
        shown = terminal.run(noun, "list")
        assert shown.returncode == 0, shown.stderr
        if not listed["items"]:
            assert "There are no such" in shown.stderr, noun
            continue
        one = listed["items"][0]
        assert one["id"] in shown.stdout and "\x1b[" not in shown.stdout, noun
        assert terminal.json(noun, "show", one["id"])["id"] == one["id"], noun
        assert one["id"] in terminal.run(noun, "show", one["id"]).stdout
    assert terminal.json("webhook", "list")["items"] and terminal.json("setting", "list")["items"]
    assert "Expired, from here" in terminal.run("segment", "list").stdout
    # Page after page is the whole list.
    first = terminal.json("setting", "list", "--limit", "1")
    second = terminal.json("setting", "list", "--limit", "1", "--cursor", first["next_cursor"])
    assert first["items"][0]["id"] != second["items"][0]["id"]
    assert all(one["state"] == "open" for one in terminal.json("drift", "list", "--state", "open")["items"])
    assert terminal.run("delivery", "show", "dlv_01JD3K4M5N6P7Q8R9S0T1V2W3X").returncode == 6
    assert terminal.run("delivery", "list", "--state", "lost").returncode == 2


@pytest.mark.only("sqlite")
def test_exit_codes_say_what_happened(terminal, server, tmp_path):
    suspended = terminal.json("tenant", "list", "--status", "suspended")
    suspended = (suspended["items"] if isinstance(suspended, dict) else suspended)[0]["slug"]
    why = ("--reason-code", "abuse", "--justification", "Sends spam from forty accounts.", "--yes")
    expected = [
        (2, ("tenant", "suspend", suspended, "--nonsense")),
        (2, ("tenant", "suspend", suspended, "--reason-code", "because", "--justification", "Ten characters or more", "--yes")),
        (3, ("tenant", "suspend", suspended, *why)),
        (6, ("tenant", "show", "ten_01JD3K4M5N6P7Q8R9S0T1V2W3X")),
        (7, ("tenant", "restore", suspended, "--reason-code", "payment_recovered", "--if-match", "99999", "--yes")),
    ]
    for status, words in expected:
        done = terminal.run(*words)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stderr}{done.stdout}"
        assert done.stderr.strip() and "Fatal error" not in done.stderr
    nobody = Terminal(server, tmp_path)
    assert nobody.run("whoami").returncode == 4
    assert nobody.run("tenant", "list", POSTERN_TOKEN="pst_" + "A" * 43).returncode == 4
    assert nobody.run("tenant", "list", POSTERN_URL="http://127.0.0.1:9", POSTERN_TOKEN="x").returncode == 9
    helper = Terminal(server, tmp_path).login(server.person("support_l1"))
    denied = helper.run("tenant", "suspend", suspended, *why)
    assert denied.returncode == 5 and "tenant.suspend" in denied.stderr


@pytest.mark.only("sqlite")
def test_without_a_terminal_nothing_dangerous_runs_unconfirmed(terminal):
    listed = terminal.json("tenant", "list", "--status", "active")
    tenant = (listed["items"] if isinstance(listed, dict) else listed)[3]
    done = terminal.run("tenant", "suspend", tenant["slug"], "--reason-code", "abuse", "--justification",
                        "Sends spam from forty accounts.")
    assert done.returncode == 2 and "--yes" in done.stderr
    assert terminal.json("tenant", "show", tenant["id"])["status"] == "active"


def test_verify_says_what_it_looked_at(server):
    done = server.run("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\d", done.stdout)
    as_json = server.run("verify", "--json")
    assert as_json.returncode == 0
    assert json.loads(as_json.stdout)


def test_an_export_is_verified_offline_and_a_changed_one_is_not(server, terminal, tmp_path):
    import httpx

    export = tmp_path / "events.jsonl"
    auditor = Terminal(server, tmp_path / "auditor")
    (tmp_path / "auditor").mkdir()
    auditor.login(server.person("security"))
    done = auditor.run("audit", "export", "--output", str(export))
    if done.returncode == 2:
        done = auditor.run("audit", "export")
        export.write_text(done.stdout)
    assert done.returncode == 0, done.stderr
    lines = export.read_text().splitlines()
    with checker.Database.of(server) as database:
        assert len(lines) >= database.one("SELECT count(*) FROM events WHERE class = 'mutation'")
    key = httpx.get(server.auditor_url + "/log/key").text.strip()
    held = server.run("verify", "--export", str(export), "--key", key)
    assert held.returncode == 0, held.stdout + held.stderr
    number = next(n for n, line in enumerate(lines) if "tenant.suspend" in line)
    lines[number] = lines[number].replace("tenant.suspend", "tenant.restore", 1)
    export.write_text("\n".join(lines) + "\n")
    assert server.run("verify", "--export", str(export), "--key", key).returncode == 10


def test_doctor_names_what_is_set_and_shows_no_secret(server):
    done = server.run("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(server.staff_port) in done.stdout
    for path in (server.data / "keys").glob("*"):
        assert path.read_text(errors="replace").strip() not in done.stdout


def in_front_of_somebody(terminal, *words):
    """How a command ends whose output is a terminal, and what stands there."""
    ours, theirs = pty.openpty()
    env = postern.clean_environment(XDG_CONFIG_HOME=terminal.home, HOME=terminal.home, POSTERN_URL=terminal.server.url)
    done = subprocess.run([str(terminal.server.binary), *words], stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=subprocess.PIPE, env=env, cwd=terminal.home, timeout=60)
    os.write(theirs, b"\n")
    text = os.read(ours, 1 << 16).decode()
    os.close(theirs)
    os.close(ours)
    return done.returncode, text


@pytest.mark.only("sqlite")
def test_a_request_is_read_in_full_and_its_link_is_shown_once(own_server, tmp_path):
    server = own_server.start()
    terminals = []
    for number, name in enumerate(("asker", "signer")):
        (tmp_path / name).mkdir()
        terminals.append(Terminal(server, tmp_path / name).login(server.person("super_admin", number)))
    asking, signing = terminals
    asked = asking.run("staff", "invite", "--email", "nora.n@northwind.example", "--name", "Nora N.", "--roles", "support_l1",
                       "--justification", "Joins support next month.", "--ticket", "HR-8", "--yes")
    assert asked.returncode == 8, asked.stderr
    approval = re.search(r"apr_\w+", asked.stdout)[0]

    listed = signing.run("approvals")
    assert approval in listed.stdout and "nora.n@northwind.example" in listed.stdout, listed.stdout + listed.stderr
    assert approval in [item["id"] for item in asking.json("approval", "list", "--view", "mine")["items"]]
    for words in (("approval", "show", approval), ("approval", "approve", approval, "--dry-run")):
        shown = signing.run(*words)
        assert shown.returncode == 0, shown.stdout + shown.stderr
        for part in ("nora.n@northwind.example", "Joins support next month.", "support_l1", "HR-8", "Still needed:",
                     "The frozen action, in full:", "match the commitments in the frozen action"):
            assert part in shown.stdout, f"{part} is missing in {shown.stdout}"
    assert signing.run("approval", "approve", approval, "--yes").returncode == 2, "nobody decides on what they have not read"
    version = re.search(r"^Version +(\d+)$", shown.stdout, re.M)[1]
    done = signing.run("approval", "approve", approval, "--yes", "--if-match", version)
    assert done.returncode == 0, done.stdout + done.stderr

    assert f"postern approval reveal {approval}" in asking.run("approval", "show", approval).stderr
    assert asking.run("approval", "reveal", approval).returncode == 2, "nothing is fetched where nobody sees it"
    assert in_front_of_somebody(signing, "approval", "reveal", approval)[0] == 5
    status, text = in_front_of_somebody(asking, "approval", "reveal", approval)
    assert status == 0 and "/enrol" in text, text
    assert in_front_of_somebody(asking, "approval", "reveal", approval)[0] == 6
    matrix = asking.run("policy", "matrix").stdout
    assert re.search(r"tenant\.suspend +\w+ .*super_admin", matrix), matrix
