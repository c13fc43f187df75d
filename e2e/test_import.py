"""A file of customers is brought in and worked on, as its first users will.

POSTERN_IMPORT_ROWS sets how many rows the import has that is killed on the way (6000). A batch has a thousand rows, and a file as
many batches as a stop needs: some that are in, one in hand, and some that are left."""
import csv
import json
import os
import resource
import secrets
import signal
import subprocess
import time

import checker
import httpx
import postern
import pytest

ROWS = int(os.environ.get("POSTERN_IMPORT_ROWS", "6000"))
BATCH = 1_000


@pytest.fixture
def serving(own_server):
    return own_server.start()


def test_customers_with_their_members_are_imported_and_worked_on(serving, tmp_path):
    """More than a batch of them."""
    path = tmp_path / "customers.csv"
    postern.write_customers(path, 1_100)
    rehearsed = serving.run("import", "csv", str(path), "--dry-run")
    assert rehearsed.returncode == 0, rehearsed.stderr
    with checker.Database.of(serving) as database:
        before = database.one("SELECT count(*) FROM tenants")
    imported = serving.run("import", "csv", str(path), seconds=300)
    assert imported.returncode == 0, imported.stderr
    assert "1100" in imported.stdout.replace(",", "")

    person = serving.sign_in(serving.person("support_l2"))
    found = person.get("search", params={"q": "customer-1077"}).json()["items"]
    assert [item["slug"] for item in found if item["type"] == "tenant"] == ["customer-1077"]
    by_mail = person.get("search", params={"q": "m1@c1042.example"}).json()["items"]
    assert any("1042" in str(item) for item in by_mail)
    tenant = found[0]["id"]
    assert {m["email"] for m in person.get(f"tenants/{tenant}/users").json()["items"]} == {
        "owner@c1077.example", "m0@c1077.example", "m1@c1077.example"}
    done = person.suspend(tenant)
    assert done.status_code == 200, done.text
    assert person.post(f"audit-events/{done.json()['event_id']}/undo", json={}).status_code == 200

    again = serving.run("import", "csv", str(path), seconds=300)
    assert again.returncode == 0, again.stderr
    with checker.Database.of(serving) as database:
        assert database.one("SELECT count(*) FROM tenants") == before + 1_100
        assert checker.Checker(database).run() == []
    verified = serving.run("verify", seconds=300)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    person.close()


@pytest.mark.parametrize("name, content, words", [
    ("empty", b"", ["empty"]),
    ("no header", b"crm-1,One,one\n", ["external_id", "--mapping"]),
    ("unknown column", b"external_id,name,slug,colour\nx,One,one,red\n", ["colour"]),
    ("missing column", b"external_id,name\nx,One\n", ["slug"]),
    ("bad slug", b"external_id,name,slug\nx,One,Not A Slug\n", ["2", "slug"]),
    ("too few values", b"external_id,name,slug\nx,One\n", ["2"]),
    ("bad mail", b"external_id,name,slug,owner_email\nx,One,one,nobody\n", ["2", "owner_email"]),
    ("not UTF-8", b"external_id,name,slug\nx,\xff\xfe,one\n", ["2", "UTF-8", "--encoding latin1"]),
    ("bidi", "external_id,name,slug\nx,One \u202e,one\n".encode(), ["2", "name"]),
    ("open quote", b'external_id,name,slug\nx,"One,one\n', ["2"]),
    ("UTF-16", "external_id,name,slug\nx,One,one\n".encode("utf-16"), ["UTF-16"]),
    ("good, then an open quote", b'external_id,name,slug\ngood-1,Good,good-one\nx,"One,one\n', ["3"]),
])
@pytest.mark.only("sqlite")
def test_a_file_with_a_mistake_brings_nothing_and_the_line_is_named(server, tmp_path, name, content, words):
    path = tmp_path / "customers.csv"
    path.write_bytes(content)
    before = counts(server)
    done = server.run("import", "csv", str(path))
    assert done.returncode == 2, f"{done.returncode}: {done.stdout}{done.stderr}"
    for word in words:
        assert word in done.stderr, done.stderr
    assert counts(server) == before


