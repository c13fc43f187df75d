"""Tenants complete, as their users meet them: changes that are confirmed, the note, ownership, facets, saved views, users, and names
that are typed with a slip."""
import re

import httpx
import postern
import pytest
from browser import PHONE, Window
from playwright.sync_api import expect
from test_cli import Terminal


@pytest.fixture(scope="module")
def demo(sqlite_server):
    return sqlite_server


@pytest.fixture(scope="module")
def api(demo):
    person = demo.sign_in(demo.person("super_admin", 1))
    yield person
    person.close()


def every(api, **query):
    """All tenants that match, page by page: other tests leave some."""
    found, cursor = [], None
    while True:
        page = api.get("tenants", params={"limit": 200, **query} | ({"cursor": cursor} if cursor else {})).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            return found


def by_slug(api, slug):
    return next(item for item in every(api) if item["slug"] == slug)["id"]


def why(**more):
    return {"justification": "The customer asked for it on the phone.", **more}


def test_a_change_of_plan_holds_once_it_is_confirmed(server):
    """On both databases, over the API."""
    api = server.sign_in(server.person("super_admin"))
    tenant = by_slug(api, "wexford-glass")
    plan = api.tenant(tenant)["plan"]
    preview = api.operate(f"tenants/{tenant}/change-plan?dry_run=true", input={"plan": "enterprise"}, **why()).json()
    assert preview["allowed"] and "by hand" in preview["consequence"]
    asked = api.operate(f"tenants/{tenant}/change-plan", input={"plan": "enterprise"}, **why())
    assert asked.status_code == 200 and asked.json()["undo"]["operation"] == "tenant.revert_change"
    now = api.tenant(tenant)
    assert now["plan"] == plan and now["desired"]["plan"]["value"] == "enterprise"
    assert now["desired"]["plan"]["state"] == "pending" and now["desired"]["plan"]["event_id"] == asked.json()["event_id"]
    twice = api.operate(f"tenants/{tenant}/change-plan", input={"plan": "starter"}, **why())
    assert twice.status_code == 409 and asked.json()["event_id"] in twice.json()["detail"]
    other = api.operate(f"tenants/{tenant}/confirm-change", input={"field": "plan", "value": "starter"}, **why())
    assert other.status_code == 409
    done = api.operate(f"tenants/{tenant}/confirm-change", input={"field": "plan", "value": "enterprise"}, **why())
    assert done.status_code == 200, done.text
    assert api.tenant(tenant)["plan"] == "enterprise" and "desired" not in api.tenant(tenant)
    # What the product alone reports is no route at all.
    assert api.operate(f"tenants/{tenant}/fail-change", input={"field": "plan"}, **why()).status_code == 404
    assert api.operate(f"tenants/{tenant}/mark-ready", **why()).status_code == 404

    # A name with a slip is found a few seconds after its words were made, by its first letters at once.
    def found(query):
        return [item["slug"] for item in api.get("search", params={"q": query}).json()["items"]]

    assert found("wexf") == ["wexford-glass"]
    postern.wait_until(lambda: found("wexfrod glas") == ["wexford-glass"], 30, "the words of names")
    assert found("galss wexford") == ["wexford-glass"] and found("qqqqqqqq") == []

    def plans():
        facets = api.get("tenant-facets").json()
        assert facets["as_of"]
        return {value["value"]: value["count"] for value in facets["facets"][1]["values"]}

    postern.wait_until(lambda: sum(plans().values()) == len(every(api)), 60, "the facets to be counted anew")
    postern.wait_until(lambda: plans()["enterprise"] == len(every(api, plan="enterprise")), 60, "the change to be counted")

    # Users, by page, tenant and beginning.
    first = api.get("users", params={"limit": 20}).json()
    assert len(first["items"]) == 20 and first["next_cursor"]
    second = api.get("users", params={"limit": 20, "cursor": first["next_cursor"]}).json()
    assert not {item["id"] for item in first["items"]} & {item["id"] for item in second["items"]}
    members = api.get("users", params={"tenant": "wexford-glass"}).json()["items"]
    assert {item["id"] for item in members} == {item["id"] for item in api.get(f"tenants/{tenant}/users").json()["items"]}
    one = members[0]
    assert [item["id"] for item in api.get("users", params={"q": one["email"]}).json()["items"]] == [one["id"]]
    assert api.get("users", params={"status": "gone"}).status_code == 422
    shown = api.get(f"users/{one['id']}").json()
    assert shown["memberships"][0]["tenant_id"] == tenant and shown["memberships"][0]["joined_at"]
    actions = [item["action"] for item in api.get(f"users/{one['id']}/activity").json()["items"]]
    assert "user.view" in actions and actions[-1] == "registry.import_batch"
    looked = api.get("audit-events", params={"action": "user.list", "limit": 1}).json()["items"]
    assert len(looked) == 1
    api.close()


