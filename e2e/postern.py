"""Starts and stops real servers and real databases, and speaks to them as people would."""
import contextlib
import csv
import fcntl
import glob
import hashlib
import http.client
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import weakref
from pathlib import Path

import httpx
import psycopg

import totp

# The five seconds that httpx gives where nothing is said are little on a busy machine.
for part in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, part, 30.0)

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("POSTERN_BINARY") or ROOT / ".build/debug/postern")
START_SECONDS = int(os.environ.get("POSTERN_START_SECONDS", "180"))


def port_block(size=200):
    """Ports below the range that outgoing connections use, which no other run beside this one is given: between being found
    free and being listened on, a port is anybody's. The name that claims them ends with the process."""
    for first in range(20000, 32000, size):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0postern-e2e-ports-{first}")
        except OSError:
            claim.close()
            continue
        return claim, itertools.cycle(range(first, first + size))
    raise AssertionError("too many runs of these tests at once")


PORT_CLAIM, PORTS = port_block()


def free_ports(count):
    """Ports nobody listens on at the moment."""
    found = []
    for port in PORTS:
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found


def wait_until(condition, seconds, what, slack=3):
    """The first true answer of `condition`, which is asked less and less often: asking takes from what is waited for. `seconds` is
    what a machine that does nothing else may take; a busy one gets `slack` times as much, up to a minute. With 1 it is a promise."""
    seconds = max(seconds, min(slack * seconds, 60))
    end = time.monotonic() + seconds
    pause = 0.02
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.25, 0.15)


def lacking(what):
    """Skips a test that this machine can't run. bin/test counts every other skip as a failure."""
    import pytest

    pytest.skip("this machine: " + what)


# ---- PostgreSQL ------------------------------------------------------------------------------------------


def postgres_tool(name):
    """The newest installed server tool (initdb, pg_ctl), or None."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda p: float(p.split("/")[4]))
    return found[-1] if found else shutil.which(name)


class Cluster:
    """A PostgreSQL of our own, which may be stopped and cut off."""

    def __init__(self, directory):
        self.home = Path(directory)
        self.data = self.home / "data"
        (self.port,) = free_ports(1)
        self.as_user = []
        self.home.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.home, "postgres")
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        # One that was kept is taken up again.
        if not (self.data / "PG_VERSION").exists():
            self.run(postgres_tool("initdb"), "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                     "--locale=C.UTF-8", "--no-sync")
        self.options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.home} " \
                       "-c max_connections=200"

    @staticmethod
    def available():
        return bool(postgres_tool("initdb") and postgres_tool("pg_ctl"))

    @property
    def url(self):
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def run(self, *command, check=True):
        done = subprocess.run([*self.as_user, *command], cwd="/", capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 or not check, done.stderr + done.stdout
        return done

    def start(self, *options):
        self.run(postgres_tool("pg_ctl"), "-D", str(self.data), "-l", str(self.home / "log"), "-w", "-t", "90",
                 "-o", " ".join([self.options, *options]), "start")
        return self

    def stop(self, mode="fast"):
        self.run(postgres_tool("pg_ctl"), "-D", str(self.data), "-m", mode, "-w", "stop", check=False)

    def pid(self):
        return int((self.data / "postmaster.pid").read_text().split()[0])


class PostgresDatabase:
    """A database of its own within a cluster; its owner's URL is what the server gets."""

    kind = "postgres"

    def __init__(self, admin_url, name=None):
        """`name` is one that is there already."""
        self.admin_url = admin_url
        self.name = name or "e2e_" + secrets.token_hex(5)
        parts = urllib.parse.urlsplit(admin_url)
        self.url = urllib.parse.urlunsplit(parts._replace(path="/" + self.name))
        if name is None:
            self.create()

    def create(self):
        with psycopg.connect(self.admin_url, autocommit=True) as db:
            db.execute(f'CREATE DATABASE "{self.name}"')

    def copy(self, other, password):
        """Becomes what another database of the cluster is, which nobody may be connected to. Its server's role, whose name comes
        from the database's, may do what the other one's may."""
        mine, theirs = (f"postern_app_{one.name}" for one in (self, other))
        with psycopg.connect(self.admin_url, autocommit=True) as db:
            db.execute(f'DROP DATABASE "{self.name}"')
            db.execute(f'CREATE DATABASE "{self.name}" TEMPLATE "{other.name}"')
            # Without it a crash gives out again what sequences gave since the copy: PostgreSQL 15's copies keep the count of values
            # that need no WAL record, and have none for them.
            db.execute("CHECKPOINT")
            db.execute(f"CREATE ROLE {mine} LOGIN PASSWORD '{password}'")
            db.execute(f"GRANT {theirs} TO {mine}")

    def connect(self):
        return psycopg.connect(self.url, autocommit=True)

    def drop(self):
        with psycopg.connect(self.admin_url, autocommit=True) as db:
            db.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


