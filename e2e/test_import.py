"""A file of customers is brought in and worked on, as its first users will."""
import checker
import postern
import pytest


@pytest.fixture
def serving(own_server):
    return own_server.start()


def test_ten_thousand_customers_with_their_members_are_imported_and_worked_on(serving, tmp_path):
    path = tmp_path / "customers.csv"
    postern.write_customers(path, 10_000)
    rehearsed = serving.run("import", "csv", str(path), "--dry-run")
    assert rehearsed.returncode == 0, rehearsed.stderr
    with checker.Database.of(serving) as database:
        before = database.one("SELECT count(*) FROM tenants")
    imported = serving.run("import", "csv", str(path), seconds=300)
    assert imported.returncode == 0, imported.stderr
    assert "10000" in imported.stdout.replace(",", "")

    person = serving.sign_in(serving.person("support_l2"))
    found = person.get("search", params={"q": "customer-7777"}).json()["items"]
    assert [item["slug"] for item in found if item["type"] == "tenant"] == ["customer-7777"]
    by_mail = person.get("search", params={"q": "m1@c4242.example"}).json()["items"]
    assert any("4242" in str(item) for item in by_mail)
    tenant = found[0]["id"]
    assert {m["email"] for m in person.get(f"tenants/{tenant}/users").json()["items"]} == {
        "owner@c7777.example", "m0@c7777.example", "m1@c7777.example"}
    done = person.suspend(tenant)
    assert done.status_code == 200, done.text
    assert person.post(f"audit-events/{done.json()['event_id']}/undo", json={}).status_code == 200

    again = serving.run("import", "csv", str(path), seconds=300)
    assert again.returncode == 0, again.stderr
    with checker.Database.of(serving) as database:
        assert database.one("SELECT count(*) FROM tenants") == before + 10_000
        assert checker.Checker(database).run() == []
    verified = serving.run("verify", seconds=300)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    person.close()


@pytest.mark.parametrize("name, content, words", [
    ("empty", b"", ["empty"]),
    ("no header", b"crm-1,One,one\n", ["external_id"]),
    ("unknown column", b"external_id,name,slug,colour\nx,One,one,red\n", ["colour"]),
    ("missing column", b"external_id,name\nx,One\n", ["slug"]),
    ("bad slug", b"external_id,name,slug\nx,One,Not A Slug\n", ["2", "slug"]),
    ("too few values", b"external_id,name,slug\nx,One\n", ["2"]),
    ("twice", b"external_id,name,slug\nx,One,one\nx,Two,two\n", ["3", "external_id"]),
    ("bad mail", b"external_id,name,slug,owner_email\nx,One,one,nobody\n", ["2", "owner_email"]),
    ("not UTF-8", b"external_id,name,slug\nx,\xff\xfe,one\n", ["2", "UTF-8"]),
    ("bidi", "external_id,name,slug\nx,One \u202e,one\n".encode(), ["2", "name"]),
    ("open quote", b'external_id,name,slug\nx,"One,one\n', ["2"]),
    ("good and bad", b"external_id,name,slug\ngood-1,Good,good-one\nx,,\n", ["3"]),
])
def test_a_file_with_a_mistake_is_refused_whole_and_the_line_named(server, tmp_path, name, content, words):
    path = tmp_path / "customers.csv"
    path.write_bytes(content)

    def count():
        with checker.Database.of(server) as database:
            return database.one("SELECT count(*) FROM tenants"), database.one("SELECT count(*) FROM users")

    before = count()
    done = server.run("import", "csv", str(path))
    assert done.returncode == 2, f"{done.returncode}: {done.stdout}{done.stderr}"
    for word in words:
        assert word in done.stderr, done.stderr
    assert count() == before


def test_a_file_that_is_not_there_is_named(server):
    done = server.run("import", "csv", "/nonexistent/customers.csv")
    assert done.returncode not in (0, 1) and "/nonexistent/customers.csv" in done.stderr
