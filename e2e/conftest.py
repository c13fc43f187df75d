"""Servers for the tests: one on each database for the whole run."""
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import sync_playwright

import browser as chrome
import postern


def pytest_addoption(parser):
    parser.addoption("--database", choices=["sqlite", "postgres"],
                     help="only this database; tests that depend on none are run with sqlite")


def pytest_configure():
    """Told to end, the run still stops the servers it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_xdist_make_scheduler(config, log):
    """With several workers, the tests of a file on one database stay together, one after the other."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFileAndDatabase(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file, _, test = nodeid.partition("::")
            return file + ("[postgres]" if re.search(r"\[(.*-)?postgres[-\]]", test) else "[sqlite]")

    return ByFileAndDatabase(config, log)


def pytest_collection_modifyitems(config, items):
    """With `--database`: what runs on that one. A file may say which it is for."""
    half = config.getoption("--database")
    if half is None:
        return

    def belongs(item):
        return getattr(item.module, "HALF", half if "kind" in item.fixturenames else "sqlite") == half

    others = [item for item in items if not belongs(item)]
    items[:] = [item for item in items if belongs(item)]
    config.hook.pytest_deselected(items=others)


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        only = metafunc.config.getoption("--database")
        metafunc.parametrize("kind", [only] if only else ["sqlite", "postgres"], scope="session")


@pytest.fixture(scope="session")
def home():
    path = postern.temporary_directory("e2e")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chrome.CHROMIUM, headless=True,
                                             args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="session", autouse=True)
def demos(tmp_path_factory):
    """The demo is made once for all workers; servers begin with a copy."""
    folder = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        folder = folder.parent
    postern.demos = postern.Demos(folder / "demos")
    yield postern.demos
    made, postern.demos = postern.demos, None
    made.close()


@pytest.fixture(scope="session")
def admin_url(demos):
    """A superuser's URL of a PostgreSQL on which databases may be made; starts one when none is named."""
    named = os.environ.get("POSTERN_TEST_POSTGRES")
    if named:
        demos.admin_url = named
        yield named
        return
    if not postern.Cluster.available():
        postern.lacking("POSTERN_TEST_POSTGRES is not set and no PostgreSQL server is installed")
    cluster = postern.Cluster(postern.temporary_directory("pg")).start()
    demos.admin_url = cluster.url
    yield cluster.url
    cluster.stop("immediate")
    shutil.rmtree(cluster.home, ignore_errors=True)


@pytest.fixture
def own_cluster():
    """A PostgreSQL that the test may stop, cut off and break."""
    if not postern.Cluster.available():
        postern.lacking("no PostgreSQL server is installed")
    cluster = postern.Cluster(postern.temporary_directory("pg")).start()
    yield cluster
    cluster.stop("immediate")
    shutil.rmtree(cluster.home, ignore_errors=True)


def new_database(kind, request):
    if kind == "sqlite":
        return postern.EmbeddedDatabase()
    return postern.PostgresDatabase(request.getfixturevalue("admin_url"))


@pytest.fixture(scope="session")
def server(kind, home, request):
    """The demo, once for each database."""
    database = new_database(kind, request)
    # A worker may come back to a database kind that it has left.
    server = postern.Server(Path(tempfile.mkdtemp(prefix=f"demo-{kind}-", dir=home)), database)
    try:
        yield server.start()
        seconds, status = server.stop()
        assert status == 0, server.log()
    finally:
        server.kill()
        database.drop()


@pytest.fixture(scope="session")
def sqlite_server(home):
    """The demo on the embedded database, for what does not depend on the database."""
    server = postern.Server(home / "demo")
    try:
        yield server.start()
        server.stop()
    finally:
        server.kill()


@pytest.fixture
def own_server(kind, tmp_path, request):
    """A demo of the test's own, not yet started."""
    database = new_database(kind, request)
    server = postern.Server(tmp_path / "own", database)
    yield server
    server.kill()
    database.drop()


@pytest.fixture(scope="session")
def people(server):
    """Signed-in people by role: `people("support_l2")`; each person signs in once."""
    signed_in = {}

    def get(role, index=0):
        person = server.person(role, index)
        if person["email"] not in signed_in:
            signed_in[person["email"]] = server.sign_in(person)
        return signed_in[person["email"]]

    yield get
    for person in signed_in.values():
        person.close()


@pytest.fixture
def sql(server):
    """Reads the server's database, past the server."""
    import checker

    with checker.Database.of(server) as database:
        yield database