def counts(server):
    with checker.Database.of(server) as database:
        return database.one("SELECT count(*) FROM tenants"), database.one("SELECT count(*) FROM users")


UGLY = ("\ufeffAccount No,Company,Edition,Owner,People,Sector\r\n"
        'A-1,"Bäcker & Söhne ""Nord"" KG",Gold,Jo@ugly-a.example,"x@ugly-a.example; y@ugly-a.example","food,\r\nfresh"\r\n'
        "A-2,Zweiter,Silver,,,\r\n"
        "A-3,Dritter,Bronze,,,\r\n"
        "A-2,Doppelt,Gold,,,\r\n"
        "\r\n"
        "A-4,Vierter,Gold,not-an-address,,\r\n")
MAPPING = """
fields:
  external_id: Account No
  name: Company
  slug: {from: Company, as: slug}
  plan: {from: Edition, values: {Gold: business, Silver: team}, default: free}
  owner_email: Owner
  member_emails: People
  region: {constant: eu-west}
  metadata.sector: Sector
"""


def test_an_export_of_another_program_is_mapped_and_what_is_wrong_is_listed(serving, tmp_path):
    path, mapping = tmp_path / "crm.csv", tmp_path / "mapping.yaml"
    path.write_bytes(UGLY.encode())
    mapping.write_text(MAPPING)
    before = counts(serving)
    arguments = ["import", "csv", str(path), "--mapping", str(mapping)]
    rehearsed = serving.run(*arguments, "--dry-run", "--json")
    told = json.loads(rehearsed.stdout)
    assert (told["created"], told["rejected"], told["applied"]) == (2, 3, False), told
    strict = serving.run(*arguments, "--strict")
    assert strict.returncode == 2 and "Nothing was imported" in strict.stderr
    assert counts(serving) == before
    done = serving.run(*arguments)
    assert done.returncode == 2 and "3 rows can't be taken" in done.stderr, done.stderr
    assert "2 new" in done.stdout
    assert counts(serving)[0] == before[0] + 2
    with open(f"{path}.rejected.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    assert [(row["line"], row["column"]) for row in rows] == [("5", "Edition"), ("6", "external_id"), ("8", "Owner")]
    assert "stands in line 4 already" in rows[1]["reason"]
    assert os.stat(f"{path}.rejected.csv").st_mode & 0o777 == 0o600

    person = serving.sign_in(serving.person("support_l2"))
    (tenant,) = [item for item in person.get("search", params={"q": "backer-sohne-nord-kg"}).json()["items"]
                 if item["type"] == "tenant"]
    found = person.tenant(tenant["id"])
    assert found["name"] == 'Bäcker & Söhne "Nord" KG' and found["plan"] == "business"
    assert found["metadata"] == {"sector": "food, fresh"} and found["region"] == "eu-west"

    # The same again changes nothing, a changed name changes the name, another plan is told and not taken over.
    with checker.Database.of(serving) as database:
        events = database.one("SELECT count(*) FROM events WHERE action LIKE 'registry.%'")
        again = serving.run(*arguments)
        assert "0 new, 0 changed, 2 as they were" in again.stdout
        assert database.one("SELECT count(*) FROM events WHERE action LIKE 'registry.%'") == events
    path.write_bytes(UGLY.replace("Zweiter,Silver", "Zweiter AG,Gold").encode())
    mapping.write_text(MAPPING.replace("{from: Company, as: slug}", "Account No").replace(
        "slug: Account No", "slug: {from: Account No, as: lower}"))
    changed = serving.run(*arguments)
    assert "2 changed" in changed.stdout and "1 field differs" in changed.stdout, changed.stdout + changed.stderr
    (item,) = person.get("drifts", params={"field": "plan", "tenant": "a-2"}).json()["items"]
    assert (item["ours"], item["theirs"], item["state"]) == ("team", "business", "open")
    person.close()


@pytest.mark.only("sqlite")
def test_json_lines_in_latin1_with_members(server, tmp_path):
    path, mapping = tmp_path / "export.jsonl", tmp_path / "mapping.json"
    path.write_bytes(b'{"id": 4711, "org": {"title": "Caf\xe9 Zo\xeb", "key": "cafe-zoe-%s"}, '
                     b'"people": [{"mail": "zoe@cafe.example", "kind": "A"}]}\nnonsense\n'
                     % secrets.token_hex(3).encode())
    mapping.write_text(json.dumps({
        "fields": {"external_id": "id", "name": "org.title", "slug": "org.key"},
        "members": {"from": "people", "fields": {
            "email": "mail", "role": {"from": "kind", "values": {"A": "admin"}, "otherwise": "member"}}}}))
    refused = server.run("import", "jsonl", str(path), "--mapping", str(mapping))
    assert refused.returncode == 2 and "--encoding latin1" in refused.stderr
    done = server.run("import", "jsonl", str(path), "--mapping", str(mapping), "--encoding", "latin1", "--json")
    told = json.loads(done.stdout)
    assert (told["created"], told["rejected"]) == (1, 1), done.stdout + done.stderr
    with checker.Database.of(server) as database:
        assert database.one("SELECT name FROM tenants WHERE external_id = '4711'") == "Café Zoë"
        assert database.one("SELECT m.role FROM memberships m JOIN users u ON u.id = m.user_id "
                            "WHERE u.email = 'zoe@cafe.example'") == "admin"


@pytest.mark.parametrize("text, words", [
    ("fields: {name: a}", ["external_id"]), ("fields: [", ["YAML"]), ("fields: {colour: a}", ["colour"]), ("", ["empty"]),
])
def test_a_mapping_that_cannot_be_used_says_what_is_wrong(tmp_path, text, words):
    """Before the database is looked at: here there is none."""
    server = postern.Server(tmp_path / "nothing")
    path, mapping = tmp_path / "a.csv", tmp_path / "m.yaml"
    path.write_text("a,b\n")
    mapping.write_text(text)
    done = server.run("import", "csv", str(path), "--mapping", str(mapping))
    assert done.returncode == 2 and str(mapping) in done.stderr
    for word in words:
        assert word in done.stderr
    assert not server.data.exists()


def test_an_import_of_many_rows_is_killed_twice_and_goes_on(serving, tmp_path):
    path = tmp_path / "customers.csv"
    rows = ROWS
    postern.write_customers(path, rows, members=0)

    def launch():
        return subprocess.Popen([str(serving.binary), "import", "csv", str(path)], cwd=serving.home,
                                env=serving.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    with checker.Database.of(serving) as database:
        before = database.one("SELECT count(*) FROM tenants")

        def staged():
            return database.one("SELECT coalesce(sum(staged), 0) FROM import_runs WHERE state = 'staging'")

        def applied():
            return database.one("SELECT count(*) FROM tenants") - before

        # Killed while the file is read: nothing of it is visible, and what was read is kept.
        process = launch()
        postern.wait_until(lambda: staged() > 0, 120, "rows to be staged")
        process.kill()
        process.communicate()
        kept = staged()
        assert 0 < kept < rows and applied() == 0
        # Killed while it is applied: whole customers, as many as the run says.
        process = launch()
        postern.wait_until(lambda: applied() > BATCH or process.poll() is not None, 300, "rows to be applied")
        assert process.poll() is None, process.communicate()
        process.kill()
        process.communicate()
        some = applied()
        run = database.one("SELECT created FROM import_runs WHERE state = 'applying'")
        assert some == run and some % BATCH == 0 and some < rows
        # Ctrl-C stops between two batches and says how many are in.
        process = launch()
        postern.wait_until(lambda: applied() > some or process.poll() is not None, 300, "it to go on")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1 and f"Going on: {some} of {rows} are in." in err, err
        assert f"Stopped after {applied()} of {rows} rows." in err, err
        done = serving.run("import", "csv", str(path), seconds=600)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Imported {rows} tenants: {rows} new" in done.stdout
        assert applied() == rows
        assert database.one("SELECT count(*) FROM import_rows") == 0
        assert database.one("SELECT count(*) FROM outbox WHERE name = 'registry.imported'") == 1
        assert checker.Checker(database).run() == []


def launched(server, path, *options):
    return subprocess.Popen([str(server.binary), "import", "csv", str(path), *options], cwd=server.home,
                            env=server.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def take_slug(server, slug):
    """Another customer has it from now on, by the word of the product."""
    token = json.loads((server.data / "runtime.json").read_text())["runtime_token"]

    def put():
        return httpx.put(f"{server.runtime_url}/runtime/v1/tenants/quicker-{slug}", json={"name": "Quicker", "slug": slug},
                         headers={"Authorization": f"Bearer {token}"}, timeout=60)

    # The import may hold a lock just then.
    answer = put()
    for _ in range(20):
        if answer.status_code != 503:
            break
        time.sleep(0.1)
        answer = put()
    assert answer.status_code == 201, answer.text


def listed(path):
    with open(f"{path}.rejected.csv", newline="") as f:
        return [(row["line"], row["column"], row["reason"]) for row in csv.DictReader(f)]


@pytest.mark.only("sqlite")
def test_a_row_that_becomes_wrong_while_an_import_is_stopped_is_listed_and_the_rest_is_in(serving, tmp_path):
    path, rows = tmp_path / "customers.csv", 4_000
    postern.write_customers(path, rows, members=0)
    rehearsed = serving.run("import", "csv", str(path), "--dry-run", seconds=300)
    assert rehearsed.returncode == 0 and f"Would import {rows} tenants" in rehearsed.stdout, rehearsed.stderr
    with checker.Database.of(serving) as database:
        def applied():
            return database.one("SELECT count(*) FROM tenants WHERE external_id LIKE 'crm-%'")

        process = launched(serving, path)
        postern.wait_until(lambda: applied() > 0 or process.poll() is not None, 300, "rows to be applied")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        some = applied()
        assert process.returncode == 1 and f"Stopped after {some} of {rows} rows." in err, out + err
        assert 0 < some < rows
        # Everything was sound when it was checked.
        take_slug(serving, f"customer-{rows}")
        done = serving.run("import", "csv", str(path), seconds=300)
        assert done.returncode == 2, done.stdout + done.stderr
        assert f"Line {rows + 1}, column slug" in done.stderr and 'is taken by "Quicker"' in done.stderr, done.stderr
        assert "1 row can't be taken; they are listed in" in done.stderr, done.stderr
        assert f"Imported {rows - 1} tenants: {rows - 1} new" in done.stdout, done.stdout
        ((line, column, reason),) = listed(path)
        assert (line, column) == (str(rows + 1), "slug") and 'is taken by "Quicker"' in reason
        assert applied() == rows - 1
        assert database.one("SELECT rejected FROM import_runs WHERE state = 'applied'") == 1
        assert database.one("SELECT count(*) FROM outbox WHERE name = 'registry.imported'") == 1
        assert checker.Checker(database).run() == []


@pytest.mark.only("postgres")
def test_where_no_row_may_be_left_out_an_import_stops_before_one_that_becomes_wrong(serving, tmp_path):
    path, rows = tmp_path / "customers.csv", 5_000
    postern.write_customers(path, rows, members=0)
    with checker.Database.of(serving) as database:
        def applied():
            return database.one("SELECT count(*) FROM tenants WHERE external_id LIKE 'crm-%'")

        def told():
            return database.one("SELECT count(*) FROM outbox WHERE name = 'registry.imported'")

        process = launched(serving, path, "--strict")
        postern.wait_until(lambda: applied() > 0 or process.poll() is not None, 300, "rows to be applied")
        take_slug(serving, f"customer-{rows}")
        out, err = process.communicate(timeout=300)
        assert process.returncode == 2 and "Imported" not in out, out + err
        # Everything before the last batch, which has the row.
        assert applied() == rows - BATCH and told() == 0
        words = f"{rows - BATCH} of {rows - 1} tenants are in and stay in"
        assert words in err and "without --strict" in err, err
        assert [(line, column) for line, column, _ in listed(path)] == [(str(rows + 1), "slug")]
        again = serving.run("import", "csv", str(path), "--strict", "--json", seconds=300)
        answer = json.loads(again.stdout)
        assert again.returncode == 2 and (answer["applied"], answer["done"]) == (False, rows - BATCH), answer
        assert applied() == rows - BATCH
        rest = serving.run("import", "csv", str(path), seconds=300)
        assert rest.returncode == 2 and f"Imported {rows - 1} tenants: {rows - 1} new" in rest.stdout, rest.stdout
        assert applied() == rows - 1 and told() == 1
        assert checker.Checker(database).run() == []


def test_a_database_that_goes_away_stops_an_import_and_the_same_command_goes_on(own_cluster, tmp_path):
    database = postern.PostgresDatabase(own_cluster.url)
    server = postern.Server(tmp_path / "own", database)
    path = tmp_path / "customers.csv"
    postern.write_customers(path, 4_000, members=0)
    try:
        server.start()
        with database.connect() as db:
            def applied():
                return db.execute("SELECT count(*) FROM tenants WHERE external_id LIKE 'crm-%'").fetchone()[0]

            process = subprocess.Popen([str(server.binary), "import", "csv", str(path)], cwd=server.home,
                                       env=server.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            postern.wait_until(lambda: applied() > 0 or process.poll() is not None, 300, "rows to be applied")
        own_cluster.stop("immediate")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 9 and "run the same command again to go on" in err, out + err
        own_cluster.start()
        done = server.run("import", "csv", str(path), seconds=300)
        assert done.returncode == 0 and "Imported 4000 tenants: 4000 new" in done.stdout, done.stdout + done.stderr
    finally:
        server.kill()


def test_two_gigabytes_are_not_held_in_memory(sqlite_server, tmp_path):
    path = tmp_path / "large.csv"
    with open(path, "wb") as f:
        f.write(b"external_id,name,slug\nx,One,one\n")
        f.truncate(2 << 30)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    done = sqlite_server.run("import", "csv", str(path), seconds=300)
    assert done.returncode == 2 and "Line 3 holds a zero byte" in done.stderr, done.stderr
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert peak == before or peak < 300 << 10, f"{peak} KiB"


def test_two_customers_far_apart_in_a_file_swap_their_slugs(serving, tmp_path):
    path = tmp_path / "customers.csv"

    def bring(slugs):
        path.write_text("external_id,name,slug\n" + "".join(
            f"far-{n},Far {n},far-{slug}\n" for n, slug in slugs.items()))
        done = serving.run("import", "csv", str(path), seconds=120)
        assert done.returncode == 0, done.stdout + done.stderr

    slugs = {n: n for n in range(1_100)}
    bring(slugs)
    slugs |= {0: 1_099, 1_099: 0, 7: 700, 700: 1_050, 1_050: 7}
    bring(slugs)
    with checker.Database.of(serving) as database:
        held = {row["external_id"]: row["slug"] for row in database.rows(
            "SELECT external_id, slug FROM tenants WHERE external_id LIKE 'far-%'")}
    assert held == {f"far-{n}": f"far-{slug}" for n, slug in slugs.items()}
    # Every row is what its last event says.
    verified = serving.run("verify")
    assert verified.returncode == 0, verified.stdout


@pytest.mark.only("sqlite")
def test_a_file_that_is_not_there_is_named(server):
    done = server.run("import", "csv", "/nonexistent/customers.csv")
    assert done.returncode not in (0, 1) and "/nonexistent/customers.csv" in done.stderr
