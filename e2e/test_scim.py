"""Identity providers over SCIM: requests in the exact shapes Entra ID and Okta send, the public tester, roles that wait, and the pages."""
import re

import httpx
import httpx2
import pytest
import scim2_tester
from browser import Window
from playwright.sync_api import expect
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@pytest.fixture
def cast(own_server):
    """Two super admins, a person of security, and the provider they connected."""
    server = own_server.start()
    people = [server.sign_in(server.person("super_admin")), server.sign_in(server.person("super_admin", 1)),
              server.sign_in(server.person("security"))]
    provider = connect(server, people[0], people[1])
    yield (server, *people, provider)
    for person in people:
        person.close()
    provider.close()


def connect(server, admin, signer, name="Entra ID"):
    asked = admin.operate("scim-tokens", justification="Staff come from the directory now.", input={"name": name})
    assert asked.status_code == 202, asked.text
    approval = asked.json()["approval_id"]
    done = signer.operate(f"approvals/{approval}/approve", None, "Agreed in the review.")
    assert done.json()["execution"]["state"] == "executed", done.text
    admin.step_up_if_old()
    token = admin.post(f"/api/v1/approvals/{approval}/reveal", json={}).json()["reveal"]["token"]
    assert token.startswith("psc_")
    return httpx.Client(base_url=f"{server.url}/scim/v2/", timeout=60, headers={
        "Authorization": f"Bearer {token}", "Content-Type": "application/scim+json", "User-Agent": "provider/1.0"})


def entra_user(name):
    """As Entra ID's provisioning service creates somebody."""
    return {
        "schemas": [CORE, ENTERPRISE], "externalId": name, "userName": f"{name}@contoso.example", "active": True,
        "displayName": f"{name.title()} Adams", "emails": [{"primary": True, "type": "work", "value": f"{name}@contoso.example"}],
        "meta": {"resourceType": "User"}, "name": {"formatted": f"{name.title()} Adams", "familyName": "Adams",
                                                  "givenName": name.title()}, "title": "Agent",
        "addresses": [{"type": "work", "locality": "Oslo"}], ENTERPRISE: {"department": "Support"}}


def okta_user(name):
    """As Okta creates somebody."""
    return {"schemas": [CORE], "userName": f"{name}@okta.example", "name": {"givenName": name.title(), "familyName": "Okonkwo"},
            "emails": [{"primary": True, "value": f"{name}@okta.example", "type": "work"}], "displayName": f"{name.title()} O.",
            "locale": "en-US", "externalId": f"00u{name}", "groups": [], "password": "1mz050nq", "active": True}


def patch(provider, path, *operations):
    return provider.patch(path, json={"schemas": [PATCH], "Operations": list(operations)})