class EmbeddedDatabase:
    """The SQLite file in the data directory."""

    kind = "sqlite"
    url = None

    def drop(self):
        pass


# ---- the demo, made once ----------------------------------------------------------------------------------


class Demos:
    """The demo company, made once for each kind of database and copied for every server that begins with it: making it takes much
    longer than starting on it. Test processes that have the same folder share what one of them made."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # The cluster of the run, and those that tests have for themselves: each by its URL with the database to copy there.
        self.admin_url = None
        self.clusters = {}
        self.user = self.folder / f"user-{os.getpid()}"
        self.user.touch()

    @contextlib.contextmanager
    def lock(self, name):
        """One process at a time; what has another name may be made meanwhile."""
        with open(self.folder / f"lock-{name}", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def begin(self, server):
        """Puts the demo where the server looks for it, if that is what it would make now by itself."""
        if not server.begins_with_the_demo():
            return
        is_postgres = server.database.kind == "postgres"
        place = server.database.admin_url if is_postgres else None
        mail = {name: value for name, value in server.settings.items() if name in MAIL}
        if place in self.clusters and not mail:
            source = Server(self.folder / "cluster", PostgresDatabase(place, self.clusters[place]))
        elif place in (None, self.admin_url):
            source = self.source(is_postgres, mail)
        else:
            return
        shutil.copytree(source.data, server.data)
        if is_postgres:
            server.database.copy(source.database, (source.data / "keys/database.password").read_text().strip())

    def source(self, is_postgres, mail):
        """The server that made it, which does not run."""
        name = "postgres-" + hashlib.sha256(self.admin_url.encode()).hexdigest()[:8] if is_postgres else "sqlite"
        # Where mail is sent the story leaves some.
        name += "-mail" if mail else ""
        with self.lock(name):
            note = self.folder / f"{name}.json"
            if note.exists():
                return Server(self.folder / name, self.kept(note))
            database = PostgresDatabase(self.admin_url) if is_postgres else EmbeddedDatabase()
            source = self.make(self.folder / name, database, **mail)
            note.write_text(json.dumps([database.admin_url, database.name] if is_postgres else None))
            return source

    @staticmethod
    def make(home, database, **settings):
        source = Server(home, database, **settings)
        made = source.run("demo", "--no-serve", seconds=START_SECONDS)
        assert made.returncode == 0, made.stdout + made.stderr
        return source

    def cluster(self):
        """A cluster for one test, not yet started, with the demo in it to copy."""
        with self.lock("cluster"):
            note = self.folder / "cluster.note"
            if not note.exists():
                first = Cluster(temporary_directory("pg")).start()
                try:
                    name = self.make(self.folder / "cluster", PostgresDatabase(first.url)).database.name
                finally:
                    first.stop()
                note.write_text(json.dumps([str(first.home), name]))
            home, name = json.loads(note.read_text())
        copy = temporary_directory("pg")
        subprocess.run(["cp", "-a", f"{home}/data", str(copy)], check=True)
        cluster = Cluster(copy)
        self.clusters[cluster.url] = name
        return cluster

    @staticmethod
    def kept(note):
        place = json.loads(note.read_text())
        return PostgresDatabase(*place) if place else EmbeddedDatabase()

    def close(self):
        """The last one takes away what was made."""
        with self.lock("users"):
            self.user.unlink()
            if any(self.folder.glob("user-*")):
                return
            for note in self.folder.glob("*.note"):
                shutil.rmtree(json.loads(note.read_text())[0], ignore_errors=True)
                note.unlink()
            for note in self.folder.glob("*.json"):
                # A cluster that a worker started for itself is gone already.
                with contextlib.suppress(psycopg.OperationalError):
                    self.kept(note).drop()
                note.unlink()
                shutil.rmtree(self.folder / note.stem)


# What servers of this run begin with; None: each makes its own.
demos = None

# Settings that the making of the demo does not look at.
ASIDE = {
    "POSTERN_WEBHOOK_ALLOW_PRIVATE", "POSTERN_DRAIN_SECONDS", "POSTERN_STOP_SECONDS", "POSTERN_LOG_LEVEL",
    "POSTERN_REQUEST_DELETION",
    "POSTERN_SLACK_TOKEN", "POSTERN_SLACK_CHANNEL", "POSTERN_SLACK_API", "POSTERN_SLACK_WEBHOOK_URL",
    "POSTERN_SLACK_SIGNING_SECRET_FILE",
    "POSTERN_OIDC_ISSUER", "POSTERN_OIDC_CLIENT_ID", "POSTERN_OIDC_CLIENT_SECRET", "POSTERN_OIDC_NAME", "POSTERN_OIDC_CA_FILE",
    "POSTERN_OIDC_REQUIRED", "POSTERN_OIDC_ROLES", "POSTERN_OIDC_ROLES_CLAIM",
    # A clock of one's own, which is right at first.
    "LD_PRELOAD", "CLOCK_SHIFT_FILE",
}
# Of these it only looks whether they are there.
MAIL = {"POSTERN_SMTP_URL", "POSTERN_SMTP_USER", "POSTERN_SMTP_PASSWORD_FILE", "POSTERN_SMTP_CA_FILE", "POSTERN_MAIL_FROM"}


# ---- the server ------------------------------------------------------------------------------------------


def clean_environment(**extra):
    env = {k: v for k, v in os.environ.items() if not k.startswith("POSTERN_")}
    env.update({k: str(v) for k, v in extra.items() if v is not None})
    env.setdefault("SWIFT_BACKTRACE", "enable=no")
    return env


# Those that were started.
launched = weakref.WeakSet()


class Server:
    """One `postern demo` in a directory of its own. Everything on loopback; `stop` leaves nothing behind but the data."""

    def __init__(self, home, database=None, arguments=("demo",), binary=None, **settings):
        assert BINARY.exists(), f"{BINARY} is not built"
        self.home = Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self.data = self.home / "data"
        self.database = database or EmbeddedDatabase()
        self.binary = Path(binary or BINARY)
        self.arguments = list(arguments)
        self.settings = settings
        self.staff_port, self.auditor_port, self.runtime_port, self.metrics_port = free_ports(4)
        self.process = None
        self.apps = {}
        self.log_path = self.home / "server.log"

    def transport(self):
        """How clients reach it; a balancer has a way of its own."""
        return None

    @property
    def url(self):
        return f"http://localhost:{self.staff_port}"

    @property
    def runtime_url(self):
        return f"http://localhost:{self.runtime_port}"

    @property
    def auditor_url(self):
        return f"http://localhost:{self.auditor_port}"

    @property
    def metrics_url(self):
        return f"http://localhost:{self.metrics_port}"

    def environment(self):
        return clean_environment(**{
            "POSTERN_DATA": self.data, "POSTERN_STAFF_PORT": self.staff_port, "POSTERN_AUDITOR_PORT": self.auditor_port,
            "POSTERN_RUNTIME_PORT": self.runtime_port, "POSTERN_METRICS_PORT": self.metrics_port,
            "POSTERN_DATABASE_URL": self.database.url,
            # What the demo made is refused by the other verbs unless they are told that it is one.
            "POSTERN_ENVIRONMENT": "demo" if self.arguments[0] == "demo" else None, **self.settings,
        })

    def run(self, *arguments, seconds=120, **extra):
        """A `postern` verb with this server's settings, to its end."""
        env = self.environment()
        env.update({k: str(v) for k, v in extra.items()})
        return subprocess.run([str(self.binary), *arguments], cwd=self.home, env=env, capture_output=True, text=True,
                              timeout=seconds)

    def launch(self, *arguments):
        """Starts the process without waiting for anything."""
        assert self.process is None or self.process.poll() is not None, "still running"
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([str(self.binary), *(arguments or self.arguments)], cwd=self.home,
                                        env=self.environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        launched.add(self)
        return self

    def begins_with_the_demo(self):
        """Whether the first start would make the demo as any other's would."""
        return (self.process is None and not self.data.exists() and self.arguments == ["demo"] and self.binary == BINARY
                and self.settings.keys() <= ASIDE | MAIL)

    def ready(self):
        # Asked over and over: httpx would read the certificates of the world each time.
        line = http.client.HTTPConnection("127.0.0.1", self.staff_port, timeout=5)
        try:
            line.request("GET", "/readyz")
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()

    def start(self, seconds=START_SECONDS):
        if demos:
            demos.begin(self)
        self.launch()

        def answer():
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
            return self.ready()

        try:
            wait_until(answer, seconds, "/readyz")
        except AssertionError:
            self.kill()
            raise AssertionError(f"the server did not get ready; its log ends:\n{self.log()}") from sys.exc_info()[1]
        return self

    def log(self, tail=4000):
        return self.log_path.read_text(errors="replace")[-tail:] if self.log_path.exists() else ""

    def stop(self, seconds=30):
        """Ctrl-C. Answers how long it took and the exit status."""
        if self.process is None or self.process.poll() is not None:
            return 0.0, self.process.returncode if self.process else 0
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop within {seconds} s of Ctrl-C:\n{self.log()}") from None
        return time.monotonic() - began, self.process.returncode

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # ---- the demo's people

    def people(self):
        return demo_people(self.data / "demo.json")

    def person(self, role, index=0):
        """The demo's `index`-th person who holds `role`, those with the fewest roles first."""
        holders = sorted((p for p in self.people() if role in p["roles"]), key=lambda p: len(p["roles"]))
        assert len(holders) > index, f"the demo has no person number {index} with the role {role}"
        return holders[index]

    def authenticator(self, person):
        return self.apps.setdefault(person["email"], self.app(person["email"], person["totp_secret"]))

    def app(self, email, secret):
        return totp.Authenticator(secret, forget=lambda: self.forget_codes(email))

    def forget_codes(self, email):
        """A person's codes count again: waiting half a minute for the next one shows nothing. That each counts once is a test of
        its own. False while the database can't be written."""
        factors = "SELECT f.id FROM factors f JOIN staff p ON p.id = f.staff_id WHERE f.kind = 'totp' AND p.email = ?"
        sql = f"UPDATE factor_use SET last_step = NULL WHERE factor_id IN ({factors})"
        try:
            if self.database.kind == "sqlite":
                # Not made where there is none.
                file = f"file:{urllib.parse.quote(str(self.data / 'postern.db'))}?mode=rw"
                with contextlib.closing(sqlite3.connect(file, uri=True, timeout=10)) as db, db:
                    return db.execute(sql, [email]).rowcount > 0
            with self.database.connect() as db:
                return db.execute(sql.replace("?", "%s"), [email]).rowcount > 0
        except (sqlite3.Error, psycopg.Error):
            return False

    def sign_in(self, person):
        return Person(self, person)


def demo_people(path):
    return json.loads(Path(path).read_text())


def write_customers(path, count, first=1, members=2):
    """A CSV file for `postern import csv`."""
    with open(path, "w", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["external_id", "name", "slug", "plan", "owner_email", "member_emails"])
        for n in range(first, first + count):
            rows.writerow([f"crm-{n}", f"Customer {n}, Ltd", f"customer-{n}", ("free", "pro", "business")[n % 3],
                           f"owner@c{n}.example", ";".join(f"m{m}@c{n}.example" for m in range(members))])


def patiently(ask):
    """The answer, once the server has time for a source that asked so often."""
    while (answer := ask()).status_code == 429:
        time.sleep(int(answer.headers.get("Retry-After", "1")))
    return answer


class Person:
    """A signed-in member of staff, over the API. Steps up by itself when asked to."""

    def __init__(self, server, person):
        self.server = server
        self.email = person["email"]
        self.person = person
        self.stepping_up = threading.Lock()
        self.http = httpx.Client(base_url=server.url, timeout=60, headers={"User-Agent": "postern-e2e"},
                                 transport=server.transport())
        begun = patiently(lambda: self.http.post(
            "/api/v1/sessions", json={"email": self.email, "password": person["password"]}))
        assert begun.status_code == 200, begun.text
        done = self.http.post("/api/v1/sessions/totp", json={
            "challenge": begun.json()["challenge"], "code": server.authenticator(person).next()})
        assert done.status_code == 201, done.text
        self.session = done.json()
        self.stepped_up = time.monotonic()
        self.http.headers["Authorization"] = "Bearer " + self.session["token"]

    @property
    def id(self):
        return self.session["staff"]["id"]

    def get(self, path, **more):
        path = path if path.startswith("/") else "/api/v1/" + path
        answer = self.http.get(path, **more)
        if asks_for_factor(answer):
            self.step_up()
            answer = self.http.get(path, **more)
        return answer

    def step_up(self):
        with self.stepping_up:
            if time.monotonic() - self.stepped_up > 30 or not self.is_shared:
                self.use_factor()

    # Used by several threads: the one that comes second finds the factor fresh.
    is_shared = False

    def use_factor(self):
        answer = self.http.post("/api/v1/sessions/step-up", json={"code": self.server.authenticator(self.person).next()})
        assert answer.status_code == 204, answer.text
        self.stepped_up = time.monotonic()

    def step_up_if_old(self):
        """So that the next few seconds' requests are not asked for it."""
        if time.monotonic() - self.stepped_up > 240:
            self.step_up()

    def post(self, path, json=None, key=True, headers=None, step_up=True, **more):
        """`key=True` mints an idempotency key, `None` sends none."""
        headers = dict(headers or {})
        if key is True:
            key = new_key()
        if key:
            headers["Idempotency-Key"] = key
        path = path if path.startswith("/") else "/api/v1/" + path
        answer = self.http.post(path, json=json, headers=headers, **more)
        if step_up and asks_for_factor(answer):
            self.step_up()
            answer = self.http.post(path, json=json, headers=headers, **more)
        return answer

    def operate(self, path, reason_code=None, justification=None, input=None, ticket=None, **more):
        body = {"input": input or {}}
        for name, value in (("reason_code", reason_code), ("justification", justification), ("ticket", ticket)):
            if value is not None:
                body[name] = value
        return self.post(path, json=body, **more)

    def suspend(self, tenant, reason_code="non_payment", justification="Three invoices are unpaid.", **more):
        return self.operate(f"tenants/{tenant}/suspend", reason_code, justification, **more)

    def restore(self, tenant, reason_code="payment_recovered", justification="The invoices are paid.", **more):
        return self.operate(f"tenants/{tenant}/restore", reason_code, justification, **more)

    def tenants(self, **query):
        answer = self.get("tenants", params={k: v for k, v in query.items() if v is not None})
        assert answer.status_code == 200, answer.text
        return answer.json()["items"]

    def active_tenant(self, index=0):
        return self.tenants(status="active", limit=200)[index]

    def asks_for(self, name):
        """Whether an endpoint that is in use asks for this notice: tests before may have made one."""
        answer = self.get("webhooks", params={"limit": 200})
        assert answer.status_code == 200, answer.text
        return any(webhook["status"] == "active" and name in webhook["events"] for webhook in answer.json()["items"])

    def tenant(self, id):
        answer = self.get(f"tenants/{id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def close(self):
        self.http.close()


def asks_for_factor(answer):
    return answer.status_code == 401 and "insufficient_user_auth" in answer.headers.get("WWW-Authenticate", "")


def new_key():
    return "e2e-" + secrets.token_hex(12)


def temporary_directory(prefix):
    return Path(tempfile.mkdtemp(prefix=f"postern-{prefix}-"))


# ---- several servers ---------------------------------------------------------------------------------------


def beside(server, home, **settings):
    """Another server of the same deployment: its own directory, the same database and keys."""
    other = Server(home, server.database, ("serve",), server.binary, **{
        **server.settings, "POSTERN_ENVIRONMENT": "demo", **settings})
    other.data.mkdir(mode=0o700)
    shutil.copytree(server.data / "keys", other.data / "keys")
    shutil.copy(server.data / "demo.json", other.data)
    # One authenticator a person: a code works once, wherever it is used.
    other.apps = server.apps
    return other


class Balancer:
    """Spreads requests over the servers that call themselves ready, as a load balancer does."""

    url = "http://balancer.test"

    def __init__(self, *servers):
        self.servers = servers
        self.is_ready = dict.fromkeys(servers, False)
        self.turn = 0
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.apps = servers[0].apps
        self.threads = [threading.Thread(target=self.watch, args=(server,), daemon=True) for server in servers]
        for thread in self.threads:
            thread.start()
        wait_until(lambda: any(self.is_ready.values()), 30, "a server that is ready")

    def watch(self, server):
        with httpx.Client(timeout=2) as client:
            while not self.is_over.wait(0.1):
                try:
                    answer = client.get(f"http://127.0.0.1:{server.staff_port}/readyz")
                    self.is_ready[server] = answer.status_code == 200
                except httpx.TransportError:
                    self.is_ready[server] = False

    def choose(self):
        with self.lock:
            ready = [server for server in self.servers if self.is_ready[server]] or self.servers
            self.turn += 1
            return ready[self.turn % len(ready)]

    def transport(self):
        return Balanced(self)

    authenticator = Server.authenticator
    app = Server.app
    sign_in = Server.sign_in

    def forget_codes(self, email):
        return self.servers[0].forget_codes(email)

    def people(self):
        return self.servers[0].people()

    def close(self):
        self.is_over.set()
        for thread in self.threads:
            thread.join(10)


class Balanced(httpx.BaseTransport):
    def __init__(self, balancer):
        self.balancer = balancer
        self.inner = httpx.HTTPTransport()

    def handle_request(self, request):
        server = self.balancer.choose()
        request.url = request.url.copy_with(host="127.0.0.1", port=server.staff_port)
        request.headers["Host"] = f"127.0.0.1:{server.staff_port}"
        return self.inner.handle_request(request)

    def close(self):
        self.inner.close()


class Proxy:
    """Stands between a server and its database, and can cut it off: at once, or by swallowing everything."""

    def __init__(self, port):
        self.target = port
        self.is_open = True
        self.is_swallowing = False
        self.pairs = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if not self.is_open:
                near.close()
                continue
            threading.Thread(target=self.join, args=(near,), daemon=True).start()

    def join(self, near):
        try:
            far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            far.settimeout(None)
        except OSError:
            near.close()
            return
        pair = (near, far)
        self.pairs.add(pair)
        threads = [threading.Thread(target=self.pump, args=(*ends, pair), daemon=True)
                   for ends in ((near, far), (far, near))]
        for thread in threads:
            thread.start()

    def pump(self, source, sink, pair):
        try:
            while data := source.recv(65536):
                while self.is_swallowing:
                    # Nothing arrives, nothing is refused; the bytes come when it is over, or never.
                    if pair not in self.pairs:
                        return
                    time.sleep(0.02)
                sink.sendall(data)
        except OSError:
            pass
        while self.is_swallowing and pair in self.pairs:
            time.sleep(0.02)
        self.drop(pair)

    def drop(self, pair):
        self.pairs.discard(pair)
        for end in pair:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def cut(self):
        """Ends every connection, and takes no more."""
        self.is_open = False
        for pair in list(self.pairs):
            self.drop(pair)

    def swallow(self):
        self.is_swallowing = True

    def heal(self):
        """What was swallowed is lost with its connections."""
        if self.is_swallowing:
            for pair in list(self.pairs):
                self.drop(pair)
        self.is_swallowing, self.is_open = False, True

    def close(self):
        self.listener.close()
        self.is_swallowing = False
        self.cut()
