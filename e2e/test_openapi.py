"""The API does what its OpenAPI document says: requests made from the document, right and wrong ones, are answered with a
documented status, type, header and shape, and never with a 5xx.

POSTERN_EXAMPLES sets how many requests are made for each operation, mode and kind of id (3). Where both databases are gone through,
SQLite gets fewer, and only right ones: the document is the same, wrong ones are refused before a database sees them, and what a
database itself refuses of odd text and numbers is PostgreSQL's."""
import itertools
import json
import os
import re

import httpx
import hypothesis
import postern
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (content_type_conformance, response_headers_conformance,
                                               response_schema_conformance, status_code_conformance)

EXAMPLES = int(os.environ.get("POSTERN_EXAMPLES", "3"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
          response_schema_conformance]
# These end or lock the session that asks; they have tests of their own.
APART = re.compile(r"^/(api/v1/)?sessions")


def judge(case, response, label, failures):
    """Notes what an answer does otherwise than the document says: the first of each kind, with the request."""
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            failures.setdefault((label, type(failure).__name__, response.status_code),
                                (str(failure)[:500], case.as_curl_command()[:600]))


@pytest.fixture(scope="session")
def document(server):
    answer = httpx.get(server.url + "/api/v1/openapi.json", headers={"User-Agent": "postern-e2e"})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.only("sqlite")
def test_the_document_is_complete(document, people):
    assert document["openapi"].startswith("3.1")
    ids = [entry["operationId"] for path in document["paths"].values() for entry in path.values()
           if isinstance(entry, dict) and "operationId" in entry]
    assert len(ids) == len(set(ids))
    listed = people("super_admin").get("operations").json()["items"]
    names = {item.get("operation") or item.get("name") for item in listed}
    assert {"tenant.create", "tenant.update", "tenant.suspend", "tenant.restore", "tenant.archive", "tenant.hard_delete",
            "staff.invite"} <= names
    assert names <= set(ids)
    for item in listed:
        schema = next(v for k, v in item.items() if "schema" in k)
        assert schema["type"] == "object"


@pytest.mark.only("sqlite")
def test_every_reference_leads_somewhere(document):
    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                target = document
                for part in node["$ref"].removeprefix("#/").split("/"):
                    assert part in target, node["$ref"]
                    target = target[part]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)


def without_security(document):
    """Signing in is the test's own business: wrong requests are to be wrong in everything else."""
    return {**document, "security": [], "components": {**document["components"], "securitySchemes": {}}}


def send(case, server, **headers):
    case.headers = {**dict(case.headers or {}), "User-Agent": "postern-e2e", **headers}
    return case.call(base_url=server.url + "/api/v1", timeout=30)


def real_ids(person):
    """Something that exists for each kind of path."""
    tenants = [tenant["id"] for tenant in person.tenants(limit=5)]
    events = [event["id"] for event in person.get("audit-events", params={"limit": 5}).json()["items"]]
    approvals = [a["id"] for a in person.get("approvals").json()["items"]]
    return [("tenants/", tenants), ("audit-events/", events), ("approvals/", approvals)]


