"""What a form offers for a terminal, typed into one: the command line and curl do what the form would have done."""
import json
import os
import re
import subprocess

import postern
from browser import Window
from playwright.sync_api import expect


class Shell:
    """A shell in which one person is signed in, once by `postern login` and once by curl: a session belongs to the
    program it was opened with."""

    def __init__(self, server, person, home):
        self.env = postern.clean_environment(POSTERN_URL=server.url, XDG_CONFIG_HOME=home, HOME=home)
        self.env["PATH"] = f"{server.binary.parent}:{os.environ['PATH']}"
        self.home = home
        app = server.authenticator(person)
        done = self.run(f"postern login --email {person['email']} --password-stdin --code {app.next()}",
                        stdin=person["password"] + "\n")
        assert done.returncode == 0, done.stderr

        def post(path, **body):
            done = self.run(f"curl -sS --fail-with-body {server.url}/api/v1/{path} -H 'Content-Type: application/json' -d @-",
                            stdin=json.dumps(body))
            assert done.returncode == 0, done.stdout + done.stderr
            return json.loads(done.stdout)

        begun = post("sessions", email=person["email"], password=person["password"])
        # For curl alone: the command line has credentials of its own.
        self.token = post("sessions/totp", challenge=begun["challenge"], code=app.next())["token"]

    def run(self, text, stdin=""):
        return subprocess.run(["/bin/sh", "-c", text], input=stdin, cwd=self.home, env=self.env, capture_output=True, text=True,
                              timeout=60)

    def postern(self, text):
        return self.run(text + " --yes")

    def curl(self, text):
        return self.run(f"export POSTERN_TOKEN={self.token}\n{text} --fail-with-body -sS")


def offered(page):
    """The two texts beside the preview that is shown."""
    expect(page.get_by_role("region", name="Preview")).to_be_visible()
    page.get_by_text("The same from a terminal").click()
    texts = [page.get_by_role("button", name=name).get_attribute("data-copy") for name in ("Copy as CLI", "Copy as curl")]
    assert [page.locator("pre.json").nth(n).inner_text() for n in (0, 1)] == texts, "what is copied is what is seen"
    return texts


def test_what_is_copied_from_a_form_does_what_the_form_would(chromium, sqlite_server, tmp_path):
    person = sqlite_server.person("super_admin", 1)
    shell = Shell(sqlite_server, person, tmp_path)
    looking = sqlite_server.sign_in(sqlite_server.person("super_admin"))
    tenant = looking.active_tenant(30)
    metadata = {"segment": "robo'tics", "billing:plan": "a: b", "note": "$HOME `id` \"x\""}
    lines = "\n".join(f"{key}: {value}" for key, value in metadata.items())

    def kept():
        found = looking.tenant(tenant["id"])
        return found["name"], found["metadata"]

    with Window(chromium, sqlite_server) as window:
        window.sign_in(person)
        page = window.page

        def preview(name):
            window.go(f"/tenants/{tenant['id']}/update")
            page.get_by_label("Name").first.fill(name)
            page.get_by_label("Metadata").fill(lines)
            page.get_by_label("Justification").fill("It's what they asked for.")
            page.get_by_role("button", name="Preview").click()
            return offered(page)

        by_cli, _ = preview("By the command line")
        done = shell.postern(by_cli)
        assert done.returncode == 0, by_cli + "\n" + done.stderr
        assert kept() == ("By the command line", metadata)
        again = shell.postern(by_cli)
        assert again.returncode == 7, "the version that was looked at is part of the text: " + again.stderr

        _, by_curl = preview("By curl")
        done = shell.curl(by_curl)
        assert done.returncode == 0, by_curl + "\n" + done.stdout + done.stderr
        event = json.loads(done.stdout)["event_id"]
        assert kept() == ("By curl", metadata)
        # The form and the text are one intention: the form, confirmed now, tells what curl did.
        version = looking.tenant(tenant["id"])["version"]
        page.get_by_role("button", name=re.compile("^Edit ")).click()
        window.heading("Edit")
        expect(page.locator("main")).to_contain_text(event)
        assert looking.tenant(tenant["id"])["version"] == version

        # An undo, whose fields are the server's to know.
        window.go(f"/audit/{event}/undo")
        page.get_by_label("Justification").fill("Taken back by curl.")
        page.get_by_role("button", name="Preview again").click()
        by_cli, by_curl = offered(page)
        assert by_cli.startswith(f"postern undo {event} ")
        done = shell.curl(by_curl)
        assert done.returncode == 0, by_curl + "\n" + done.stdout + done.stderr
        assert kept() == ("By the command line", metadata)
        late = shell.postern(by_cli)
        assert late.returncode == 3 and "changed since" in late.stderr, late.stderr

        event = looking.suspend(tenant["id"]).json()["event_id"]
        window.go(f"/audit/{event}/undo")
        page.get_by_label("Justification").fill("They paid this morning.")
        page.get_by_role("button", name="Preview again").click()
        by_cli, _ = offered(page)
        done = shell.postern(by_cli)
        assert done.returncode == 0, by_cli + "\n" + done.stderr
        assert looking.tenant(tenant["id"])["status"] == "active"
    looking.close()
