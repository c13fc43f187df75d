"""Servers whose clock is wrong: beside others on one PostgreSQL, and alone with the embedded database."""
import json
import re
import subprocess
import time

import checker
import httpx
import postern
import pytest
from test_servers import deployment, metrics, on, pair, prove  # noqa: F401

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
/* Shifts the clock of one process by the seconds that a file holds. */
static double shift(void) {
    static int (*real)(clockid_t, struct timespec *);
    static double seconds; static time_t read_at;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    struct timespec now; real(CLOCK_MONOTONIC, &now);
    if (now.tv_sec != read_at) {
        read_at = now.tv_sec;
        FILE *f = fopen(getenv("CLOCK_SHIFT_FILE"), "re");
        if (f) { double s; if (fscanf(f, "%lf", &s) == 1) seconds = s; fclose(f); }
    }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(id, t);
    if (id == CLOCK_REALTIME) t->tv_sec += (time_t)shift();
    return status;
}
int gettimeofday(struct timeval *restrict t, void *restrict zone) {
    struct timespec now; clock_gettime(CLOCK_REALTIME, &now);
    t->tv_sec = now.tv_sec; t->tv_usec = now.tv_nsec / 1000; (void)zone; return 0;
}
time_t time(time_t *t) {
    struct timespec now; clock_gettime(CLOCK_REALTIME, &now);
    if (t) *t = now.tv_sec;
    return now.tv_sec;
}
"""


@pytest.fixture(scope="module")
def shifted(home):
    """What a server needs in its environment to have a clock of its own, and the file that sets it."""
    source, library, file = home / "clock.c", home / "clock.so", home / "clock-shift"
    source.write_text(CLOCK)
    compiler = next((c for c in ("cc", "gcc", "clang") if postern.shutil.which(c)), None)
    if compiler is None:
        postern.lacking("no C compiler")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    file.write_text("0")
    return {"LD_PRELOAD": library, "CLOCK_SHIFT_FILE": file}, file


@pytest.mark.parametrize("seconds", [40, -40])
def test_a_server_whose_clock_is_off_is_not_ready_and_decides_by_the_databases(pair, shifted, home, seconds):
    settings, file = shifted
    file.write_text("0")
    right = pair[0]
    wrong = postern.beside(right, home / f"clock{seconds}", **settings).start()
    try:
        person = wrong.sign_in(wrong.person("support_l2"))
        file.write_text(str(seconds))

        def complaint():
            answer = httpx.get(f"{wrong.url}/readyz", timeout=10)
            return answer.json()["checks"]["database"] if answer.status_code == 503 else None

        said = postern.wait_until(complaint, 10, "the server to notice")
        assert "40 s apart" in said or "39 s apart" in said, said
        assert right.ready() and not wrong.ready()
        told = wrong.run("doctor")
        assert told.returncode != 0 and re.search(r"problem\s+clock\s.*NTP", told.stdout), told.stdout
        assert abs(metrics(wrong)["postern_clock_offset_seconds"] - seconds) < 2
        # Sessions, codes and challenges go by the database's clock, whoever asks it.
        mine = wrong.sign_in(wrong.person("security"))
        assert mine.get("me").status_code == 200
        with on(mine, right) as elsewhere:
            assert elsewhere.get("/api/v1/me").status_code == 200
        with checker.Database.of(right) as database:
            life = database.rows(
                "SELECT expires_at - created_at AS life, created_at FROM sessions WHERE id = ?", mine.session["id"])[0] \
                if "id" in mine.session else None
            now = time.time() * 1_000_000
            newest = database.one("SELECT max(created_at) FROM sessions")
            assert abs(newest - now) < 15_000_000, "the session began by the wrong clock"
            assert life is None or life["life"] > 0
        # Work through it is accepted, kept once, and provable.
        tenant = person.active_tenant(4)["id"]
        key = postern.new_key()
        assert person.suspend(tenant, key=key).status_code == 200
        with on(person, right) as elsewhere:
            body = {"input": {}, "reason_code": "non_payment", "justification": "Three invoices are unpaid."}
            replay = elsewhere.post(f"/api/v1/tenants/{tenant}/suspend", json=body, headers={"Idempotency-Key": key})
            assert replay.status_code == 200 and replay.headers["Idempotency-Replayed"] == "true"
        assert person.restore(tenant).status_code == 200
        file.write_text("0")
        postern.wait_until(wrong.ready, 10, "the server to be ready again")
        assert wrong.stop()[1] == 0
        prove(right)
        mine.close(), person.close()
    finally:
        file.write_text("0")
        wrong.kill()


def test_a_clock_that_is_set_while_the_server_is_stopped_is_an_incident(shifted, home):
    """The next start compares it with the time since the machine started; nothing is due at once by it."""
    settings, file = shifted
    file.write_text("0")
    server = postern.Server(home / "clock-stopped", **settings).start()
    try:
        def clock():
            return httpx.get(f"{server.url}/readyz", timeout=10).json()["checks"]["clock"]

        def times():
            with checker.Database.of(server) as database:
                return [json.loads(row["leaf"])["facts"]["seconds"]
                        for row in database.rows("SELECT leaf FROM events WHERE action = 'clock.jumped' ORDER BY id")]

        assert times() == [] and clock() == "ok"
        # Stopped and started without anything being set.
        assert server.stop()[1] == 0
        server.start()
        assert times() == [] and clock() == "ok"
        assert server.stop()[1] == 0
        file.write_text("90000")
        server.start()
        (forward,) = times()
        assert abs(forward - 90000) <= 2 and "until somebody" in clock() and "postern clock confirm clj_" in clock()
        assert "what goes by dates stands still" in server.log()
        # Told once, however often it starts; and set right again it is another jump.
        assert server.stop()[1] == 0
        server.start()
        assert times() == [forward]
        assert server.stop()[1] == 0
        file.write_text("0")
        server.start()
        assert len(times()) == 2 and abs(min(times()) + 90000) <= 2
        assert server.stop()[1] == 0
        verified = server.run("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        file.write_text("0")
        server.kill()


def test_a_clock_that_is_set_under_the_embedded_database_is_an_incident(shifted, home):
    settings, file = shifted
    file.write_text("0")
    server = postern.Server(home / "clock-sqlite", **settings).start()
    try:
        def times():
            with checker.Database.of(server) as database:
                return database.rows("SELECT leaf FROM events WHERE action = 'clock.jumped'")

        def clock():
            answer = httpx.get(f"{server.url}/readyz", timeout=10)
            return answer.json()["checks"]["clock"]

        assert times() == [] and clock() == "ok"
        person = server.sign_in(server.person("support_l2"))
        guardian = server.sign_in(server.person("security"))
        for shift, jump in (("60", 60), ("-120", -180)):
            before = times()
            file.write_text(shift)
            (new,) = postern.wait_until(
                lambda: [row for row in times() if row not in before], 15, "the incident")
            leaf = json.loads(new["leaf"])
            assert leaf["class"] == "incident" and abs(leaf["facts"]["seconds"] - jump) <= 2
            (row,) = [change for change in leaf["changes"] if change["type"] == "clock_jump"]
            postern.wait_until(lambda: row["id"] in clock(), 10, "what is held")
            # What deadlines compare with never goes back: the session that began before still holds.
            assert person.get("me").status_code == 200
            if jump > 0:
                # It is ready all the same, and a new start confirms nothing.
                assert httpx.get(f"{server.url}/readyz", timeout=10).status_code == 200
                assert server.stop()[1] == 0
                server.start()
                assert row["id"] in clock()
            path = f"clock-jumps/{row['id']}/confirm"
            assert person.operate(path, None, "Looked at the clock.").status_code == 403
            # What is confirmed is what was looked at.
            assert guardian.operate(path, None, "Looked at the clock.").status_code == 428
            seen = {"If-Match": guardian.get(f"clock-jumps/{row['id']}").headers["ETag"]}
            assert guardian.operate(path, None, "Looked at the clock.", headers=seen).status_code == 200
            if jump > 0:
                postern.wait_until(lambda: clock() == "ok", 10, "what goes on")
        # This process is ahead of the machine, and what it calls due is not yet.
        postern.wait_until(lambda: "started again" in clock(), 10, "what is held until a start")
        assert "until somebody has confirmed it" in server.log()
        assert server.stop()[1] == 0
        verified = server.run("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        person.close(), guardian.close()
    finally:
        file.write_text("0")
        server.kill()
