"""A backup taken under way and put back: what is lost is said, the server does not go on as if nothing had been, a successor does."""
import contextlib
import re
import shutil
import stat

import postern
import pytest
from conftest import new_database

SUCCESSOR = "demo.postern.example/second"


@pytest.fixture
def running(kind, home, request):
    databases = [new_database(kind, request)]
    server = postern.Server(home / f"backup-{kind}", databases[0])

    def empty():
        databases.append(new_database(kind, request))
        return databases[-1]

    try:
        yield server.start(), empty
    finally:
        server.kill()
        for database in databases:
            database.drop()
        shutil.rmtree(server.home, ignore_errors=True)



def test_a_backup_is_put_back_and_the_log_does_not_rewind(running, kind):
    server, empty = running
    file = server.home / "backup.db"
    with contextlib.closing(server.sign_in(server.person("super_admin"))) as admin:
        kept, lost = admin.active_tenant(0)["id"], admin.active_tenant(1)["id"]
        assert admin.suspend(kept).status_code == 200
        done = server.run("backup", file)
        assert done.returncode == 0 and "checkpoints.log" in done.stdout, done.stdout + done.stderr
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert [p.name for p in file.parent.glob("backup.db*")] == ["backup.db"], "nothing else is left"
        again = server.run("backup", file)
        assert again.returncode == 2 and "never replaces" in again.stderr
        assert admin.suspend(lost).status_code == 200
        if kind == "sqlite":
            busy = server.run("restore", file, "--replace")
            assert busy.returncode != 0 and "Stop it first" in busy.stderr, busy.stderr
        else:
            full = server.run("restore", file)
            assert full.returncode != 0 and "empty database" in full.stderr, full.stderr
    server.stop()

    nonsense = server.home / "nonsense.db"
    nonsense.write_bytes(b"nonsense" * 1000)
    if kind == "postgres":
        server.database = empty()
    refused = server.run("restore", nonsense, *(["--replace"] if kind == "sqlite" else []))
    assert refused.returncode != 0, "nonsense was taken for a backup"
    if kind == "sqlite":
        there = server.run("restore", file)
        assert there.returncode != 0 and "--replace" in there.stderr
        torn = server.home / "torn.db"
        torn.write_bytes(file.read_bytes()[:-20_000])
        assert server.run("restore", torn, "--replace").returncode != 0, "a torn file was taken for a backup"

    put = server.run("restore", file, *(["--replace"] if kind == "sqlite" else []))
    assert put.returncode == 0, put.stdout + put.stderr
    said = re.search(r"(\d+) entries are lost", put.stdout)
    assert said and int(said[1]) > 0 and "audit successor" in put.stdout, put.stdout
    if kind == "sqlite":
        assert list(server.data.glob("postern.db.replaced-*")), "what stood there is kept"

    assert server.run("migrate").returncode == 0 or kind == "sqlite"
    served = server.run("serve", seconds=60)
    assert served.returncode != 0 and "successor" in served.stderr, served.stderr
    opened = server.run("audit", "successor", "--origin", SUCCESSOR, "--yes")
    assert opened.returncode == 0, opened.stdout + opened.stderr
    server.settings["POSTERN_LOG_ORIGIN"] = SUCCESSOR
    server.start()
    with contextlib.closing(server.sign_in(server.person("super_admin"))) as admin:
        assert admin.tenant(kept)["status"] == "suspended" and admin.tenant(lost)["status"] == "active"
    verified = server.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
