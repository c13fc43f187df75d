"""The product's side: what a SaaS does over the runtime listener, and what staff see of it and settle."""
import json
import re
import secrets
from datetime import datetime, timezone

import httpx
import hypothesis
import pytest
import schemathesis
from browser import Window
from playwright.sync_api import expect
from schemathesis import GenerationMode
from test_openapi import EXAMPLES, ODD, judge, without_security


class Product:
    """A SaaS with a runtime token."""

    def __init__(self, server, token=None):
        token = token or json.loads((server.data / "runtime.json").read_text())["runtime_token"]
        self.http = httpx.Client(base_url=f"http://localhost:{server.runtime_port}/runtime/v1", timeout=60,
                                 headers={"Authorization": f"Bearer {token}"})

    def put(self, path, body, **headers):
        return self.http.put(path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def batch(self, records):
        body = "".join(json.dumps(record) + "\n" for record in records)
        answer = self.http.post("batches", content=body, headers={"Content-Type": "application/x-ndjson"})
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture
def product(server):
    product = Product(server)
    yield product
    product.http.close()


def word():
    return secrets.token_hex(4)


def test_a_product_tells_of_its_customers_and_people(product, server, people, sql):
    name = word()
    body = {"name": f"Nordlys {name}", "slug": f"nordlys-{name}", "plan": "team", "region": "eu-west",
            "owner_email": f"mina@{name}.example", "metadata": {"segment": "optics"}}
    made = product.put(f"tenants/{name}", body)
    assert made.status_code == 201 and made.headers["ETag"] == '"1"'
    tenant = made.json()["tenant"]
    events = sql.one("SELECT count(*) FROM events WHERE action LIKE 'registry.%'")
    assert product.put(f"tenants/{name}", body).json()["outcome"] == "unchanged"
    assert sql.one("SELECT count(*) FROM events WHERE action LIKE 'registry.%'") == events
    assert product.put(f"tenants/{name}", body | {"name": "Else"}, If_Match='"7"').status_code == 412

    assert product.put(f"users/u-{name}", {"email": f"ola@{name}.example", "name": "Ola"}).status_code == 201
    assert product.put(f"tenants/{name}/members/u-{name}", {"role": "admin"}).status_code == 201
    staff = people("support_l2")
    members = staff.get(f"tenants/{tenant['id']}/users").json()["items"]
    assert {(m["email"], m["role"]) for m in members} == {(f"mina@{name}.example", "owner"), (f"ola@{name}.example", "admin")}
    assert product.http.delete(f"tenants/{name}/members/u-{name}").status_code == 204
    assert product.put("tenants/" + "%00", body).status_code in (400, 422)
    assert product.put(f"tenants/{name}", ["list"]).status_code == 422

    # What staff did is not undone by the product's next word.
    staff.suspend(tenant["id"])
    answer = product.put(f"tenants/{name}", body | {"status": "active"})
    assert answer.json()["drift"] == ["status"] and answer.json()["tenant"]["status"] == "suspended"
    # The log says who it was.
    assert sql.one("SELECT actor_type FROM events WHERE target_id = '%s' AND action = 'registry.put_tenant' LIMIT 1"
                   % tenant["id"]) == "runtime"


def test_a_thousand_records_in_one_request(product, sql):
    name = word()
    records = []
    for n in range(333):
        records += [
            {"type": "tenant", "external_id": f"{name}-{n}", "name": f"Many {n}", "slug": f"many-{name}-{n}"},
            {"type": "user", "external_id": f"u-{name}-{n}", "email": f"u{n}@{name}.example"},
            {"type": "member", "tenant": f"{name}-{n}", "user": f"u-{name}-{n}", "role": "admin"},
        ]
    records.append({"type": "tenant", "external_id": "bad", "name": "Bad", "slug": "Not A Slug"})
    events = sql.one("SELECT count(*) FROM events WHERE action = 'registry.put_batch'")
    answers = product.batch(records)
    assert [a["row"] for a in answers] == list(range(1, 1001))
    assert all(a["outcome"] == "created" and a["id"] for a in answers[:-1]), answers[:3]
    assert answers[-1]["outcome"] == "rejected" and answers[-1]["errors"][0]["pointer"] == "/slug"
    assert sql.one("SELECT count(*) FROM events WHERE action = 'registry.put_batch'") == events + 1
    assert all(a["outcome"] == "unchanged" for a in product.batch(records)[:-1])
    assert sql.one("SELECT count(*) FROM events WHERE action = 'registry.put_batch'") == events + 1


def test_slugs_pass_from_one_tenant_to_another_in_a_batch(product, sql):
    name = word()

    def tenant(n, slug):
        return {"type": "tenant", "external_id": f"{name}-{n}", "name": f"Tenant {n}", "slug": f"{name}-{slug}"}

    def held():
        return {row["external_id"]: row["slug"] for row in sql.rows(
            "SELECT external_id, slug FROM tenants WHERE external_id LIKE ?", f"{name}-%")}

    assert {a["outcome"] for a in product.batch([tenant(n, s) for n, s in enumerate("abcd")])} == {"created"}
    # Two swap, one moves on, and a new one takes what it leaves.
    answers = product.batch([tenant(0, "b"), tenant(1, "a"), tenant(9, "c"), tenant(2, "z")])
    assert [a["outcome"] for a in answers] == ["updated", "updated", "created", "updated"], answers
    assert held() == {f"{name}-{n}": f"{name}-{s}" for n, s in ((0, "b"), (1, "a"), (2, "z"), (3, "d"), (9, "c"))}
    # The last of these can't move, and those who counted on it stay as well.
    answers = product.batch([tenant(0, "a"), tenant(1, "d"), tenant(2, "y")])
    assert [a["outcome"] for a in answers] == ["rejected", "rejected", "updated"], answers
    assert "whose own row can't be taken" in answers[0]["errors"][0]["detail"]
    assert held()[f"{name}-0"] == f"{name}-b" and held()[f"{name}-2"] == f"{name}-y"


def test_tokens_are_made_used_and_revoked_by_staff(server, people):
    admin = people("super_admin")
    made = admin.operate("runtime-tokens", justification="The nightly sync needs one.",
                         input={"name": "nightly", "scopes": ["registry"]})
    assert made.status_code == 201, made.text
    token, id = made.json()["reveal"]["token"], made.json()["after"]["id"]
    product = Product(server, token)
    assert product.put(f"users/u-{word()}", {"email": f"{word()}@t.example"}).status_code == 201
    shown = admin.get(f"runtime-tokens/{id}").json()
    assert shown["last_used_at"] and token not in json.dumps(shown) and token.startswith(shown["prefix"])
    assert people("support_l2").get("runtime-tokens").status_code == 403
    done = admin.operate(f"runtime-tokens/{id}/revoke", "rotated")
    assert done.status_code == 200, done.text
    refused = product.http.get("users/u-1")
    assert refused.status_code == 401 and refused.json()["type"] == "/problems/token-required"
    product.http.close()


def test_drift_is_settled_by_api_and_command(product, server, people):
    name = word()
    body = {"name": f"Drift {name}", "slug": f"drift-{name}", "plan": "team", "region": "eu-west", "tier": "standard"}
    tenant = product.put(f"tenants/{name}", body).json()["tenant"]["id"]
    product.put(f"tenants/{name}", body | {"plan": "business", "region": "us-east"})
    admin = people("super_admin")
    items = {i["field"]: i for i in admin.get("drifts", params={"tenant": tenant}).json()["items"]}
    assert set(items) == {"plan", "region"}
    done = admin.operate(f"drifts/{items['plan']['id']}/accept", justification="Sales changed it in the product.")
    assert done.status_code == 200, done.text
    assert admin.tenant(tenant)["plan"] == "business"
    kept = admin.operate(f"drifts/{items['region']['id']}/dismiss", "decided_here")
    assert kept.status_code == 200, kept.text
    product.put(f"tenants/{name}", body | {"plan": "business", "region": "us-east"})
    assert {i["state"] for i in admin.get("drifts", params={"tenant": tenant}).json()["items"]} == {"accepted", "dismissed"}
    product.put(f"tenants/{name}", body | {"plan": "business", "region": "ap-south"})
    assert admin.get(f"drifts/{items['region']['id']}").json()["state"] == "open"
    assert admin.tenant(tenant)["region"] == "eu-west"


@pytest.mark.only("postgres")
def test_answers_are_as_the_document_says(product, server):
    document = product.http.get("openapi.json").json()
    assert document["openapi"].startswith("3.1") and len(document["paths"]) == 6
    schema = schemathesis.openapi.from_dict(without_security(document))
    failures, asked = {}, 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.endswith("/batches"):
            continue  # lines, not a document: below
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                strategy = operation.as_strategy(generation_mode=mode)
            except Exception as error:  # nothing about it can be wrong
                assert mode is GenerationMode.NEGATIVE, f"{operation.label}: {error}"
                continue

            @hypothesis.settings(max_examples=EXAMPLES * 3, deadline=None, database=None, derandomize=True,
                                 phases=[hypothesis.Phase.generate], suppress_health_check=list(hypothesis.HealthCheck))
            @hypothesis.given(case=strategy)
            def ask(case):
                nonlocal asked
                case.headers = {**dict(case.headers or {}), "Authorization": product.http.headers["Authorization"]}
                response = case.call(base_url=f"http://localhost:{server.runtime_port}/runtime/v1", timeout=30)
                asked += 1
                judge(case, response, operation.label, failures)

            try:
                ask()
            except hypothesis.errors.Unsatisfiable:
                assert mode is GenerationMode.NEGATIVE, operation.label
    assert asked > 50
    assert not failures, "\n\n".join(f"{where}\n{what}\n{curl}" for where, (what, curl) in list(failures.items())[:8])


@pytest.mark.only("postgres")
@pytest.mark.parametrize("body", ODD, ids=[str(n) for n in range(len(ODD))])
def test_odd_bodies_are_refused_not_feared(product, body):
    answer = product.http.put("tenants/odd", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500 and answer.headers["content-type"] == "application/problem+json", answer.text
    lines = product.http.post("batches", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert lines.status_code == 422 or all(
        json.loads(line)["outcome"] == "rejected" for line in lines.text.splitlines()), lines.text


def test_drift_and_tokens_in_the_browser(chromium, sqlite_server):
    server = sqlite_server
    product = Product(server)
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("super_admin"))
        window.go("/drifts")
        window.heading("Drift")
        window.shot("drift")
        name = word()
        body = {"name": f"Halden {name}", "slug": f"halden-{name}", "plan": "team", "region": "eu-west",
                "owner_email": f"mina@{name}.example"}
        tenant = product.put(f"tenants/{name}", body).json()["tenant"]["id"]
        product.put(f"tenants/{name}", body | {
            "plan": "business", "status": "suspended", "owner_email": f"ola@{name}.example",
            "members": [{"email": f"ola@{name}.example", "name": "Ola Nordmann", "external_id": f"u-{name}"}]})
        window.go(f"/tenants/{tenant}")
        window.audit("tenant with drift")
        page.get_by_role("link", name="See the difference").click()
        window.heading("Drift")
        expect(page.get_by_role("row")).to_have_count(4)
        expect(page.get_by_role("cell", name="Ola Nordmann")).to_be_visible()
        window.audit("drift")
        page.get_by_role("row").filter(has_text="Plan").get_by_role("link").click()
        window.heading(re.compile("Plan of Halden"))
        window.audit("one difference")
        page.get_by_role("link", name=re.compile("^Keep ours")).click()
        page.get_by_label("Reason", exact=True).select_option("decided_here")
        page.get_by_role("button", name="Preview").click()
        window.audit("keep ours")
        page.get_by_role("button", name=re.compile("^Keep ours")).click()
        expect(page.locator("main .title .chip")).to_have_text("Done")
        window.go("/runtime-tokens")
        window.heading("Runtime tokens")
        window.audit("tokens")
        window.shot("runtime-tokens")
        page.get_by_role("link", name="Create token…").first.click()
        page.get_by_label("Name").fill("nightly sync")
        page.get_by_label("Registry").check()
        page.get_by_label("Justification").fill("The nightly sync needs a token.")
        window.audit("create token")
        page.get_by_role("button", name="Preview").click()
        page.get_by_role("button", name=re.compile("^Create ")).click()
        expect(page.locator("main .title .chip")).to_have_text("Done")
        expect(page.get_by_text(re.compile("prt_[A-Za-z0-9_-]{43}"))).to_be_visible()
        window.audit("token made")
        window.go("/runtime-tokens")
        page.get_by_role("link", name="nightly sync").click()
        window.heading("nightly sync")
        window.audit("one token")
    product.http.close()


def test_a_product_reports_onboarding_a_first_sign_in_and_changes_it_was_asked_for(product, people):
    name, staff = word(), people("super_admin")

    def report(field, body):
        return product.http.post(f"tenants/{name}/changes/{field}", json=body)

    def tenant():
        return product.http.get(f"tenants/{name}").json()

    body = {"name": f"Fjord {name}", "slug": f"fjord-{name}", "plan": "team", "region": "eu-west", "status": "pending",
            "owner_email": f"eli@{name}.example"}
    made = product.put(f"tenants/{name}", body)
    assert made.status_code == 201, made.text
    id = made.json()["tenant"]["id"]
    assert product.put(f"tenants/{name}", body | {"onboarding": "failed"}).status_code == 200
    assert tenant()["status"] == "failed"
    assert staff.operate(f"tenants/{id}/retry-onboarding", "retry", "The quota is raised.").status_code == 200
    assert product.put(f"tenants/{name}", body | {"onboarding": "ready"}).status_code == 200
    assert tenant()["status"] == "ready"
    assert product.put(f"tenants/{name}", body | {"last_activity_at": "2026-01-02T03:04:05Z"}).status_code == 200
    assert tenant()["status"] == "ready", "that was before it was set up"
    seen = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    assert product.put(f"tenants/{name}", body | {"last_activity_at": seen}).status_code == 200
    assert tenant()["status"] == "active"

    assert report("plan", {"outcome": "confirmed"}).status_code == 409, "nobody asked for it"
    asked = staff.operate(f"tenants/{id}/change-plan", None, "They asked for it on the phone.",
                          {"plan": "business"})
    assert asked.status_code == 200, asked.text
    assert tenant()["plan"] == "team"
    failed = report("plan", {"outcome": "failed", "reason": "The card was refused."})
    assert failed.status_code == 200, failed.text
    assert report("plan", {"outcome": "confirmed", "value": "enterprise"}).status_code == 409
    confirmed = report("plan", {"outcome": "confirmed", "value": "business"})
    assert confirmed.status_code == 200 and confirmed.json()["plan"] == "business", confirmed.text
    for field, wrong, status in (("colour", {"outcome": "confirmed"}, 404), ("plan", {"outcome": "perhaps"}, 422),
                                 ("plan", {"outcome": "failed", "value": "x"}, 422), ("plan", {"x": 1}, 422)):
        assert report(field, wrong).status_code == status, (field, wrong)


def test_a_product_reports_the_end_of_a_trial_and_what_becomes_of_a_subscription(product, people, sql):
    name, staff = word(), people("super_admin")
    made = product.put(f"tenants/{name}", {"name": f"Trial {name}", "slug": f"trial-{name}"})
    assert made.status_code == 201, made.text
    id = made.json()["tenant"]["id"]

    def report(event, status=200):
        answer = product.http.post(f"tenants/{name}/subscription", json={"event": event})
        assert answer.status_code == status, answer.text
        return answer.json().get("status")

    assert report("trial_ended") == "expired"
    events = sql.one("SELECT count(*) FROM events WHERE target_id = '%s'" % id)
    assert report("trial_ended") == "expired", "said again"
    assert sql.one("SELECT count(*) FROM events WHERE target_id = '%s'" % id) == events
    assert report("subscribed") == "active"
    staff.suspend(id)
    report("subscribed", 409)
    assert report("cancelled") == "cancelled"
    report("subscribed", 409)
    report("forgotten", 422)
    assert staff.operate(f"tenants/{id}/restore", "csm_save", "Their manager called them.").status_code == 200