def test_the_page_of_a_tenant_with_a_note_and_a_change_under_way(chromium, demo, api):
    boss = demo.person("super_admin", 0)
    tenant = by_slug(api, "lattice-software")
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(boss)
        window.go(f"/tenants/{tenant}")
        page.get_by_role("link", name="Set note…").click()
        window.heading("Set note: Lattice Software")
        page.get_by_label("Note").fill("Their auditor reads along.\nAda decides, nobody else.")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview")).to_contain_text("reads the note before")
        window.audit("the form of the note")
        page.get_by_role("button", name="Set note: Lattice Software").click()
        window.done("Set note: Lattice Software")

        window.go(f"/tenants/{tenant}/change-region?input.region=ap-south")
        page.get_by_label("Justification").fill("They want their data near them.")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview")).to_contain_text("No webhook tells your product of this")
        page.get_by_role("button", name="Change region: Lattice Software").click()
        window.done("Change region: Lattice Software")

        window.go(f"/tenants/{tenant}")
        expect(page.locator(".banner", has_text="Handle with care")).to_contain_text("Ada decides, nobody else.")
        under_way = page.locator(".banner", has_text="The region is to become ap-south.")
        expect(under_way).to_contain_text("Asked for by Jonas W.")
        # It can't be asked for again now, and the page says who can lift that.
        expect(page.get_by_role("group", name="Actions")).to_contain_text("a change to ap-south is under way")
        window.audit("a tenant with a note and a change under way")
        window.shot("tenant-change")
        under_way.get_by_role("link", name="Confirm…").click()
        window.heading("Confirm change: Lattice Software")
        expect(page.get_by_label("Field", exact=True)).to_have_value("region")
        page.get_by_label("Justification").fill("Looked it up in the product.")
        page.get_by_role("button", name="Preview").click()
        page.get_by_role("button", name="Confirm change: Lattice Software").click()
        window.done("Confirm change: Lattice Software")
        assert api.tenant(tenant)["region"] == "ap-south"
    # Without the permission nothing of it can be pressed.
    with Window(chromium, demo, scheme="dark") as window:
        window.sign_in(demo.person("support_l1"))
        window.go(f"/tenants/{tenant}")
        expect(window.page.locator("main")).to_contain_text("Ada decides, nobody else.")
        expect(window.page.get_by_role("link", name="Set note…")).to_have_count(0)
        window.audit("a tenant with a note, in the dark")