def test_as_entra_id_does_it(cast):
    server, jonas, hana, _, provider = cast
    # Its test connection looks for somebody who is not there.
    none = provider.get("Users", params={"filter": 'userName eq "non-existent-user"'})
    assert none.status_code == 200 and none.json()["totalResults"] == 0 and none.json()["Resources"] == []
    assert none.headers["Content-Type"] == "application/scim+json"

    made = provider.post("Users", json=entra_user("wiebke"))
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    assert made.headers["Location"].endswith(f"/scim/v2/Users/{id}") and made.json()["name"]["familyName"] == "Adams"
    person = jonas.get(f"staff/{id}").json()
    assert person["status"] == "invited" and person["roles"] == [] and person["name"] == "Wiebke Adams"
    assert provider.post("Users", json=entra_user("wiebke")).json()["scimType"] == "uniqueness"

    # Changes, with words in its own case and attributes that are not kept.
    changed = patch(provider, f"Users/{id}",
                    {"op": "Replace", "path": "displayName", "value": "Wiebke A."},
                    {"op": "Add", "path": "name.givenName", "value": "Wiebke-Marie"},
                    {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "wm@contoso.example"},
                    {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Billing"})
    assert changed.status_code == 200 and changed.json()["emails"][0]["value"] == "wm@contoso.example", changed.text
    person = jonas.get(f"staff/{id}").json()
    assert (person["email"], person["name"]) == ("wm@contoso.example", "Wiebke A.")

    # A group without power is a grant, with power it waits.
    group = provider.get("Groups", params={"filter": 'displayName eq "Support L1"', "excludedAttributes": "members"}).json()
    assert group["totalResults"] == 1 and "members" not in group["Resources"][0]
    for name, role in (("Support L1", "support_l1"), ("Compliance", "compliance")):
        found = provider.get("Groups", params={"filter": f'displayName eq "{name}"'}).json()["Resources"][0]
        assert found["id"] == role
        for _ in range(2):
            added = patch(provider, f"Groups/{role}", {"op": "Add", "path": "members", "value": [{"$ref": None, "value": id}]})
            assert added.status_code == 200 and id in [m["value"] for m in added.json()["members"]], added.text
    assert jonas.get(f"staff/{id}").json()["roles"] == ["support_l1"]
    waiting = jonas.get("pending-grants").json()["items"]
    # The demo's own provider asked for a role, too.
    assert [(one["role"], one["state"]) for one in waiting if one["staff_id"] == id] == [("compliance", "pending")]
    assert [one["role"] for one in waiting] == ["compliance", "head_of_cs"]
    assert jonas.operate(f"staff/{id}/accept-grant", None, "Begins in compliance.", {"role": "compliance"}).status_code == 422
    asked = jonas.operate(f"staff/{id}/accept-grant", None, "Begins in compliance.", {"role": "compliance"}, "HR-40")
    assert asked.status_code == 202, asked.text
    assert hana.operate(f"approvals/{asked.json()['approval_id']}/approve", None, "Agreed.").status_code == 200
    assert jonas.get(f"staff/{id}").json()["roles"] == ["compliance", "support_l1"]
    removed = patch(provider, "Groups/support_l1", {"op": "Remove", "path": "members", "value": [{"value": id}]})
    assert removed.status_code == 200 and jonas.get(f"staff/{id}").json()["roles"] == ["compliance"]

    # A request is done whole or not at all: neither gone nor renamed, and none of two in the group.
    other = provider.post("Users", json=entra_user("piet")).json()["id"]
    half = patch(provider, f"Users/{id}", {"op": "Replace", "path": "active", "value": "False"},
                 {"op": "Replace", "path": "userName", "value": "piet@contoso.example"})
    assert half.status_code == 409 and half.json()["scimType"] == "uniqueness", half.text
    assert provider.get(f"Users/{id}").json()["active"] is True
    assert jonas.get(f"staff/{id}").json()["roles"] == ["compliance"]
    fay = jonas.get("staff?role=billing_ops").json()["items"][0]["id"]
    half = patch(provider, "Groups/support_l1", {"op": "Add", "path": "members", "value": [{"value": other}, {"value": fay}]})
    assert half.status_code == 400 and f"{fay}: " in half.json()["detail"], half.text
    assert jonas.get(f"staff/{other}").json()["roles"] == []

    # Soft deletion, return, and deletion after it.
    off = patch(provider, f"Users/{id}", {"op": "Replace", "path": "active", "value": "False"})
    assert off.status_code == 200 and off.json()["active"] is False
    person = jonas.get(f"staff/{id}").json()
    assert person["status"] == "deactivated" and person["roles"] == []
    on = patch(provider, f"Users/{id}", {"op": "Replace", "path": "active", "value": "True"})
    assert on.json()["active"] is True and jonas.get(f"staff/{id}").json()["roles"] == []
    assert provider.delete(f"Users/{id}").status_code == 204
    assert provider.get(f"Users/{id}").status_code == 404
    again = provider.post("Users", json=entra_user("wiebke"))
    assert again.status_code == 201 and again.json()["id"] == id, again.text
    assert server.run("verify").returncode == 0


@pytest.mark.only("postgres")
def test_as_okta_does_it(cast):
    server, jonas, hana, samir, provider = cast
    start = provider.get("Users", params={"startIndex": 1, "count": 2})
    assert start.status_code == 200 and start.json()["itemsPerPage"] == 2
    assert provider.get("Users", params={"filter": 'userName eq "ngozi@okta.example"'}).json()["totalResults"] == 0
    made = provider.post("Users", json=okta_user("ngozi"))
    assert made.status_code == 201 and "password" not in made.text, made.text
    id = made.json()["id"]
    # It replaces the whole, and sends it again when it is not sure.
    body = okta_user("ngozi") | {"id": id, "name": {"givenName": "Ngozi", "familyName": "Okonkwo-Bell"}}
    events = len(jonas.get("audit-events?action=staff.sync_profile").json()["items"])
    for _ in range(3):
        put = provider.put(f"Users/{id}", json=body)
        assert put.status_code == 200 and put.json()["name"]["familyName"] == "Okonkwo-Bell", put.text
    assert len(jonas.get("audit-events?action=staff.sync_profile").json()["items"]) == events + 1

    # Group push: the group is found, and its members sent as a whole or in part.
    push = patch(provider, "Groups/security", {"op": "replace", "value": {"id": "security", "displayName": "Security"}},
                 {"op": "add", "path": "members", "value": [{"value": id, "display": "ngozi@okta.example"}]})
    assert push.status_code == 200, push.text
    taken = jonas.operate(f"staff/{id}/dismiss-grant", "not_needed", "Works in support.", {"role": "security"})
    assert taken.status_code == 200, taken.text
    members = [m["value"] for m in provider.get("Groups/security").json()["members"]]
    assert samir.id in members and id not in members
    whole = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "id": "security", "displayName": "Security",
             "members": [{"value": one} for one in members + [id]]}
    assert provider.put("Groups/security", json=whole).status_code == 200
    assert id not in [one["staff_id"] for one in jonas.get("pending-grants").json()["items"]]

    # Somebody who works here, signed in and with a program, is gone with one request.
    oncall = server.sign_in(server.person("engineering_oncall"))
    asked = oncall.operate("service-accounts", justification="Reads every night.",
                           input={"kind": "service", "name": "job", "scopes": ["tenant.view"]})
    assert hana.operate(f"approvals/{asked.json()['approval_id']}/approve", None, "Agreed.").status_code == 200
    oncall.step_up_if_old()
    token = oncall.post(f"/api/v1/approvals/{asked.json()['approval_id']}/reveal", json={}).json()["reveal"]["token"]
    program = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{server.url}/api/v1/me", headers=program).status_code == 200
    off = patch(provider, f"Users/{oncall.id}", {"op": "replace", "value": {"active": False}})
    assert off.status_code == 200, off.text
    assert oncall.get("sessions").status_code == 401
    assert httpx.get(f"{server.url}/api/v1/me", headers=program).status_code == 401
    oncall.close()

    # The last super_admin can't be taken away, and is told why.
    assert provider.delete(f"Users/{hana.id}").status_code == 204
    last = patch(provider, f"Users/{jonas.id}", {"op": "replace", "value": {"active": False}})
    assert last.status_code == 409 and "last super admin" in last.json()["detail"], last.text
    assert last.json()["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert patch(provider, "Groups/super_admin", {"op": "remove", "path": "members"}).status_code == 409
    assert jonas.get("me").status_code == 200
    assert server.run("verify").returncode == 0


@pytest.mark.only("sqlite")
def test_tokens_of_providers(cast):
    server, jonas, hana, samir, provider = cast
    listed = samir.get("scim-tokens").json()["items"]
    assert [one["name"] for one in listed] == ["Entra ID", "Company directory"] and "psc_" in listed[0]["prefix"]
    assert samir.operate("scim-tokens", justification="Another provider.", input={"name": "x"}).status_code == 403
    assert provider.get("Users").status_code == 200
    assert jonas.get(f"scim-tokens/{listed[0]['id']}").json()["last_used_at"]
    ended = jonas.operate(f"scim-tokens/{listed[0]['id']}/revoke", "compromised", "It was in a ticket.")
    assert ended.status_code == 200, ended.text
    refused = provider.get("Users")
    assert refused.status_code == 401 and refused.json()["status"] == "401" and "detail" in refused.json()


@pytest.mark.only("sqlite")
def test_the_public_tester_finds_nothing(cast):
    server, jonas, *_, provider = cast
    http = httpx2.Client(base_url=str(provider.base_url), headers={"Authorization": provider.headers["Authorization"]}, timeout=60)
    results = scim2_tester.check_server(SyncSCIMClient(http))
    assert len(results) > 40, results
    wrong = [result for result in results if result.status in (Status.ERROR, Status.CRITICAL)]
    # Roles are made in Postern: a group of any other name is refused, and that is all that may be found.
    # Neither the kind of an address nor whether it is the first one is the tester's to leave out: both are read-only, and said.
    found = [f"{result.title} {result.resource_type}: {result.reason}" for result in wrong
             if (result.resource_type != "Group" or "Roles are made in Postern" not in str(result.reason))
             and not ("unexpected value for 'emails'" in str(result.reason) and "type='work', primary=True" in str(result.reason))]
    assert found == [], "\n".join(found)
    # Nothing is left of it but what stands in the log.
    assert server.run("verify").returncode == 0


@pytest.mark.only("sqlite")
def test_the_pages_of_provisioning(chromium, cast):
    server, jonas, hana, samir, provider = cast
    id = provider.post("Users", json=entra_user("wiebke")).json()["id"]
    for role in ("billing_ops", "legal"):
        assert patch(provider, f"Groups/{role}", {"op": "add", "path": "members", "value": [{"value": id}]}).status_code == 200
    with Window(chromium, server) as window:
        window.sign_in(server.person("super_admin"))
        look(window, id, samir)


def look(window, id, samir):
    page = window.page
    # On the first page, in the list, and on the person's page.
    page.goto("/")
    expect(page.get_by_role("link", name="Grants to accept")).to_be_visible()
    page.get_by_role("link", name="Grants to accept").click()
    window.heading("Grants that wait")
    expect(page.get_by_role("table")).to_contain_text("Billing operations")
    window.audit_everywhere("/pending-grants")
    window.shot("staff-pending-grants")
    page.goto(f"/staff/{id}")
    waiting = page.get_by_role("region", name="Grants that wait")
    expect(waiting).to_be_visible()
    window.audit_everywhere("/staff/{id}")
    waiting.get_by_role("link", name="Dismiss…").first.click()
    window.heading("Dismiss")
    window.audit_everywhere("/staff/{id}/dismiss-grant")
    page.goto("/scim-tokens")
    expect(page.get_by_role("table")).to_contain_text("Entra ID")
    window.audit_everywhere("/scim-tokens")
    page.get_by_role("link", name="Entra ID", exact=True).click()
    expect(page.get_by_role("link", name=re.compile("Replace token"))).to_be_visible()
    window.audit_everywhere("/scim-tokens/{id}")
    # Without a grant that waits the person's page does not offer to accept one.
    page.goto(f"/staff/{samir.id}")
    expect(page.get_by_role("link", name=re.compile("Accept grant"))).to_have_count(0)
