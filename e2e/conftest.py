"""Servers for the tests: one on each database for the whole run."""
import collections
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

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


# What takes longest, longest first: with several workers it is begun first, so that the others don't wait for one in the end. The
# summary of a run says how long each file took.
LONG = [
    "test_journey.py", "test_every_rule.py", "test_openapi.py", "test_servers.py", "test_sso.py", "test_large_demo.py",
    "test_passkeys.py", "test_import.py::test_an_import_of_many_rows", "test_access_reviews.py", "test_settings.py",
    "test_servers_database.py", "test_tenants.py", "test_breakglass.py", "test_staff.py", "test_telling.py", "test_told.py",
    "test_scim.py", "test_api.py", "test_approvals.py", "test_runtime.py", "test_policy.py", "test_setup.py",
    "test_import.py::test_customers_with_their_members", "test_import.py::test_where_no_row_may_be_left_out",
    "test_crash.py::test_kill_9_at_random", "test_deliveries.py::test_bad_receivers",
]
# The tests of these files share nothing: each goes wherever there is time.
APART = {"test_channels.py", "test_crash.py", "test_deliveries.py", "test_import.py"}
# Those of these share what they make on both databases.
TOGETHER = {"test_large_demo.py"}


def is_on_postgres(name):
    return re.search(r"\[(.*-)?postgres[-\]]", name) is not None


class LongestFirst(collections.OrderedDict):
    """What is left to do, by its scope."""

    # What the worker whose turn it is did last: it has a server there, which it would end for the other database.
    was_on_postgres = None

    def popitem(self, last=False):
        scope = min(self, key=self.place)
        return scope, self.pop(scope)

    def place(self, scope):
        """Unlisted ones come after what is listed, those with most tests first."""
        listed = next((place for place, name in enumerate(LONG) if name in scope), len(LONG))
        return listed, is_on_postgres(scope) != self.was_on_postgres, -len(self[scope])


def pytest_xdist_make_scheduler(config, log):
    """With several workers, the tests of a file on one database stay together, one after the other."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFileAndDatabase(LoadScopeScheduling):
        def __init__(self, config, log):
            super().__init__(config, log)
            self.workqueue = LongestFirst()
            self.was_on_postgres = {}

        def _assign_work_unit(self, node):
            self.workqueue.was_on_postgres = self.was_on_postgres.get(node)
            super()._assign_work_unit(node)
            self.was_on_postgres[node] = is_on_postgres(next(reversed(self.assigned_work[node])))

        def _split_scope(self, nodeid):
            file, _, test = nodeid.partition("::")
            if os.path.basename(file) in APART:
                return nodeid
            if os.path.basename(file) in TOGETHER:
                return file
            return file + ("[postgres]" if is_on_postgres(test) else "[sqlite]")

    return ByFileAndDatabase(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Of a test that failed: what the windows that are open show, and what the servers said last."""
    report = yield
    if report.when == "call" and report.failed:
        report.sections += [("a window", window.shown()) for window in list(chrome.windows)]
        report.sections += [(f"log of {server.url}", server.log(2000)) for server in list(postern.launched)
                            if server.process.poll() is None]
    return report


def pytest_terminal_summary(terminalreporter):
    """How long each file took, on both databases together."""
    took = collections.Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                took[os.path.basename(report.nodeid.partition("::")[0])] += report.duration
    terminalreporter.write_line("Seconds: " + ", ".join(f"{file} {seconds:.0f}" for file, seconds in took.most_common()))


def pytest_collection_modifyitems(config, items):
    """With `--database`: what runs on that one. A file or a test may say which it is for."""
    half = config.getoption("--database")
    if half is None:
        return

    def belongs(item):
        return (only(item) or getattr(item.module, "HALF", half if "kind" in item.fixturenames else "sqlite")) == half

    others = [item for item in items if not belongs(item)]
    items[:] = [item for item in items if belongs(item)]
    config.hook.pytest_deselected(items=others)


def only(test):
    """The one database of a test that has one."""
    mark = test.get_closest_marker("only")
    return mark and mark.args[0]


def pytest_generate_tests(metafunc):
    if "kind" in metafunc.fixturenames:
        kind = only(metafunc.definition) or metafunc.config.getoption("--database")
        metafunc.parametrize("kind", [kind] if kind else ["sqlite", "postgres"], scope="session")


@pytest.fixture(scope="session")
def home():
    path = postern.temporary_directory("e2e")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(autouse=True)
def examines(request):
    """Pages are the same on both databases: of a test that runs on both, axe looks at them once."""
    kind = getattr(request.node, "callspec", None) and request.node.callspec.params.get("kind")
    chrome.examines = kind != "postgres" or request.config.getoption("--database") is not None


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
def own_cluster(demos):
    """A PostgreSQL that the test may stop, cut off and break."""
    if not postern.Cluster.available():
        postern.lacking("no PostgreSQL server is installed")
    cluster = demos.cluster().start()
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