def test_ownership_moves_and_comes_back(chromium, demo, api):
    boss = demo.person("super_admin", 0)
    tenant = by_slug(api, "quill-accounting")
    members = api.get(f"tenants/{tenant}/users").json()["items"]
    owner = next(item for item in members if item["role"] == "owner")
    heir = next(item for item in members if item["role"] != "owner")
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(boss)
        window.go(f"/tenants/{tenant}/transfer-ownership")
        page.get_by_label("New owner").fill("nobody@example.com")
        page.get_by_label("Justification").fill("The founder has left the company.")
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("main")).to_contain_text("New owner is nobody known here.")
        page.get_by_label("New owner").fill(heir["email"])
        page.get_by_role("button", name="Preview").click()
        expect(page.locator("#preview")).to_contain_text("The present owner becomes an admin.")
        window.audit("the preview of a transfer")
        page.get_by_role("button", name="Transfer ownership: Quill Accounting").click()
        window.done("Transfer ownership: Quill Accounting")

        def roles():
            return {item["id"]: item["role"] for item in api.get(f"tenants/{tenant}/users").json()["items"]}

        assert roles()[heir["id"]] == "owner" and roles()[owner["id"]] == "admin"
        page.get_by_role("link", name="Undo").first.click()
        page.get_by_label("Justification").fill("It was too early.")
        page.get_by_role("button", name="Preview").click()
        page.get_by_role("button", name="Transfer ownership: Quill Accounting").click()
        window.done("Transfer ownership: Quill Accounting")
        assert roles()[owner["id"]] == "owner" and roles()[heir["id"]] == heir["role"]


def test_an_undo_that_would_take_a_slug_of_another_says_so(chromium, demo, api):
    """Its form draws no fields, so that what stands in the way of one stands in the preview."""
    def name(tenant, slug):
        version = api.tenant(tenant)["version"]
        done = api.operate(f"tenants/{tenant}/update", None, "They have another name.", {"slug": slug},
                           headers={"If-Match": f'"{version}"'})
        assert done.status_code == 200, done.text
        return done.json()["event_id"]

    first, second = (api.active_tenant(index) for index in (5, 6))
    event = name(first["id"], f"{first['slug']}-once")
    name(second["id"], first["slug"])
    with Window(chromium, demo) as window:
        window.sign_in(demo.person("super_admin"))
        window.go(f"/audit/{event}/undo")
        preview = window.page.get_by_role("region", name="Preview")
        expect(preview).to_contain_text("This can’t be done now.")
        expect(preview).to_contain_text(f'Slug is taken by "{second["name"]}"')
        expect(window.page.locator("main")).not_to_contain_text("needs another look")
        window.audit("an undo that can't be")
    name(second["id"], second["slug"])
    name(first["id"], first["slug"])


def test_views_are_saved_shared_and_found_again(chromium, demo, api):
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(demo.person("customer_success"))
        window.go("/tenants?status=expired&sort=name")
        expect(page.locator(".facets")).to_contain_text("as of")
        window.audit("the list with facets")
        window.shot("tenants-view")
        page.get_by_role("link", name="Save view").click()
        window.heading("Save view")
        expect(page.get_by_label("Filter")).to_have_value("status=expired&sort=name")
        page.get_by_label("Name").fill("Expired, by name")
        page.get_by_role("button", name="Preview").click()
        page.get_by_role("button", name="Save view").click()
        window.done("Save view: Expired, by name")
        window.go("/tenants")
        page.get_by_role("navigation", name="Saved views").get_by_role("link", name="Expired, by name").click()
        page.wait_for_url(f"{demo.url}/tenants?status=expired&sort=name")
        expect(page.get_by_role("navigation", name="Saved views").locator("[aria-current]")).to_have_text("Expired, by name")
        window.go("/segments")
        window.audit("saved views")
        page.get_by_role("link", name="Expired, by name", exact=True).click()
        window.heading("Expired, by name")
        window.audit("a saved view")
        page.get_by_role("link", name="Share view…").click()
        page.get_by_role("button", name="Preview").click()
        page.get_by_role("button", name="Share view: Expired, by name").click()
        window.done("Share view: Expired, by name")
    shared = [item for item in api.get("segments").json()["items"] if item["name"] == "Expired, by name"]
    assert [(item["filter"], item["shared"]) for item in shared] == [("status=expired&sort=name", True)]
    assert api.operate(f"segments/{shared[0]['id']}/delete").status_code == 409, "it is a colleague's"