def test_answers_are_as_documented(server, people, document, kind, request):
    person = people("super_admin")
    is_less = kind == "sqlite" and request.config.getoption("--database") is None
    examples = max(1, EXAMPLES // 2) if is_less else EXAMPLES
    modes = (GenerationMode.POSITIVE,) if is_less else (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    schema = schemathesis.openapi.from_dict(without_security(document))
    ids = real_ids(person)
    failures = {}
    asked = 0
    seen = {}

    for found in schema.get_all_operations():
        operation = found.ok()
        if APART.match(operation.path):
            continue
        known = next((values for part, values in ids if part in operation.path and values), [])
        # Of what exists as well as of what does not, by turns: most of the time goes into learning how requests are made.
        turns = itertools.cycle([known[0], None] if known and "{id}" in operation.path else [None])
        kinds = 2 if known and "{id}" in operation.path else 1
        for mode in modes:
            try:
                strategy = operation.as_strategy(generation_mode=mode)
            except Exception as error:  # nothing about it can be wrong
                if mode is GenerationMode.NEGATIVE:
                    continue
                raise AssertionError(f"{operation.label}: {error}") from error

            @hypothesis.settings(max_examples=examples * kinds, deadline=None, database=None, derandomize=True,
                                 phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck))
            @hypothesis.given(case=strategy)
            def ask(case):
                nonlocal asked
                if id := next(turns):
                    case.path_parameters = {**case.path_parameters, "id": id}
                response = send(case, server, Authorization=person.http.headers["Authorization"])
                asked += 1
                seen[response.status_code] = seen.get(response.status_code, 0) + 1
                assert response.status_code != 401 or "insufficient_user" in str(response.headers), response.text
                judge(case, response, operation.label, failures)

            try:
                ask()
            except hypothesis.errors.Unsatisfiable:
                if mode is GenerationMode.POSITIVE:
                    raise
    print(f"\n{asked} requests: {dict(sorted(seen.items()))}")
    assert asked > 100
    assert not failures, f"{len(failures)} kinds of failure\n" + "\n\n".join(
        f"{where}\n{what}\n{curl}" for where, (what, curl) in list(failures.items())[:12])


@pytest.mark.only("postgres")
def test_wrong_sign_ins_are_as_documented(server, document):
    """Without a session and in small numbers: throttling would answer the rest."""
    schema = schemathesis.openapi.from_dict(without_security(document))
    failures = []
    for found in schema.get_all_operations():
        operation = found.ok()
        if not APART.match(operation.path):
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                strategy = operation.as_strategy(generation_mode=mode)
            except Exception:
                continue

            @hypothesis.settings(max_examples=3, deadline=None, database=None, derandomize=True,
                                 phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck))
            @hypothesis.given(case=strategy)
            def ask(case):
                response = send(case, server)
                try:
                    case.validate_response(response, checks=CHECKS)
                except FailureGroup as group:
                    failures.extend(f"{operation.label}: {str(f)[:400]}" for f in group.exceptions)

            try:
                ask()
            except hypothesis.errors.Unsatisfiable:
                continue
    assert not failures, "\n\n".join(failures[:10])


# ---- what a parser of the outside must survive -----------------------------------------------------------------

ODD = [
    b"", b"{", b"}", b"[]", b"null", b"0", b"\xff", b"\x00", b'{"a":1e999}', b'{"a":' * 300 + b"1" + b"}" * 300,
    b'{"input":{"name":"' + b"\\u0000" * 50 + b'"}}', b'{"input":' + b"9" * 400 + b"}", b'{"\xed\xa0\x80":1}',
    json.dumps({"input": {str(n): n for n in range(5000)}}).encode(),
]


# What a database refuses of odd text and numbers is PostgreSQL's.
@pytest.mark.only("postgres")
@pytest.mark.parametrize("body", ODD, ids=[str(n) for n in range(len(ODD))])
def test_odd_bodies_are_refused_not_feared(people, body):
    person = people("super_admin")
    for path in ("tenants", "sessions", "staff", "tenants/x/suspend", "audit-events/x/undo"):
        answer = person.http.post("/api/v1/" + path, content=body, headers={
            "Content-Type": "application/json", "Idempotency-Key": postern.new_key()})
        assert 400 <= answer.status_code < 500, f"{path}: {answer.status_code} {answer.text[:200]}"
        assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("raw", [
    b"GET /api/v1/tenants HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"a=b; " * 2000 + b"\r\n\r\n",
    b"GET /api/v1/tenants?" + b"status=%ff&" * 200 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /api/v1/sessions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    b"GARBAGE\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer \x80\x81\r\n\r\n",
])
def test_odd_requests_leave_the_server_standing(server, raw):
    import socket

    with socket.create_connection(("127.0.0.1", server.staff_port), 10) as connection:
        connection.settimeout(10)
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        try:
            first = connection.recv(4096)
        except (ConnectionResetError, TimeoutError):
            first = b""
    assert not re.match(rb"HTTP/1.1 5\d\d", first), first[:200]
    assert server.ready()
