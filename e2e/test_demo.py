"""The demo's contract (docs: getting started): other programs rely on every word of it."""
import base64
import json
import os
import re
import signal
import sqlite3
import stat
import time

import httpx
import postern
import pytest
import totp


@pytest.mark.only("sqlite")
def test_demo_json_is_the_list_of_people(server):
    people = json.loads((server.data / "demo.json").read_text())
    assert isinstance(people, list) and people
    for person in people:
        assert person.keys() == {"email", "password", "totp_secret", "roles"}
        assert re.fullmatch(r"[^@\s]+@[^@\s]+", person["email"])
        assert person["roles"] and all(isinstance(role, str) for role in person["roles"])
        assert len(base64.b32decode(person["totp_secret"] + "=" * (-len(person["totp_secret"]) % 8))) >= 16
    held = {role for person in people for role in person["roles"]}
    assert {"support_l1", "support_l2", "security", "super_admin"} <= held
    assert json.loads((server.data / "runtime.json").read_text()).keys() == {"runtime_token"}


@pytest.mark.only("sqlite")
def test_every_person_of_demo_json_can_sign_in(server):
    for person in server.people():
        signed_in = server.sign_in(person)
        assert signed_in.session["staff"]["email"] == person["email"]
        signed_in.close()


def test_files_with_secrets_are_for_their_owner_alone(server):
    for path in [server.data, *server.data.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode & 0o077 == 0, f"{path.name} has mode {mode:o}"


@pytest.mark.only("sqlite")
def test_demo_code_prints_the_current_code(server):
    person = server.people()[0]
    for _ in range(2):
        step = int(time.time() // totp.STEP)
        done = server.run("demo", "code", person["email"])
        assert done.returncode == 0, done.stderr
        if int(time.time() // totp.STEP) == step:
            assert totp.code(person["totp_secret"], step) in done.stdout
            return
    raise AssertionError("the code took longer than a time step, twice")


@pytest.mark.only("sqlite")
def test_demo_code_of_nobody_says_who_there_is(server):
    done = server.run("demo", "code", "nobody@example.test")
    assert done.returncode not in (0, 1)
    assert server.people()[0]["email"] in done.stderr


@pytest.mark.only("sqlite")
def test_it_listens_on_loopback_only(server):
    listening = set()
    for name, size in (("tcp", 8), ("tcp6", 32)):
        for line in open(f"/proc/net/{name}").readlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == "0A" and int(port, 16) in (
                server.staff_port, server.auditor_port, server.runtime_port, server.metrics_port,
            ):
                listening.add((address, int(port, 16)))
    assert {port for _, port in listening} == {
        server.staff_port, server.auditor_port, server.runtime_port, server.metrics_port}
    assert {address for address, _ in listening} <= {"0100007F", "00000000000000000000000001000000"}


def test_every_listener_says_it_is_alive_and_ready(server):
    for port in (server.staff_port, server.auditor_port, server.runtime_port, server.metrics_port):
        for path in ("/healthz", "/readyz"):
            assert httpx.get(f"http://127.0.0.1:{port}{path}").status_code == 200, (port, path)
    metrics = httpx.get(server.metrics_url + "/metrics")
    assert metrics.status_code == 200
    assert re.search(r"^# TYPE postern_\w+ (counter|gauge|histogram)$", metrics.text, re.M)


def test_the_demo_tells_a_story(server, people):
    security = people("security")
    assert security.tenants(status="active") and security.tenants(status="suspended")
    actions = set()
    for filters in ({"action": "tenant.suspend"}, {"action": "tenant.archive"}, {"action": "tenant.hard_delete"},
                    {"outcome": "denied"}, {"action": "authz.denial_burst"}):
        items = security.get("audit-events", params=filters).json()["items"]
        assert items, f"no event with {filters}"
        actions |= {(item["action"], item["outcome"]) for item in items}
    assert ("tenant.hard_delete", "requested") in actions
    approvals = security.get("approvals", params={"view": "open"})
    assert approvals.status_code == 200, approvals.text
    assert any(a["operation"] == "tenant.hard_delete" for a in approvals.json()["items"])


def test_ctrl_c_stops_at_once_and_the_data_is_whole(own_server):
    own_server.start()
    person = own_server.sign_in(own_server.person("support_l2"))
    tenant = person.active_tenant()
    assert person.suspend(tenant["id"]).status_code == 200
    person.close()
    took = []
    # A slow moment of the machine passes; what is slow by itself stays so.
    while len(took) < 3 and (not took or min(took) >= 2):
        if took:
            own_server.start()
        seconds, status = own_server.stop()
        assert status == 0, own_server.log()
        took.append(seconds)
    assert min(took) < 2, took
    own_server.start()
    again = own_server.sign_in(own_server.person("support_l2", 0))
    assert again.tenant(tenant["id"])["status"] == "suspended"
    verified = own_server.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    again.close()


@pytest.mark.only("sqlite")
def test_terminate_stops_it_as_cleanly(own_server):
    own_server.start()
    own_server.process.send_signal(signal.SIGTERM)
    assert own_server.process.wait(20) == 0, own_server.log()


def test_the_demo_refuses_a_database_it_did_not_make(tmp_path):
    path = tmp_path / "somebodys.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE invoices (id INTEGER PRIMARY KEY)")
        db.execute("INSERT INTO invoices VALUES (1)")
    before = path.read_bytes()
    server = postern.Server(tmp_path / "refused", POSTERN_DATABASE_URL=f"sqlite:{path}")
    done = server.run("demo", seconds=60)
    assert done.returncode not in (0, 1), done.stderr
    assert "demo" in done.stderr and done.stderr.count("\n") < 10, done.stderr
    assert path.read_bytes() == before


@pytest.mark.only("sqlite")
def test_a_taken_port_is_named(server, tmp_path):
    other = postern.Server(tmp_path / "taken", POSTERN_STAFF_PORT=server.staff_port)
    done = other.run("demo", seconds=postern.START_SECONDS)
    assert done.returncode not in (0, 1), done.stderr
    assert str(server.staff_port) in done.stderr and "POSTERN_STAFF_PORT" in done.stderr, done.stderr
    # The sentence and nothing else: neither what a library says of its end nor what was interrupted by it.
    assert not re.search(r"^\d{4}-\d\d-\d\dT", done.stderr, re.MULTILINE), done.stderr
    assert server.ready()


def test_an_unknown_variable_stops_the_start_and_names_the_nearest(tmp_path):
    server = postern.Server(tmp_path / "typo", POSTERN_STAF_PORT="8080")
    done = server.run("demo", seconds=30)
    assert done.returncode == 2, done.stderr
    assert "POSTERN_STAF_PORT" in done.stderr and "POSTERN_STAFF_PORT" in done.stderr
    assert not server.data.exists()


def test_bad_values_are_named_all_at_once(tmp_path):
    server = postern.Server(tmp_path / "bad", POSTERN_METRICS_PORT="eighty", POSTERN_LOG_FORMAT="xml")
    done = server.run("demo", seconds=30)
    assert done.returncode == 2, done.stderr
    for word in ("POSTERN_METRICS_PORT", "eighty", "POSTERN_LOG_FORMAT", "json"):
        assert word in done.stderr


def test_a_bad_key_in_the_settings_file_is_named(tmp_path):
    settings = tmp_path / "postern.yaml"
    settings.write_text("staf_port: 8080\n")
    server = postern.Server(tmp_path / "file", POSTERN_CONFIG=settings)
    done = server.run("serve", seconds=30)
    assert done.returncode == 2, done.stderr
    assert "staf_port" in done.stderr and "staff_port" in done.stderr and "postern.yaml" in done.stderr


def test_pending_migrations_stop_serve_and_say_what_to_run(kind, tmp_path, request):
    import conftest

    database = conftest.new_database(kind, request)
    try:
        server = postern.Server(tmp_path / "empty", database, arguments=("serve",))
        done = server.run("serve", seconds=60)
        assert done.returncode not in (0, 1), done.stderr
        assert "postern migrate" in done.stderr, done.stderr
    finally:
        database.drop()


@pytest.mark.only("sqlite")
def test_an_unknown_verb_or_option_is_a_usage_error(server):
    for words in (("frobnicate",), ("serve", "--nonsense")):
        done = server.run(*words, seconds=30)
        assert done.returncode == 2, (words, done.returncode, done.stderr)


def test_errors_have_no_backtrace(tmp_path):
    os.makedirs(tmp_path / "unwritable" / "data")
    # Below a file there are no directories, whoever asks.
    file = tmp_path / "file"
    file.touch()
    server = postern.Server(tmp_path / "unwritable", POSTERN_DATABASE_URL=f"sqlite:{file}/dir/postern.db")
    done = server.run("demo", seconds=60)
    assert done.returncode not in (0, 1)
    assert f"{file}/dir" in done.stderr
    assert "Fatal error" not in done.stderr and "Thread 0" not in done.stderr