def test_users_on_a_desk_and_on_a_phone(chromium, demo, api):
    with Window(chromium, demo) as window:
        page = window.page
        window.sign_in(demo.person("support_l1"))
        window.go("/users")
        window.heading("Users")
        window.audit("users")
        window.shot("users")
        page.get_by_label("E-mail begins with").fill("ada.")
        page.get_by_role("button", name="Filter").click()
        page.wait_for_url(re.compile(r"/users\?q=ada\."))
        rows = page.locator("tbody tr")
        expect(rows.first).to_be_visible()
        window.is_whole()
        assert all("ada." in text for text in rows.locator("td:nth-of-type(1)").all_inner_texts())
        rows.first.get_by_role("link").first.click()
        expect(page.get_by_role("heading", name="Tenants", exact=True)).to_be_visible()
        window.audit("a user")
        window.shot("user")
        window.go("/users?tenant=nobody-of-that-name")
        expect(page.get_by_role("alert")).to_contain_text("No tenant has the id or slug")
        window.audit("a filter that can't be used")
    with Window(chromium, demo, viewport=PHONE, scheme="dark") as window:
        page = window.page
        window.sign_in(demo.person("security"))
        for path in ("/users", "/audit", "/tenants"):
            window.go(path)
            expect(page.locator("#filters")).to_be_hidden()
            page.get_by_role("link", name="Filters").click()
            expect(page.locator("#filters")).to_be_visible()
            window.audit(f"{path} with its filters open on a phone")


def test_the_command_line_offers_a_near_name_and_never_takes_it(demo, api, tmp_path):
    def found():
        return [item["slug"] for item in api.get("search", params={"q": "oakline furnture"}).json()["items"]]

    postern.wait_until(lambda: found() == ["oakline-furniture"], 30, "the words of names")
    terminal = Terminal(demo, tmp_path).login(demo.person("super_admin", 1))
    user = terminal.json("user", "list", "--tenant", "oakline-furniture")["items"][0]
    shown = terminal.run("user", "show", user["email"])
    assert shown.returncode == 0 and user["id"] in shown.stdout, shown.stderr
    activity = terminal.run("user", "activity", user["id"])
    assert "user.view" in activity.stdout, activity.stderr
    table = terminal.run("user", "list", "--email", user["email"][:4])
    assert user["email"] in table.stdout
    near = terminal.run("tenant", "suspend", "oakline-furnture", "--reason-code", "abuse", "--justification",
                        "Nobody should do this.", "--yes")
    assert near.returncode == 6 and "Did you mean oakline-furniture?" in near.stderr, near.stderr
    # Nor the only one that begins like this, nor the one a person belongs to.
    for text in ("oakline-furnit", user["email"], user["external_id"]):
        told = terminal.run("tenant", "suspend", text, "--reason-code", "abuse", "--justification",
                            "Nobody should do this.", "--yes")
        assert told.returncode == 6 and "oakline-furniture" in told.stderr.lower(), told.stderr
    assert api.tenant(by_slug(api, "oakline-furniture"))["status"] == "active"


def test_an_invitation_that_is_renewed_makes_nothing(demo, api):
    body = {"email": "renewed@company.example", "name": "Renewed", "roles": ["support_l1"]}
    first = api.operate("staff", input=body, **why(ticket="HR-7"))
    assert first.status_code in (201, 202), first.text
    if first.status_code == 201:
        again = api.operate("staff", input=body, **why(ticket="HR-7"))
        assert again.status_code == 200 and "Location" not in again.headers
    assert httpx.get(f"{demo.url}/readyz").status_code == 200


def test_who_reads_the_log_and_sees_no_tenants_looks_up_events(chromium, demo):
    person = next(p for p in demo.people() if p["roles"] == ["compliance"])
    reader = demo.sign_in(person)
    event = reader.get("audit-events", params={"limit": 1}).json()["items"][0]["id"]
    reader.close()
    with Window(chromium, demo) as window:
        window.sign_in(person)
        box = window.page.get_by_role("searchbox", name=re.compile("^Search events"))
        box.fill(event)
        box.press("Enter")
        window.page.wait_for_url(f"**/audit/{event}")
        window.go("/search?q=acme")
        expect(window.page.locator("main")).to_contain_text("your roles do not hold tenant.view")
        window.audit("a search that finds nothing")
