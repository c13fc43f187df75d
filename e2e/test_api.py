"""The API as a client meets it: sign-in, operations, what it refuses and how, paging, receipts, the published log."""
import base64
import collections
import concurrent.futures
import hashlib
import json
import subprocess
import sys
import threading
import time

import httpx
import merkle
import postern
import pytest
import totp

JSON = {"Content-Type": "application/json"}


def assert_problem(answer, status, slug, pointers=None):
    """The exact status, the exact type and, where fields are wrong, exactly these pointers."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"/problems/{slug}", problem
    assert problem["status"] == status and problem["title"] and problem["detail"] and problem["instance"]
    if pointers is not None:
        assert sorted(error["pointer"] for error in problem["errors"]) == sorted(pointers), problem
        assert all(error["detail"] for error in problem["errors"])
    return problem


# ---- sign-in ---------------------------------------------------------------------------------------------


def begin(server, email, password):
    return httpx.post(server.url + "/api/v1/sessions", json={"email": email, "password": password}, timeout=60)


def finish(server, challenge, code):
    return httpx.post(server.url + "/api/v1/sessions/totp", json={"challenge": challenge, "code": code}, timeout=60)


def test_a_wrong_password_answers_as_a_right_one_and_the_second_step_fails(server):
    person = server.person("customer_success") if any("customer_success" in p["roles"] for p in server.people()) \
        else server.people()[-1]
    right = begin(server, person["email"], person["password"])
    wrong = begin(server, person["email"], "not the password")
    nobody = begin(server, "nobody@example.test", "not the password")
    for answer in (right, wrong, nobody):
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == right.json().keys()
        assert answer.json()["factors"] == right.json()["factors"]
        assert len(answer.json()["challenge"]) == len(right.json()["challenge"])
    code = server.authenticator(person).next()
    assert_problem(finish(server, wrong.json()["challenge"], code), 401, "sign-in-required")
    assert_problem(finish(server, nobody.json()["challenge"], code), 401, "sign-in-required")


def test_a_code_works_once(server):
    person = server.person("super_admin", 1)
    code = server.authenticator(person).next()
    first = finish(server, begin(server, person["email"], person["password"]).json()["challenge"], code)
    assert first.status_code == 201, first.text
    again = finish(server, begin(server, person["email"], person["password"]).json()["challenge"], code)
    assert_problem(again, 401, "sign-in-required")


def test_a_wrong_code_and_a_forged_challenge_are_refused(server):
    person = server.person("super_admin", 1)
    here = int(time.time() // totp.STEP)
    near = {totp.code(person["totp_secret"], here + n) for n in range(-3, 4)}
    wrong = next(f"{n:06d}" for n in range(10) if f"{n:06d}" not in near)
    challenge = begin(server, person["email"], person["password"]).json()["challenge"]
    assert_problem(finish(server, challenge, wrong), 401, "sign-in-required")
    code = server.authenticator(person).next()
    forged = challenge[:-1] + ("A" if challenge[-1] != "A" else "B")
    assert_problem(finish(server, forged, code), 401, "sign-in-required")


@pytest.mark.parametrize("body, pointers", [
    ({}, ["/email", "/password"]),
    ({"email": 7, "password": "x"}, ["/email"]),
    ({"email": "a@b.example", "password": "x", "otp": "1"}, ["/otp"]),
])
def test_a_sign_in_names_every_wrong_member(server, body, pointers):
    assert_problem(httpx.post(server.url + "/api/v1/sessions", json=body), 422, "invalid-fields", pointers)


def whoami(server, token, agent="postern-e2e"):
    return httpx.get(server.url + "/api/v1/tenants?limit=1",
                     headers={"User-Agent": agent, **({"Authorization": f"Bearer {token}"} if token else {})})


def test_no_session_a_forged_one_and_an_ended_one_are_the_same_refusal(server):
    person = server.sign_in(server.person("security"))
    token = person.session["token"]
    assert whoami(server, token).status_code == 200
    for bad in (None, "", "x", token[:-2], token[:-1] + ("A" if token[-1] != "A" else "B"), "pst_" + "A" * 43):
        answer = whoami(server, bad)
        assert_problem(answer, 401, "sign-in-required")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert person.http.delete("/api/v1/sessions/current").status_code == 204
    assert_problem(whoami(server, token), 401, "sign-in-required")
    person.close()


def test_a_session_belongs_to_its_user_agent(server, people):
    token = people("support_l2").session["token"]
    assert whoami(server, token).status_code == 200
    assert_problem(whoami(server, token, agent="somebody else"), 401, "sign-in-required")


def test_an_expired_session_is_over(server):
    person = server.sign_in(server.person("security"))
    assert person.get("tenants", params={"limit": 1}).status_code == 200
    # Time can't be moved from outside; the row can, by the database's owner.
    write_as_owner(server, "UPDATE sessions SET expires_at = 1 WHERE token_hash = ?",
                   hashlib.sha256(person.session["token"].encode()).digest())
    try:
        assert_problem(person.get("tenants", params={"limit": 1}), 401, "sign-in-required")
    finally:
        person.close()


def write_as_owner(server, sql, *values):
    import sqlite3

    import checker

    if server.database.kind == "sqlite":
        with sqlite3.connect(checker.sqlite_file(server.data), timeout=30) as db:
            assert db.execute(sql, values).rowcount
    else:
        with server.database.connect() as db:
            assert db.execute(sql.replace("?", "%s"), values).rowcount


def test_a_cookie_is_not_a_bearer_token_for_the_api(server, people):
    token = people("support_l2").session["token"]
    answer = httpx.post(server.url + "/api/v1/tenants/ten_x/suspend", json={},
                        headers={"Cookie": f"__Host-postern_staff={token}", "User-Agent": "postern-e2e"})
    assert_problem(answer, 401, "sign-in-required")


# ---- what an operation refuses, and that nothing is lost by it ---------------------------------------------

GOOD = {"input": {}, "reason_code": "non_payment", "justification": "Three invoices are unpaid."}


def body(**changes):
    out = {**GOOD, **changes}
    return {k: v for k, v in out.items() if v is not ...}


@pytest.fixture
def target(people):
    """An active tenant that is the same after the test."""
    person = people("support_l2")
    tenant = person.active_tenant(3)
    before = person.tenant(tenant["id"])
    yield before
    assert person.tenant(tenant["id"]) == before


@pytest.mark.parametrize("raw, status, slug, pointers", [
    (b'{"input": {', 400, "malformed-json", None),
    (b'{"input": {}, "input": {}}', 400, "malformed-json", None),
    (b'{"input": {}} {}', 400, "malformed-json", None),
    (b'{"justification": "\xff\xfe"}', 400, "malformed-json", None),
    (b'{"justification": "\\ud800 alone"}', 400, "malformed-json", None),
    (b"{'input': {}}", 400, "malformed-json", None),
    (b'{"input": NaN}', 400, "malformed-json", None),
    (b"[" * 100_000, 400, "malformed-json", None),
    (b"[]", 422, "invalid-fields", [""]),
    (b'"text"', 422, "invalid-fields", [""]),
])
def test_a_body_that_is_no_json_object(people, target, raw, status, slug, pointers):
    answer = people("support_l2").http.post(f"/api/v1/tenants/{target['id']}/suspend", content=raw, headers={
        **JSON, "Idempotency-Key": postern.new_key()})
    problem = assert_problem(answer, status, slug, pointers)
    if status == 400:
        assert "byte" in problem["detail"]


@pytest.mark.parametrize("json, pointers", [
    (body(inptu={}), ["/inptu"]),
    (body(**{"a/b~c": 1}), ["/a~1b~0c"]),
    (body(input={"amount": 1}), ["/input/amount"]),
    (body(input=[]), ["/input"]),
    (body(input="x"), ["/input"]),
    (body(reason_code=5), ["/reason_code"]),
    (body(justification=["x"]), ["/justification"]),
    (body(ticket=7), ["/ticket"]),
    (body(ticket={}, justification=1, extra=None), ["/ticket", "/justification", "/extra"]),
    (body(justification="Unpaid\u0000 for months"), ["/justification"]),
    (body(justification="Unpaid \u202efor months"), ["/justification"]),
    (body(justification="Unpaid \u0007for months"), ["/justification"]),
    (body(justification="x" * 4001), ["/justification"]),
    (body(ticket="NW-1\u2066"), ["/ticket"]),
    (body(ticket="x" * 201), ["/ticket"]),
    (body(justification=...), ["/justification"]),
    (body(justification="too short"), ["/justification"]),
    (body(justification="          \n\n   "), ["/justification"]),
    (body(reason_code=...), ["/reason_code"]),
    (body(reason_code="because"), ["/reason_code"]),
    (body(reason_code=..., justification=...), ["/reason_code", "/justification"]),
])
def test_members_that_cannot_be_accepted_are_named_by_pointer(people, target, json, pointers):
    people("support_l2").step_up_if_old()
    assert_problem(people("support_l2").post(f"tenants/{target['id']}/suspend", json=json), 422, "invalid-fields", pointers)


def creation(**changes):
    key = postern.new_key()
    return {"name": "Odd One", "slug": key, "external_id": key, "plan": "pro", "region": "eu-west", **changes}


@pytest.mark.parametrize("field, value", [
    ("name", "Nul \u0000 here"), ("name", "bidi \u202e here"), ("name", ""), ("name", "x" * 121), ("name", 7),
    ("slug", "Not A Slug"), ("slug", "-lead"), ("slug", "x" * 64), ("slug", None),
    ("external_id", "two words"), ("external_id", "x" * 129), ("external_id", "\u00e9"),
    ("status", "suspended"), ("metadata", [1]), ("metadata", {"k": 1}),
])
def test_bad_text_in_a_field_is_named(people, field, value):
    answer = people("super_admin").post("tenants", json={"input": creation(**{field: value})})
    problem = assert_problem(answer, 422, "invalid-fields")
    assert [e["pointer"].startswith(f"/input/{field}") for e in problem["errors"]] == [True], problem


def test_all_bad_fields_come_at_once(people):
    answer = people("super_admin").post("tenants", json={"input": {"slug": "No", "nmae": "x"}, "tickte": 1})
    pointers = {e["pointer"] for e in assert_problem(answer, 422, "invalid-fields")["errors"]}
    assert {"/tickte", "/input/nmae", "/input/slug", "/input/name", "/input/external_id"} <= pointers


def test_a_taken_slug_is_a_field_error_in_preview_and_in_earnest(people):
    person = people("super_admin")
    taken = person.active_tenant()["slug"]
    for query in ("?dry_run=true", ""):
        answer = person.post("tenants" + query, json={"input": creation(slug=taken)})
        if query and answer.status_code == 200:
            assert answer.json()["allowed"] is False
            assert person.active_tenant()["name"] in " ".join(answer.json()["reasons"])
        else:
            assert_problem(answer, 422, "invalid-fields", ["/input/slug"])


@pytest.mark.parametrize("header, status, slug", [
    (None, 400, "idempotency-key-missing"),
    ("", 400, "idempotency-key-malformed"),
    ("two words", 400, "idempotency-key-malformed"),
    ('"open', 400, "idempotency-key-malformed"),
    ('"a";b=1', 400, "idempotency-key-malformed"),
    ("x" * 256, 400, "idempotency-key-malformed"),
])
def test_a_missing_or_malformed_key(people, target, header, status, slug):
    headers = {} if header is None else {"Idempotency-Key": header}
    answer = people("support_l2").post(f"tenants/{target['id']}/suspend", json=GOOD, key=None, headers=headers)
    assert_problem(answer, status, slug)


@pytest.mark.parametrize("tag, status, slug", [
    ('"999"', 412, "version-changed"), ('W/"1"', 412, "version-changed"), ('"x"', 412, "version-changed"),
    ("7", 400, "bad-request"), ('"1", "2"', 400, "bad-request"),
])
def test_an_if_match_that_does_not(people, target, tag, status, slug):
    answer = people("support_l2").post(f"tenants/{target['id']}/suspend", json=GOOD, headers={"If-Match": tag})
    assert_problem(answer, status, slug)
    if status == 412:
        assert answer.headers["ETag"] == f'"{target["version"]}"'


def test_an_update_without_if_match_is_428(people, target):
    answer = people("super_admin").post(f"tenants/{target['id']}/update", json={"input": {"name": "Another"}})
    assert_problem(answer, 428, "version-required")


def test_an_illegal_transition_names_the_legal_ones(people):
    person = people("support_l2")
    tenant = person.tenants(status="suspended", limit=1)[0]
    problem = assert_problem(person.suspend(tenant["id"]), 409, "conflict")
    assert any("restore" in word for word in problem["legal_transitions"]), problem


def test_a_reason_code_of_another_state_is_refused(people):
    person = people("support_l2")
    tenant = person.tenants(status="suspended", limit=1)[0]
    answer = person.restore(tenant["id"], reason_code="customer_return")
    assert answer.status_code in (409, 422), answer.text
    assert person.tenant(tenant["id"])["status"] == "suspended"


def test_without_the_permission_it_is_403_and_recorded(people, target, sql):
    person = people("support_l1")
    def denials():
        return sql.one("SELECT count(*) FROM events WHERE action = 'authz.denied' AND actor_id = ?", person.id)
    before = denials()
    problem = assert_problem(person.suspend(target["id"]), 403, "permission-missing")
    assert problem["required_permission"] == "tenant.suspend"
    assert denials() == before + 1


@pytest.mark.parametrize("id", [
    "ten_01JD3K4M5N6P7Q8R9S0T1V2W3X", "x", "%00", "%2e%2e%2f", "ten_%2F", "%F0%9F%92%A9", "'%20OR%201=1", "%zz", "a" * 3000,
    "%C3%28", "ten_%0d%0aX:y", "*", "%3Cscript%3E",
])
def test_ids_that_name_nothing(people, id):
    person = people("support_l2")
    read = person.get(f"/api/v1/tenants/{id}")
    assert read.status_code in (400, 404, 414), read.text
    answer = person.suspend(id)
    assert answer.status_code in (400, 404, 414), answer.text
    for each in (read, answer):
        if each.status_code == 404:
            assert_problem(each, 404, "not-found")


@pytest.mark.parametrize("method, path, status, slug", [
    ("GET", "/api/v1/nothing", 404, "not-found"),
    ("POST", "/api/v1/tenants/{id}/frobnicate", 404, "not-found"),
    ("DELETE", "/api/v1/tenants", 405, "method-not-allowed"),
    ("PUT", "/api/v1/tenants/{id}/suspend", 405, "method-not-allowed"),
])
def test_addresses_and_methods_there_are_not(people, target, method, path, status, slug):
    person = people("support_l2")
    answer = person.http.request(method, path.replace("{id}", target["id"]), json=GOOD if method != "GET" else None,
                                 headers={"Idempotency-Key": postern.new_key()})
    assert_problem(answer, status, slug)
    if status == 405:
        assert answer.headers["Allow"]


def test_another_media_type_and_a_huge_body(people, target):
    person = people("support_l2")
    path = f"/api/v1/tenants/{target['id']}/suspend"
    key = {"Idempotency-Key": postern.new_key()}
    assert_problem(person.http.post(path, content=b"a=b", headers={"Content-Type": "text/plain", **key}),
                   415, "unsupported-media-type")
    huge = b'{"justification": "' + b"x" * (3 << 20) + b'"}'
    assert_problem(person.http.post(path, content=huge, headers={**JSON, **key}), 413, "body-too-large")


@pytest.mark.parametrize("query, pointer", [
    ("cursor=nonsense", "?cursor"), ("cursor=e30.AAAAAAAAAAAAAAAAAAAAAA", "?cursor"),
    ("limit=0", "?limit"), ("limit=201", "?limit"), ("limit=ten", "?limit"), ("limit=-5", "?limit"), ("sort=mood", "?sort"),
    ("status=asleep", "?status"),
])
def test_a_bad_query_names_its_parameter(people, query, pointer):
    assert_problem(people("support_l2").get("/api/v1/tenants?" + query), 422, "invalid-fields", [pointer])


@pytest.mark.parametrize("query", ["cursor=%00", "status=%ff", "status=%zz", "status=%"])
def test_an_address_that_is_not_text(people, query):
    assert_problem(people("support_l2").get("/api/v1/tenants?" + query), 400, "bad-request")


def test_a_cursor_of_another_filter_is_refused(people):
    person = people("support_l2")
    cursor = person.get("tenants", params={"limit": 1}).json()["next_cursor"]
    for query in ({"limit": 1, "status": "active"}, {"limit": 1, "sort": "name"}):
        answer = person.get("tenants", params={**query, "cursor": cursor})
        if answer.status_code == 200 and query.get("sort"):
            continue  # the same sort as the default one
        assert_problem(answer, 422, "invalid-fields", ["?cursor"])


# ---- operations -------------------------------------------------------------------------------------------


def test_suspend_restore_and_undo_leave_their_marks(people, sql):
    person = people("support_l2")
    tenant = person.active_tenant(4)
    answer = person.suspend(tenant["id"], ticket="NW-1")
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert done["operation"] == "tenant.suspend"
    assert done["operation_id"].startswith("op_") and done["event_id"].startswith("evt_")
    assert done["before"]["status"] == "active" and done["after"]["status"] == "suspended"
    assert done["after"]["version"] == done["before"]["version"] + 1
    assert answer.headers["ETag"] == f'"{done["after"]["version"]}"'
    assert done["undo"]["operation"] == "tenant.restore" and done["undo"]["until"]
    assert person.tenant(tenant["id"])["status"] == "suspended"

    event = people("security").get(f"audit-events/{done['event_id']}").json()
    text = json.dumps(event)
    assert "Three invoices are unpaid." in text and "NW-1" in text and person.id in text
    history = person.get(f"tenants/{tenant['id']}/history").json()["items"]
    assert done["event_id"] in json.dumps(history)
    assert history[0]["actor"]["id"] == person.id and "justification" not in history[0]
    told = people("security").get(f"tenants/{tenant['id']}/history").json()["items"]
    assert told[0]["justification"] == "Three invoices are unpaid."

    undone = person.post(f"audit-events/{done['event_id']}/undo", json={"justification": "It was a mistake."})
    assert undone.status_code == 200, undone.text
    after, before = undone.json()["after"], done["before"]
    moving = {"version", "updated_at", "status_since"}
    assert {k: v for k, v in after.items() if k not in moving} == {k: v for k, v in before.items() if k not in moving}
    linked = sql.one("SELECT linked FROM events WHERE id = ?", undone.json()["event_id"])
    assert linked == done["event_id"]

    again = person.post(f"audit-events/{done['event_id']}/undo", json={"justification": "It was a mistake."})
    assert_problem(again, 409, "conflict")


def test_a_preview_answers_everything_and_writes_one_access_event(people, sql):
    person = people("support_l2")
    tenant = person.active_tenant(5)
    state = person.tenant(tenant["id"])

    def counts():
        return {table: sql.one(f"SELECT count(*) FROM {table}")
                for table in ("tenants", "tenant_status_history", "outbox", "idempotency", "approvals")}

    before, events = counts(), sql.one("SELECT count(*) FROM events WHERE actor_id = ?", person.id)
    answer = person.post(f"tenants/{tenant['id']}/suspend?dry_run=true", json=body(justification=...), key=None)
    assert answer.status_code == 200, answer.text
    preview = answer.json()
    assert preview["preview"] is True and preview["allowed"] is True and preview["approvals"] == []
    assert preview["before"] == {**preview["before"], "status": "active"} and preview["after"]["status"] == "suspended"
    heard = ["tenant.suspended"] if people("super_admin").asks_for("tenant.suspended") else []
    assert [effect["name"] for effect in preview["effects"]] == heard
    assert counts() == before
    assert person.tenant(tenant["id"]) == state
    new = sql.rows("SELECT class, action, outcome FROM events WHERE actor_id = ? ORDER BY id", person.id)[events:]
    # Reading the tenant again above is folded into its first view.
    assert [e["class"] for e in new if "preview" in e["action"] or e["class"] != "access"] in (["access"], []), new
    assert new and all(e["class"] == "access" for e in new), new


def test_a_preview_of_something_illegal_says_why_not(people):
    person = people("support_l2")
    tenant = person.tenants(status="suspended", limit=1)[0]
    answer = person.post(f"tenants/{tenant['id']}/suspend?dry_run=true", json=GOOD, key=None)
    assert answer.status_code == 200, answer.text
    assert answer.json()["allowed"] is False and answer.json()["reasons"]


def test_a_retry_with_the_same_key_is_answered_from_the_record(people, sql):
    person = people("support_l2")
    tenant = person.active_tenant(6)
    key = postern.new_key()
    first = person.suspend(tenant["id"], key=key)
    assert first.status_code == 200 and "Idempotency-Replayed" not in first.headers
    again = person.suspend(tenant["id"], key=f'"{key}"')
    assert again.status_code == 200 and again.headers["Idempotency-Replayed"] == "true"
    assert again.json() == first.json()
    assert again.headers["ETag"] == first.headers["ETag"]
    assert sql.one("SELECT count(*) FROM idempotency WHERE key = ?", key) == 1
    assert person.tenant(tenant["id"])["version"] == first.json()["after"]["version"]

    assert_problem(person.suspend(tenant["id"], key=key, justification="Another text, same key."), 422,
                   "idempotency-key-reused")
    assert_problem(person.restore(tenant["id"], key=key), 422, "idempotency-key-reused")
    assert_problem(person.suspend(tenant["id"], key=key, headers={"If-Match": '"1"'}), 422, "idempotency-key-reused")
    other = people("super_admin")
    assert_problem(other.suspend(tenant["id"], key=key), 409, "conflict")  # a key is its person's own
    assert person.restore(tenant["id"]).status_code == 200
    replay = person.suspend(tenant["id"], key=key)
    assert replay.status_code == 200 and replay.json() == first.json()
    assert person.tenant(tenant["id"])["status"] == "active"


def test_a_refusal_releases_the_key(people):
    person = people("support_l2")
    tenant = person.active_tenant(7)
    key = postern.new_key()
    assert_problem(person.suspend(tenant["id"], key=key, justification="short"), 422, "invalid-fields")
    assert person.suspend(tenant["id"], key=key).status_code == 200
    assert person.restore(tenant["id"]).status_code == 200


def parallel(count, work):
    gate = threading.Barrier(count)

    def run(index):
        gate.wait(30)
        return work(index)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_32_parallel_requests_with_one_key_make_one_event(people, sql):
    person = people("support_l2")
    tenant = person.active_tenant(8)
    person.step_up_if_old()
    key = postern.new_key()
    token = person.http.headers["Authorization"]

    def send(_):
        return httpx.post(f"{person.server.url}/api/v1/tenants/{tenant['id']}/suspend", json=GOOD, timeout=60, headers={
            "Authorization": token, "User-Agent": "postern-e2e", "Idempotency-Key": key})

    answers = parallel(32, send)
    statuses = collections.Counter(answer.status_code for answer in answers)
    assert statuses.keys() <= {200, 409} and statuses[200] >= 1, statuses
    for answer in answers:
        if answer.status_code == 409:
            assert_problem(answer, 409, "idempotency-key-running")
            assert int(answer.headers["Retry-After"]) >= 1
    good = [a for a in answers if a.status_code == 200]
    assert len({json.dumps(a.json(), sort_keys=True) for a in good}) == 1
    assert sum("Idempotency-Replayed" not in a.headers for a in good) == 1
    assert sql.one("SELECT count(*) FROM events WHERE action = 'tenant.suspend' AND target_id = ? AND id >= ?",
                   tenant["id"], good[0].json()["event_id"]) == 1
    assert person.tenant(tenant["id"])["version"] == tenant["version"] + 1
    assert person.restore(tenant["id"]).status_code == 200


def test_of_32_parallel_suspensions_with_keys_of_their_own_one_wins(people, sql):
    person = people("support_l2")
    tenant = person.active_tenant(9)
    person.step_up_if_old()
    token = person.http.headers["Authorization"]

    def send(_):
        return httpx.post(f"{person.server.url}/api/v1/tenants/{tenant['id']}/suspend", json=GOOD, timeout=60, headers={
            "Authorization": token, "User-Agent": "postern-e2e", "Idempotency-Key": postern.new_key()})

    statuses = collections.Counter(answer.status_code for answer in parallel(32, send))
    assert statuses == {200: 1, 409: 31}
    assert person.tenant(tenant["id"])["version"] == tenant["version"] + 1
    assert person.restore(tenant["id"]).status_code == 200


def test_of_parallel_updates_with_one_etag_one_wins(people):
    person = people("super_admin")
    tenant = person.tenant(person.active_tenant(10)["id"])
    token = person.http.headers["Authorization"]

    def send(index):
        return httpx.post(f"{person.server.url}/api/v1/tenants/{tenant['id']}/update", timeout=60, headers={
            "Authorization": token, "User-Agent": "postern-e2e", "Idempotency-Key": postern.new_key(),
            "If-Match": f'"{tenant["version"]}"'}, json={"input": {"name": f"Name {index}"}})

    statuses = collections.Counter(answer.status_code for answer in parallel(16, send))
    assert statuses == {200: 1, 412: 15}


def test_an_etag_that_still_holds_lets_the_change_through(people):
    person = people("support_l2")
    tenant = person.active_tenant(11)
    read = person.get(f"tenants/{tenant['id']}")
    tag = read.headers["ETag"]
    assert tag == f'"{read.json()["version"]}"'
    assert person.suspend(tenant["id"], headers={"If-Match": tag}).status_code == 200
    assert_problem(person.restore(tenant["id"], headers={"If-Match": tag}), 412, "version-changed")
    assert person.restore(tenant["id"]).status_code == 200


def test_what_i_may_do_is_told(people):
    for role, may in (("support_l1", False), ("support_l2", True)):
        items = people(role).get("operations").json()["items"]
        suspend = next(item for item in items if (item.get("operation") or item.get("name")) == "tenant.suspend")
        assert may in [value for value in suspend.values() if isinstance(value, bool)], suspend


def test_a_high_operation_with_an_old_factor_asks_for_step_up(server, people):
    person = people("super_admin")
    tenant = person.active_tenant(12)
    write_as_owner(server, "UPDATE sessions SET mfa_at = mfa_at - 600000000 WHERE staff_id = ? AND ended_at IS NULL", person.id)
    answer = person.suspend(tenant["id"], step_up=False)
    assert_problem(answer, 401, "step-up-required")
    challenge = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_user_authentication"' in challenge and "max_age=300" in challenge
    person.step_up()
    assert person.suspend(tenant["id"], step_up=False).status_code == 200
    assert person.restore(tenant["id"]).status_code == 200


# ---- lists ------------------------------------------------------------------------------------------------


def walk(person, path, **query):
    """Every item, page by page, following the Link header."""
    items, url, pages = [], None, 0
    answer = person.get(path, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        items += page["items"]
        pages += 1
        link = answer.headers.get("Link")
        assert (link is None) == (page["next_cursor"] is None)
        if link is None:
            return items, pages
        url = link.split(">")[0].lstrip("<")
        assert 'rel="next"' in link
        answer = person.get(url)


@pytest.mark.parametrize("sort", ["created", "name", "last_activity"])
def test_a_walk_over_the_pages_gives_each_tenant_once(people, sql, sort):
    person = people("support_l2")
    limit = max(1, sql.one("SELECT count(*) FROM tenants") // 9)
    items, pages = walk(person, "tenants", sort=sort, limit=min(limit, 200))
    ids = [item["id"] for item in items]
    assert pages > 1
    assert len(ids) == len(set(ids))
    assert set(ids) == {row["id"] for row in sql.rows("SELECT id FROM tenants")}


@pytest.mark.parametrize("sort", ["created", "name", "last_activity"])
def test_a_walk_while_others_insert_has_no_duplicate_and_no_gap(people, sql, sort):
    person, writer = people("support_l2"), people("super_admin")
    there = {row["id"] for row in sql.rows("SELECT id FROM tenants")}
    stop = threading.Event()
    made = []

    def insert():
        number = 0
        while not stop.is_set() and number < 200:
            answer = writer.post("tenants", json={"input": creation(name=f"{'amz'[number % 3]} walker {number}")})
            made.append(answer.status_code)
            number += 1

    thread = threading.Thread(target=insert)
    thread.start()
    try:
        items, pages = walk(person, "tenants", sort=sort, limit=max(1, min(200, len(there) // 15)))
    finally:
        stop.set()
        thread.join(60)
    assert made and set(made) == {201}
    ids = [item["id"] for item in items]
    assert len(ids) == len(set(ids))
    assert there <= set(ids)


def test_the_audit_log_is_walked_without_duplicates_too(people):
    items, pages = walk(people("security"), "audit-events", limit=50, outcome="applied")
    ids = [item["id"] for item in items]
    assert pages > 1 and len(ids) == len(set(ids))


def test_a_search_finds_a_tenant_by_everything_it_is_called(people, sql):
    person = people("support_l2")
    row = sql.rows("SELECT t.*, u.email FROM tenants t JOIN memberships m ON m.tenant_id = t.id JOIN users u ON u.id = m.user_id "
                   "WHERE t.status = 'active' ORDER BY t.id LIMIT 1")[0]
    for text in (row["id"], row["external_id"], row["slug"], row["email"], row["name"][:5], row["name"].upper()):
        answer = person.get("search", params={"q": text})
        assert answer.status_code == 200, answer.text
        assert row["id"] in [item["id"] for item in answer.json()["items"]], text


def test_a_search_is_an_event_that_does_not_show_what_was_searched(people, sql):
    person = people("support_l2")
    words = "zz-needle-" + postern.new_key()
    before = sql.one("SELECT count(*) FROM events WHERE class = 'access' AND actor_id = ?", person.id)
    assert person.get("search", params={"q": words}).status_code == 200
    rows = sql.rows("SELECT id, leaf FROM events WHERE class = 'access' AND actor_id = ? ORDER BY id", person.id)
    assert len(rows) == before + 1
    assert words.encode() not in rows[-1]["leaf"]
    assert words in sql.one("SELECT members FROM sealed WHERE event_id = ?", rows[-1]["id"])


# ---- proofs -----------------------------------------------------------------------------------------------


def published(server, path, token=None):
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "postern-e2e"} if token else {}
    return httpx.get(server.auditor_url + "/log/" + path, headers=headers)


def verify_receipt(receipt, key, tmp_path):
    path = tmp_path / "receipt.json"
    path.write_text(receipt if isinstance(receipt, str) else json.dumps(receipt))
    return subprocess.run([sys.executable, str(postern.ROOT / "e2e/verify_receipt.py"), str(path), key],
                          capture_output=True, text=True, timeout=60)


def test_a_receipt_holds_for_an_outsider_and_a_changed_one_does_not(server, people, tmp_path):
    person, auditor = people("support_l2"), people("security")
    tenant = person.active_tenant(13)
    done = person.suspend(tenant["id"]).json()
    person.restore(tenant["id"])
    answer = auditor.get(f"audit-events/{done['event_id']}/receipt")
    assert answer.status_code == 200, answer.text
    receipt = answer.json()
    key = published(server, "key").text
    held = verify_receipt(answer.text, key, tmp_path)
    assert held.returncode == 0, held.stdout + held.stderr
    leaf = json.loads(base64.b64decode(receipt["leaf"]))
    assert leaf["id"] == done["event_id"] and leaf["action"] == "tenant.suspend"
    assert receipt["sealed"]["justification"]["value"] == "Three invoices are unpaid."

    def changed(**members):
        return verify_receipt({**receipt, **members}, key, tmp_path).returncode

    other = dict(leaf, action="tenant.restore")
    assert changed(leaf=base64.b64encode(merkle.canonical(other).encode()).decode()) == 1
    assert changed(index=receipt["index"] + 1) == 1
    assert changed(proof=receipt["proof"][:-1]) == 1
    justification = dict(receipt["sealed"]["justification"], value="Nobody asked.")
    assert changed(sealed={**receipt["sealed"], "justification": justification}) == 1
    assert changed(checkpoint=receipt["checkpoint"].replace("\n\n", "\nx\n\n", 1)) == 1


def test_a_receipt_of_nothing_is_404(people):
    assert_problem(people("security").get("audit-events/evt_01JD3K4M5N6P7Q8R9S0T1V2W3X/receipt"), 404, "not-found")


def test_the_published_tiles_give_the_signed_root(server, people, sql):
    key = merkle.Key(published(server, "key").text)
    note = published(server, "checkpoint")
    assert note.status_code == 200 and note.headers["content-type"].startswith("text/plain")
    origin, size, root = key.open(note.text)
    assert origin == key.name and size > 0

    def tile(level, number, width):
        path = f"tile/{level}/{merkle.tile_path(number)}" + ("" if width == 256 else f".p/{width}")
        answer = published(server, path)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        assert len(answer.content) == width * 32, path
        return [answer.content[i : i + 32] for i in range(0, len(answer.content), 32)]

    hashes = []
    for number in range((size + 255) // 256):
        hashes += tile(0, number, min(256, size - number * 256))
    assert merkle.root(hashes) == root
    level = 1
    while size >> (8 * level):
        count = size >> (8 * level)
        expected = merkle.tile_hashes(hashes, level)
        for number in range((count + 255) // 256):
            width = min(256, count - number * 256)
            assert tile(level, number, width) == expected[number * 256 : number * 256 + width]
        level += 1

    stored = [row["leaf"] for row in sql.rows(
        "SELECT e.leaf FROM log_leaf l JOIN events e ON e.id = l.event_id ORDER BY l.idx")][:size]
    assert [merkle.leaf_hash(leaf) for leaf in stored] == hashes


def test_entries_are_for_people_with_the_whole_log_only(server, people):
    key = merkle.Key(published(server, "key").text)
    _, size, _ = key.open(published(server, "checkpoint").text)
    width = min(256, size)
    path = "tile/entries/000" + ("" if width == 256 else f".p/{width}")
    assert published(server, path).status_code == 401
    token = people("security").session["token"]
    answer = published(server, path, token)
    assert answer.status_code == 200, answer.text
    leaves = merkle.entries(answer.content)
    assert len(leaves) == width
    tile = published(server, "tile/0/000" + ("" if width == 256 else f".p/{width}")).content
    assert b"".join(map(merkle.leaf_hash, leaves)) == tile


@pytest.mark.parametrize("path", [
    "tile/0/999", "tile/9/000", "tile/0/000.p/0", "tile/0/000.p/257", "tile/0/0", "tile/0/-01", "tile/x/000", "tile/64/000",
    "tile/0/x999/x999/x999/x999/x999/x999/999", "tile/0/%2e%2e", "tile/entries/9", "nothing",
])
def test_tiles_there_are_not(server, path):
    assert published(server, path).status_code in (400, 401, 404)


def test_a_checkpoint_follows_soon(server, people):
    person, auditor = people("support_l2"), people("security")
    tenant = person.active_tenant(14)
    done = person.suspend(tenant["id"]).json()
    key = merkle.Key(published(server, "key").text)

    def taken():
        answer = auditor.get(f"audit-events/{done['event_id']}/receipt")
        return answer.status_code == 200 and answer

    # A second on a machine that does nothing else.
    receipt = postern.wait_until(taken, 8, "the event to be under a checkpoint", slack=1)
    _, size, _ = key.open(published(server, "checkpoint").text)
    assert size > receipt.json()["index"]
    person.restore(tenant["id"])


def test_the_data_is_in_order_after_all_this(server, people, sql):
    import checker

    people("support_l2")
    findings = checker.Checker(sql).run()
    assert findings == []
    verified = server.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_who_lost_a_role_while_a_body_was_on_its_way_has_lost_it(server, people):
    """The headers come while somebody may do it, the body once they may not any more."""
    import socket
    from urllib.parse import urlsplit

    admin = people("super_admin")
    clerk = server.person("support_l2")
    session = server.sign_in(clerk)
    tenant = admin.active_tenant()["id"]
    body = json.dumps({"input": {"note": "Too late."}}).encode()
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as line:
        line.sendall((f"POST /api/v1/tenants/{tenant}/set-note HTTP/1.1\r\nHost: {place.netloc}\r\nUser-Agent: postern-e2e\r\n"
                      f"Authorization: {session.http.headers['Authorization']}\r\nContent-Type: application/json\r\n"
                      f"Idempotency-Key: \"{postern.new_key()}\"\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
                     + body[:-1])
        time.sleep(1)
        session.http.delete("/api/v1/sessions/current")
        line.sendall(body[-1:])
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 401"), answer[:300]
