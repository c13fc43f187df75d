"""Two years of events: what has outlived its class moves to an archive, and everything still verifies."""
import base64
import contextlib
import json
import pathlib
import shutil
import stat
import subprocess
import sys

import merkle
import postern
import pytest
from conftest import new_database
from test_api import published

SCRIPT = pathlib.Path(__file__).parent / "verify_export.py"


@pytest.fixture
def aged(kind, home, request):
    database = new_database(kind, request)
    server = postern.Server(home / f"retention-{kind}", database)
    try:
        made = server.run("demo", "--tenants", "50", "--events", "2000", "--no-serve", seconds=300)
        assert made.returncode == 0, made.stdout + made.stderr
        yield server
    finally:
        server.kill()
        database.drop()
        shutil.rmtree(server.home, ignore_errors=True)


@pytest.mark.only("postgres")
def test_what_has_ended_moves_to_an_archive(aged):
    server = aged
    archive = server.home / "archive"
    missing = server.run("audit", "prune", "--archive", archive)
    assert missing.returncode == 2 and "no folder" in missing.stderr, missing.stderr
    assert server.run("audit", "prune").returncode == 2
    archive.mkdir()
    wrong = server.run("audit", "prune", "--dry-run", POSTERN_RETENTION="operational_1y=30d")
    assert wrong.returncode == 2 and "POSTERN_RETENTION" in wrong.stderr, wrong.stderr

    dry = server.run("audit", "prune", "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    due = json.loads(dry.stdout)
    assert set(due["moved"]) == {"operational_1y"} and due["total"] > 10 and due["files"] == []
    longer = json.loads(server.run("audit", "prune", "--dry-run", "--json", POSTERN_RETENTION="operational_1y=3y").stdout)
    assert longer["total"] == 0

    export = server.home / "before.jsonl"
    server.start()
    with contextlib.closing(server.sign_in(server.person("super_admin"))) as admin:
        export.write_bytes(admin.get("audit-events/export").content)
        # While the server runs.
        done = server.run("audit", "prune", "--archive", archive, "--json")
        assert done.returncode == 0, done.stderr
        moved = json.loads(done.stdout)
        assert moved["moved"] == due["moved"] and len(moved["files"]) == len(list(archive.iterdir())) > 0

        key = admin.get("/log/key").text.strip()
        gone = []
        for file in map(pathlib.Path, moved["files"]):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            gone += [line["id"] for line in lines[1:-1]]
            assert all("sealed" not in line for line in lines), "no sealed value is archived"
            own = server.run("verify", "--export", file, "--key", key)
            assert own.returncode == 0, own.stdout
            other = subprocess.run([sys.executable, SCRIPT, file, key], capture_output=True, text=True)
            assert other.returncode == 0, other.stdout + other.stderr
        assert len(gone) == due["total"]
        for path in (f"audit-events/{gone[0]}", f"audit-events/{gone[0]}/receipt"):
            answer = admin.get(path)
            assert answer.status_code == 404 and "archive" in answer.json()["detail"], answer.text
        watch(server, admin, merkle.Key(key), gone, archive)
        event = admin.get("audit-events", params={"action": "retention.pruned"}).json()["items"]
        assert sum(admin.get(f"audit-events/{e['id']}").json()["leaf"]["facts"]["pruned"] for e in event) == len(gone)

        after = server.home / "after.jsonl"
        postern.wait_until(lambda: after.write_bytes(admin.get("audit-events/export").content) > 0
                           and server.run("verify", "--export", after, "--key", key).returncode == 0, 20, "a full export")
        other = subprocess.run([sys.executable, SCRIPT, after, key], capture_output=True, text=True)
        assert other.returncode == 0, other.stdout + other.stderr
    server.stop()
    # The checkpoint that was exported before is still a part of this history.
    note = server.home / "old.checkpoint"
    note.write_text(json.loads(export.read_text().splitlines()[0])["checkpoint"])
    verified = server.run("verify", "--against", note)
    assert verified.returncode == 0 and f"{due['total']} events left" in verified.stdout, verified.stdout


def watch(server, admin, key, gone, archive):
    """What somebody who reads the log from outside can still make of it: all of it but the bundles with holes, and with the archive
    those too."""
    seen = {}

    def fetch(path):
        token = admin.session["token"] if path.startswith("tile/entries") else None
        answer = published(server, path, token)
        if answer.status_code == 410:
            problem = answer.json()
            assert answer.headers["content-type"] == "application/problem+json" and problem["type"] == "/problems/archived"
            seen.update({index: run["pruned_by"] for run in problem["archived"]
                         for index in range(run["first"], run["last"] + 1)})
            return 410, b"", problem
        return answer.status_code, answer.content, None

    # Receipts wait for the checkpoint.
    for event in admin.get("audit-events", params={"action": "retention.pruned"}).json()["items"]:
        assert admin.get(f"audit-events/{event['id']}/receipt").status_code == 200
    leaves, minimum = merkle.monitor(fetch, key)
    assert len(seen) == len(gone) and 0 < minimum and minimum % 256 == 0
    assert not set(seen) & set(leaves), "an entry is both there and in the archive"
    _, size, _ = key.open(published(server, "checkpoint").text)
    assert set(range(minimum, minimum + 256 * ((size - minimum) // 256))) <= set(leaves), "something above the minimum index is withheld"
    # The archive has what the bundles lack, and it hashes to what the tiles hold.
    archived = {line["index"]: base64.b64decode(line["leaf"]) for file in archive.iterdir()
                for line in map(json.loads, file.read_text().splitlines()) if "leaf" in line}
    assert set(archived) == set(seen)
    for index, leaf in archived.items():
        number = index // 256
        tile = published(server, "tile/0/" + merkle.tile_path(number)).content
        assert merkle.leaf_hash(leaf) == tile[index % 256 * 32 : index % 256 * 32 + 32], index
    events = {json.loads(leaf)["id"] for leaf in leaves.values()}
    assert not events & set(gone) and set(seen.values()) <= events, "what let them go is in the log itself"
    # A bundle that is not there yet is another thing.
    missing = published(server, "tile/entries/x999/000", admin.session["token"])
    assert missing.status_code == 404 and missing.json()["type"] == "/problems/not-found"
