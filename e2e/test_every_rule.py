"""Every approval rule that ships, as its people meet it: two servers on one PostgreSQL, a browser window for each person, and between
the servers at every turn. One row is one rule: somebody fills the form and reads who could sign; whoever must be refused is refused
by the API, and sees why there is no button; each kind of approver agrees or rejects; then it is carried out, or waits for its time.
What pages say hangs on who signs, not on what is asked for: of rules with the same approvers, those who are refused and those who
reject meet the first one in their windows and the others over the API.

With POSTERN_SCREENSHOTS=1 every step is also a picture in `postern-every-rule` below the system's directory for temporary files."""
import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import httpx
import postern
import psycopg
import pytest
from browser import DESK, Window
from passkeys import VirtualAuthenticator
from playwright.sync_api import expect
from test_passkeys import add
from test_scim import entra_user, patch
from test_setup import enrol

# Which half of the run these tests belong to.
HALF = "postgres"

PICTURES = Path(tempfile.gettempdir()) / "postern-every-rule"
POCKET = {"width": 380, "height": 800}
WHY = "Agreed with the team in today's stand-up."
AGREED = "Spoke to them, and it is right."
NO = "Not before the audit is over."


# ---- what whoever must be refused is told ------------------------------------------------------------------------


@dataclass(frozen=True)
class Refusal:
    status: int
    problem: str
    says: str
    # What the request's page shows: `off` a button with the reason, `words` the reason alone, `none` no page at all.
    page: str


OWN = Refusal(409, "conflict", "You asked for this yourself", "words")
NOT_ASKED = Refusal(403, "permission-missing", "None of your roles signs this request", "words")
STRANGER = Refusal(403, "permission-missing", "None of your roles signs this request", "none")
MADE_BY_THEM = Refusal(409, "conflict", "by the person who asks, so you can't sign for them until", "off")
MADE_THEM = Refusal(409, "conflict", "invited the requester", "off")
SIGNED = Refusal(409, "conflict", "You signed this request", "off")


# ---- the rules ---------------------------------------------------------------------------------------------------


@dataclass
class Row:
    """How one rule is met."""
    form: str
    # Who asks, one after the other.
    asks: tuple
    # Each kind of approver, and who it is here.
    signs: dict
    # Who is refused, and how.
    refused: dict
    # What is filled in, the first time and the second time and so on.
    inputs: list
    # The object it is about: answers its id for the first time, the second time and so on.
    on: Callable = None
    reason: str = None
    ticket: str = None
    # What is shown once to whoever asked.
    reveals: str = None
    # What is to be so afterwards.
    then: Callable = field(default=lambda company, id: None)


def staff(*mailboxes):
    return lambda company, time: company.staff[mailboxes[time]]


def these(*ids):
    return lambda company, time: ids[time]


def review(company, time):
    made = company.api("samir").operate("access-reviews", None, "A look at the roles of billing.", {"roles": ["billing_ops"]})
    assert made.status_code == 201, made.text
    return made.json()["after"]["id"]


def role_that_waits(company, time):
    """The provider puts somebody new into a group that stands for a role of power."""
    made = company.provider.post("Users", json=entra_user(("wiebke", "yusuf")[time]))
    assert made.status_code == 201, made.text
    member = {"op": "Add", "path": "members", "value": [{"value": made.json()["id"]}]}
    assert patch(company.provider, "Groups/compliance", member).status_code == 200
    return made.json()["id"]


def archived(company, time):
    return company.archived[time]


def drifted(company, time):
    return company.drifted[time]


def customer(company, time):
    return company.customers[time]["slug"]


def is_erased(company, id):
    """What the log held of the customer went with it, also what the deletion itself recorded."""
    assert company.api("jonas").tenant(id)["status"] == "deleted"
    samir = company.api("samir")
    (done,) = samir.get("audit-events", params={"action": "tenant.hard_delete", "target": id, "class": "mutation"}).json()["items"]
    (erasure,) = samir.get("audit-events", params={"action": "erasure.completed", "target": id}).json()["items"]
    sealed = samir.get(f"audit-events/{done['id']}").json()["sealed"]
    for member in ("justification", "details", "changes.0.before"):
        assert sealed[member] == {"erased_by": erasure["id"]}, sealed


def is_open(company, id):
    """The emergency stands in red on every page of its opener's; it is ended, and reviewed by somebody who had no part in it."""
    jonas, samir = company.api("jonas"), company.api("samir")
    (session,) = jonas.get("breakglass-sessions?state=open").json()["items"]
    company.desk("jonas").go("/")
    expect(company.desk("jonas").page.locator('.app[data-frame="red"]')).to_have_count(1)
    assert jonas.operate(f"breakglass-sessions/{session['id']}/end").status_code == 200
    looked = samir.operate(f"breakglass-sessions/{session['id']}/review", None, "Read every event of it.", {
        "verdict": "justified", "findings": "Right to open it, and nothing is left to mend."})
    assert looked.status_code == 200, looked.text


# Whom Jonas can't have sign: himself, whom he invited, who holds another role, and who holds none that signs anything.
BY_SECURITY = {"jonas": OWN, "vera": MADE_BY_THEM, "hana": NOT_ASKED, "tomas": STRANGER}
BY_EITHER = {"jonas": OWN, "vera": MADE_BY_THEM, "ruth": NOT_ASKED, "tomas": STRANGER}
SECURITY = {"security": "samir"}
EITHER = {"super_admin": "hana", "security": "samir"}
# Samir asks these, so that Vera can be the other one of security.
THREE = {"super_admin": "hana", "security": "vera", "compliance": "ruth"}

ROWS = {
    "policy_change_rule": Row(
        "/approval-rules/{}/change-rule", ("jonas",), SECURITY, BY_SECURITY, on=these("bulk_broadcast", "bulk_invite"), inputs=[
            {"condition": "always", "demand": "head_of_cs", "window_minutes": 720, "cooldown_minutes": 0,
             "summary": "Writing to many customers"},
            {"condition": "always", "demand": "holder of team.reinvite", "window_minutes": 720, "cooldown_minutes": 0,
             "summary": "A bulk run"}]),
    "policy_add_rule": Row(
        "/approval-rules/new", ("jonas",), SECURITY, BY_SECURITY, inputs=[
            {"code": f"tenant_{verb}_enterprise", "operation": f"tenant.{verb}", "condition": "tier = enterprise",
             "demand": "head_of_cs", "window_minutes": 1440, "cooldown_minutes": 0, "summary": "An Enterprise tenant"}
            for verb in ("archive", "suspend")]),
    "policy_change_role": Row(
        "/roles/{}/change-role", ("jonas",), SECURITY, BY_SECURITY, on=these("customer_success", "customer_success"),
        inputs=[{"take_away": ["onboarding.reset"]}, {"give": ["flag.view"]}]),
    "policy_set_limit": Row(
        "/role-permissions/{}/set-limit", ("jonas",), SECURITY, BY_SECURITY,
        on=these("support_l2:tenant.credit", "support_l2:tenant.credit"),
        inputs=[{"currency": "USD", "amount": 6000, "daily": 12000}, {"currency": "EUR", "amount": 5000, "daily": 5000}]),
    "policy_set_rate": Row(
        "/exchange-rates/{}/set-rate", ("jonas",), SECURITY, BY_SECURITY, on=these("EUR", "GBP"),
        inputs=[{"rate": "1.0834"}, {"rate": "1.2712"}]),
    "policy_change_separation": Row(
        "/roles/{}/change-separation", ("jonas",), SECURITY, BY_SECURITY, on=these("finance_lead", "finance_lead"), inputs=[
            {"role": "engineering_oncall", "held": "apart", "summary": "Spending, and agreeing to it"},
            {"role": "engineering_oncall", "held": "together"}]),
    "staff_invite": Row(
        "/staff/new", ("jonas",), EITHER, BY_EITHER, ticket="HR-31", reveals=r"/enrol\?token=", inputs=[
            {"email": "otto.o@northwind.example", "name": "Otto O.", "roles": ["support_l1"]},
            {"email": "pia.p@northwind.example", "name": "Pia P.", "roles": ["support_l1"]}]),
    "staff_reset_factors": Row(
        "/staff/{}/reset-factors", ("jonas",), EITHER, BY_EITHER, on=staff("keiko.t", "dele.a"), inputs=[{}, {}], reason="lost",
        reveals=r"/enrol\?token="),
    "staff_grant_role": Row(
        "/staff/{}/grant-role", ("jonas",), EITHER, BY_EITHER, on=staff("noor.h", "mira.o"), ticket="HR-32",
        inputs=[{"role": "legal"}, {"role": "engineering_oncall"}]),
    "staff_change_roles": Row(
        "/staff/{}/change-roles", ("jonas",), EITHER, BY_EITHER, on=staff("priya.s", "mira.o"), ticket="HR-33", inputs=[
            {"grant": ["incident_commander"]}, {"grant": ["customer_success"], "revoke": ["support_l2"]}]),
    "staff_accept_grant": Row(
        "/staff/{}/accept-grant", ("jonas",), EITHER, BY_EITHER, on=role_that_waits, ticket="HR-34",
        inputs=[{"role": "compliance"}, {"role": "compliance"}]),
    "scim_token": Row(
        "/scim-tokens/new", ("jonas",), EITHER, BY_EITHER, reveals="psc_", inputs=[{"name": "Okta"}, {"name": "OneLogin"}]),
    "service_account": Row(
        "/service-accounts/new", ("vera",), EITHER, reveals="psa_",
        refused={"vera": OWN, "jonas": MADE_THEM, "ruth": NOT_ASKED, "tomas": STRANGER},
        inputs=[{"kind": kind, "name": name, "scopes": ["tenant.view"]}
                for kind, name in (("service", "Nightly report"), ("assistant", "Helper"))]),
    "discrepancy_adopt": Row(
        "/discrepancies/{}/adopt", ("jonas",), EITHER, BY_EITHER, on=drifted, reason="data_repair", inputs=[{}, {}]),
    "access_review_cancel": Row(
        "/access-reviews/{}/cancel", ("samir",), THREE, {"samir": OWN, "tomas": STRANGER}, on=review, reason="mistake",
        inputs=[{}, {}, {}]),
    "access_review_plan": Row(
        "/access-review-plans/{}/change", ("samir",), THREE, {"samir": OWN, "tomas": STRANGER},
        on=these(*["standing"] * 3), inputs=[{"days_until_due": days} for days in (30, 40, 50)]),
    "tenant_hard_delete": Row(
        "/tenants/{}/hard-delete", ("jonas",), {"super_admin": "hana"},
        {"jonas": OWN, "samir": NOT_ASKED, "tomas": STRANGER}, on=archived, reason="gdpr_erasure_request", ticket="LEG-31",
        inputs=[{}, {}], then=is_erased),
    "breakglass": Row(
        "/breakglass-sessions/new", ("jonas", "hana"), {"super_admin": "hana", "the other one": "jonas"},
        {"jonas": OWN, "samir": NOT_ASKED, "tomas": STRANGER}, reason="outage", ticket="INC-31",
        inputs=[{"tenant": 0}, {"tenant": 1}], then=is_open),
}

# Nobody asks for these in person; what asks, and the test that goes through it.
ELSEWHERE = {
    "tenant_hard_delete_policy": "the retention policy asks; test_what_the_retention_policy_asks_for_takes_two",
}


# ---- the people --------------------------------------------------------------------------------------------------


class Desk(Window):
    """One person's browser, which goes to either server."""

    def __init__(self, browser, servers, person, **look):
        self.servers = servers
        self.person = person
        self.device = None
        self.has_proven = False
        super().__init__(browser, servers[0], **look)

    def go(self, path):
        self.page.goto(self.server.url + path)
        return self.page

    def requested(self, request):
        if not request.url.startswith((*(server.url for server in self.servers), "data:", "blob:", "chrome")):
            self.troubles.append(f"a request leaves the machine: {request.url}")

    def look(self, what):
        (self.device or self).audit(what)

    def picture(self, name):
        if os.environ.get("POSTERN_SCREENSHOTS") == "1":
            PICTURES.mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    def press(self, name):
        """A button that wants a fresh factor where the page says so; a passkey where there is one."""
        page = self.page
        # What is asked for comes last on the page.
        expect(page.get_by_role("button", name="Preview again")).to_be_visible()
        self.is_whole()
        signed = page.get_by_role("button", name=re.compile("with passkey$"))
        if self.device and signed.count():
            return signed.click()
        code = page.get_by_label("Code from your authenticator")
        if code.count():
            code.fill(self.server.authenticator(self.person).next())
        page.get_by_role("button", name=re.compile(name)).click()


LOOKS = {"ruth": {"scheme": "dark"}, "samir": {"viewport": POCKET}, "vera": {"viewport": POCKET, "scheme": "dark"}}


class Company:
    """Both servers, everybody's window and everybody's way to the API; what the rows need is there."""

    def __init__(self, chromium, servers):
        self.servers = servers
        self.chromium = chromium
        self.desks = {}
        self.calls = {}
        # What was met in a window already.
        self.met = set()
        first = servers[0]
        self.people = {
            "jonas": first.person("super_admin"), "hana": first.person("super_admin", 1), "samir": first.person("security"),
            "ruth": first.person("compliance"), "tomas": first.person("support_l1")}
        jonas = self.api("jonas")
        self.rules = {rule["id"]: rule for rule in self.all("approval-rules")}
        self.operations = {one["name"]: one for one in jonas.get("operations").json()["items"]}
        self.customers = jonas.tenants(status="active", limit=40)
        invited = self.agreed("jonas", "samir", "staff", ticket="HR-30", input={
            "email": "vera.v@northwind.example", "name": "Vera V.", "roles": ["security"]})
        # The link leads to the server that carried the invitation out.
        link = invited["enrolment_link"]
        self.people["vera"] = enrol(next(server for server in servers if link.startswith(server.url)), link)
        token = self.agreed("jonas", "samir", "scim-tokens", input={"name": "Entra ID"})["token"]
        self.provider = httpx.Client(base_url=f"{servers[1].url}/scim/v2/", timeout=60, headers={
            "Authorization": f"Bearer {token}", "Content-Type": "application/scim+json", "User-Agent": "provider/1.0"})
        self.names = {one["email"].split("@")[0]: one["name"] for one in self.all("staff")}
        self.staff = {one["email"].split("@")[0]: one["id"] for one in self.all("staff")}
        self.drift()
        self.make_old()

    def drift(self):
        """Two roles that somebody renamed beside the log. A server looks for such rows when it starts."""
        titles = {one["id"]: one["title"] for one in self.all("roles")}
        self.titles = {id: titles[id] for id in ("executive", "legal")}
        for id in self.titles:
            self.past("UPDATE roles SET title = 'Renamed by hand' WHERE id = %s", id)
        self.servers[1].stop()
        self.servers[1].start()

        def cases():
            found = self.api("jonas").get("discrepancies", params={"state": "open", "limit": 100}).json()["items"]
            ids = [one["id"] for one in found if one["row_type"] == "role"]
            return ids if len(ids) == len(self.titles) else None

        self.drifted = postern.wait_until(cases, 30, "the sweep to find both")

    def make_old(self):
        """Tenants archived for 90 days. Time can't be moved from outside; the rows can, past the guards, by whoever owns the
        database. Of one that was suspended before, the retention policy asks nothing: people do."""
        jonas = self.api("jonas")
        self.archived, self.kept = [one["id"] for one in self.customers[10:12]], [one["id"] for one in self.customers[12:14]]
        for tenant in self.archived:
            assert jonas.suspend(tenant).status_code == 200
        for tenant in self.archived + self.kept:
            left = jonas.operate(f"tenants/{tenant}/archive", "customer_departed", "Left, and the data was handed over.")
            assert left.status_code == 200, left.text
        self.eligible = {id: jonas.tenant(id)["deletion_eligible_at"] for id in self.archived + self.kept}
        self.past("UPDATE tenants SET deletion_eligible_at = (extract(epoch FROM now()) - 86400) * 1000000 WHERE id = ANY(%s)",
                  self.archived + self.kept)

    def put_back(self):
        """What was moved is as the log says again: verification finds every row that is not."""
        for id, time in self.eligible.items():
            self.past("UPDATE tenants SET deletion_eligible_at = extract(epoch FROM %s::timestamptz) * 1000000 "
                      "WHERE id = %s AND status = 'archived'", time, id, least=0)
        for id, title in self.titles.items():
            self.past("UPDATE roles SET title = %s WHERE id = %s AND EXISTS (SELECT 1 FROM discrepancies "
                      "WHERE row_type = 'role' AND row_id = roles.id AND state = 'open')", title, id, least=0)

    def past(self, sql, *values, least=1):
        with psycopg.connect(self.servers[0].database.url, autocommit=True) as db:
            db.execute("SET session_replication_role = replica")
            assert db.execute(sql, values).rowcount >= least

    def all(self, path):
        items, cursor = [], None
        while True:
            page = self.api("jonas").get(path, params={"limit": 100} | ({"cursor": cursor} if cursor else {})).json()
            items, cursor = items + page["items"], page["next_cursor"]
            if not cursor:
                return items

    def agreed(self, who, signer, path, **request):
        """What was asked for and agreed to, past the browser; answers what is shown once."""
        asked = self.api(who).operate(path, justification=WHY, **request)
        assert asked.status_code == 202, asked.text
        approval = asked.json()["approval_id"]
        done = self.api(signer).operate(f"approvals/{approval}/approve", None, AGREED)
        assert done.status_code == 200 and done.json()["execution"]["state"] == "executed", done.text
        shown = self.api(who).post(f"/api/v1/approvals/{approval}/reveal", json={})
        assert shown.status_code == 200, shown.text
        return shown.json()["reveal"]

    def api(self, name):
        if name not in self.calls:
            server = self.servers[len(self.calls) % 2] if name != "jonas" else self.servers[0]
            self.calls[name] = server.sign_in(self.people[name])
        return self.calls[name]

    def desk(self, name, server=None):
        """The person's window, from now on at this server."""
        if name not in self.desks:
            desk = Desk(self.chromium, self.servers, self.people[name], **LOOKS.get(name, {"viewport": DESK}))
            desk.server = self.servers[len(self.desks) % 2]
            desk.sign_in(desk.person)
            if name == "hana":
                # She agrees with a passkey, the others with a code.
                desk.device = VirtualAuthenticator(desk)
                add(desk, "Hana’s laptop")
            self.desks[name] = desk
        if server:
            self.desks[name].server = server
        return self.desks[name]

    def is_new(self, *what):
        """The first time."""
        is_new = what not in self.met
        self.met.add(what)
        return is_new

    def name(self, who):
        return self.names[self.people[who]["email"].split("@")[0]]

    def state(self, approval):
        return self.api("jonas").get(f"approvals/{approval}").json()["state"]


@pytest.fixture(scope="module")
def company(chromium, home, admin_url):
    database = postern.PostgresDatabase(admin_url)
    first = postern.Server(home / "rules-a", database, POSTERN_REQUEST_DELETION="true")
    second = None
    try:
        first.start()
        second = postern.beside(first, home / "rules-b")
        second.settings["POSTERN_STAFF_URL"] = second.url
        second.start()
        made = Company(chromium, [first, second])
        yield made
        made.provider.close()
        for desk in made.desks.values():
            desk.close()
        for call in made.calls.values():
            call.close()
        made.put_back()
        verified = first.run("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
    finally:
        for server in (second, first):
            if server:
                server.kill()
        database.drop()


# ---- the steps ---------------------------------------------------------------------------------------------------


TITLES = {"billing_ops": "Billing operations", "compliance": "Compliance", "executive": "Executive", "finance_lead": "Finance lead",
          "head_of_cs": "Head of customer success", "incident_commander": "Incident commander", "security": "Security",
          "super_admin": "Super admin", "tenant_csm": "Customer success manager"}


def leaves(demand):
    """The roles and permissions that a demand names."""
    if "role" in demand:
        return set(demand["role"])
    if "permission" in demand:
        return {demand["permission"]}
    return {leaf for one in demand["all_of"] for leaf in leaves(one)}


def sentence(demand):
    """A demand as pages say it: equal leaves are counted."""
    if "role" in demand:
        return "1 person with " + " or ".join(TITLES[role] for role in demand["role"])
    if "permission" in demand:
        return f"1 holder of {demand['permission']}"
    parts = [sentence(one) for one in demand["all_of"]]
    return " and ".join(
        part if parts.count(part) == 1 else part.replace("1 person", f"{parts.count(part)} people", 1)
        for part in dict.fromkeys(parts))


def fill(page, input):
    for name, value in input.items():
        control = page.locator(f'[name="input.{name}"]')
        if control.first.get_attribute("type") == "checkbox":
            for one in value:
                page.locator(f'input[name="input.{name}"][value="{one}"]').check()
        elif control.evaluate("one => one.tagName") == "SELECT":
            control.select_option(str(value))
        else:
            control.fill("\n".join(value) if isinstance(value, list) else str(value))


class Walk:
    """One rule, from asking to the end."""

    def __init__(self, company, id, row, time):
        self.company, self.id, self.row, self.time = company, id, row, time
        self.rule = company.rules[id]
        # Who asks is at one server, everybody else at the other; the next time the other way round.
        self.here, self.there = company.servers
        company.servers.reverse()
        self.asker = row.asks[time % len(row.asks)]
        self.signer = list(row.signs.values())[time % len(row.signs)]
        self.target = row.on(company, time) if row.on else None
        self.path = row.form.format(self.target)
        self.input = dict(row.inputs[time])
        if isinstance(self.input.get("tenant"), int):
            self.input["tenant"] = customer(company, self.input["tenant"])

    def picture(self, desk, step):
        desk.picture(f"{self.id}-{self.time + 1}-{step}")

    # ---- asking

    def ask(self):
        """As whoever asks: the form, what the preview says of it, and the request with a fresh factor."""
        row, company = self.row, self.company
        desk = company.desk(self.asker, self.here)
        page = desk.page
        for name in set(row.signs.values()) - {self.asker}:
            # Who was here lately is named to whoever asks.
            company.desk(name, self.there)
        desk.go(self.path)
        fill(page, self.input)
        if row.reason:
            page.locator('select[name="reason_code"]').select_option(row.reason)
        if row.ticket:
            page.get_by_role("textbox", name="Ticket").fill(row.ticket)
        page.get_by_label("Justification").fill(WHY)
        self.picture(desk, "1-form")
        if not desk.has_proven:
            company.past("UPDATE sessions SET mfa_at = mfa_at - 600000000 WHERE ended_at IS NULL AND client = 'console' "
                         "AND staff_id = (SELECT id FROM staff WHERE email = %s)", desk.person["email"])
        page.get_by_role("button", name="Preview").click()
        preview = page.get_by_role("region", name="Preview")
        expect(preview).to_contain_text("Who must agree")
        expect(preview).to_contain_text(sentence(self.rule["demand"]))
        expect(preview).to_contain_text(self.rule["summary"])
        if self.rule["cooldown_seconds"]:
            expect(preview).to_contain_text("It then waits 1 day before it runs.")
        # Those who could sign are named, and nobody else is.
        named = preview.locator("p").filter(has_text="able to sign")
        for name in set(row.signs.values()) - {self.asker}:
            expect(named).to_contain_text(company.name(name))
        for name in row.refused:
            expect(named).not_to_contain_text(company.name(name))
        if not desk.has_proven:
            expect(page.get_by_label("Code from your authenticator")).to_be_visible()
            desk.has_proven = True
        desk.is_whole()
        confirm = page.get_by_label(re.compile("^Type "))
        if confirm.count():
            confirm.fill(company.api("jonas").tenant(self.target)["slug"])
        desk.look(f"{self.id}: what would happen")
        self.picture(desk, "2-preview")
        desk.press("^Ask to ")
        desk.heading("waiting for approval")
        expect(page.locator("main")).to_contain_text("Nothing has been changed yet.")
        self.picture(desk, "3-waits")
        page.get_by_role("link", name="See the request").click()
        page.wait_for_url(re.compile("/approvals/apr_"))
        expect(page.locator("main .title .chip")).to_have_text("Waiting")
        # Called by its name, not by its id.
        expect(page.get_by_role("heading", level=1)).not_to_have_text(re.compile(r"_[0-9A-Z]{26}"))
        self.picture(desk, "4-asked")
        return page.url.rsplit("/", 1)[-1]

    def ask_by_api(self):
        row = self.row
        path = self.path.removeprefix("/").removesuffix("/new")
        asked = self.company.api(self.asker).operate(path, row.reason, WHY, self.input, row.ticket)
        assert asked.status_code == 202, asked.text
        return asked.json()["approval_id"]

    # ---- being refused

    def refuse(self, name, refusal, approval):
        """As somebody who must not sign it: it is refused, and the page says why."""
        self.refuse_by_api(name, refusal, approval)
        if not self.company.is_new("refused", name, refusal, *self.row.signs.items()):
            return
        desk = self.company.desk(name, self.there)
        page = desk.page
        desk.go(f"/approvals/{approval}")
        expect(page.get_by_role("link", name="Approve…")).to_have_count(0)
        main = page.locator("main")
        if refusal.page == "none":
            desk.heading("You may not do this")
            expect(main).to_contain_text("none of your roles signs it. It needs ")
        elif refusal.page == "off":
            off = page.locator("details.off").filter(has=page.locator("summary", has_text="Approve"))
            off.locator("summary").click()
            expect(off.locator(".pop")).to_contain_text(refusal.says)
        elif refusal is OWN:
            expect(main).to_contain_text("You asked for this, so somebody else must agree.")
            expect(page.get_by_role("link", name="Reject…")).to_have_count(0)
        else:
            expect(main).to_contain_text("None of your roles signs this")
            expect(page.get_by_role("group", name="Actions")).to_have_count(0)
        self.picture(desk, f"5-refused-{name}")

    def refuse_by_api(self, name, refusal, approval):
        answer = self.company.api(name).operate(f"approvals/{approval}/approve", None, AGREED)
        problem = answer.json()
        assert answer.status_code == refusal.status and refusal.says in problem["detail"], (name, answer.text)
        assert problem["type"] == f"/problems/{refusal.problem}", (name, answer.text)

    # ---- deciding

    def open(self, name, approval):
        """As somebody who is asked: from the inbox the first time, then from the list."""
        desk = self.company.desk(name, self.there)
        page = desk.page
        way = "/inbox" if self.time == 0 else "/approvals"
        link = page.locator("main").locator(f'a[href="/approvals/{approval}"]').first
        postern.wait_until(lambda: desk.go(way) and link.count(), 30, f"the request in {way} of {name}")
        self.picture(desk, f"6-{way[1:]}-{name}")
        link.click()
        page.wait_for_url(re.compile(approval))
        expect(page.locator("main")).to_contain_text(sentence(self.rule["demand"]))
        expect(page.get_by_role("link", name="Approve…")).to_be_visible()
        # Of those who reject it was looked at as of those who agree.
        if self.time == 0:
            desk.look(f"{self.id}: a request to sign")
        self.picture(desk, f"7-asked-{name}")
        return desk

    def approve(self, name, approval, outlook):
        desk = self.open(name, approval)
        page = desk.page
        page.get_by_role("link", name="Approve…").click()
        page.get_by_label("Justification").fill(AGREED)
        page.get_by_role("button", name=re.compile("^Preview")).click()
        expect(page.get_by_role("region", name="Preview")).to_contain_text(outlook)
        self.picture(desk, f"8-agreeing-{name}")
        desk.press("^Approve")
        page.wait_for_url(re.compile(f"/approvals/{approval}$"))
        signed = page.get_by_role("region", name="Signatures").get_by_role("row").filter(has_text=self.company.name(name))
        expect(signed).to_contain_text("Agreed")
        self.picture(desk, f"9-agreed-{name}")
        return desk

    def reject(self, name, approval):
        """It could be approved: the preview says so. It is rejected, and whoever asked reads why."""
        desk = self.open(name, approval)
        page = desk.page
        page.get_by_role("link", name="Approve…").click()
        page.get_by_role("button", name="Preview", exact=True).click()
        expect(page.get_by_role("region", name="Preview")).to_contain_text("This is the last signature it needs")
        desk.go(f"/approvals/{approval}")
        page.get_by_role("link", name="Reject…").click()
        page.get_by_label("Justification").fill(NO)
        page.get_by_role("button", name=re.compile("^Preview")).click()
        desk.press("^Reject")
        page.wait_for_url(re.compile(f"/approvals/{approval}$"))
        expect(page.locator("main .title .chip")).to_have_text("Rejected")
        expect(page.locator("main")).to_contain_text(f"{self.company.name(name)} rejected it.")
        self.picture(desk, f"8-rejected-{name}")
        reader = self.company.desk(self.asker, self.here)
        reader.go(f"/approvals/{approval}")
        expect(reader.page.locator("main")).to_contain_text(NO)
        self.picture(reader, "9-told")

    def reject_by_api(self, name, approval):
        """It could be approved: a preview says so. It is rejected, and whoever asked reads why."""
        signer, asker = self.company.api(name), self.company.api(self.asker)
        could = signer.operate(f"approvals/{approval}/approve?dry_run=true", None, AGREED, key=None)
        assert could.status_code == 200 and could.json()["allowed"], could.text
        assert "This is the last signature it needs" in could.text, could.text
        done = signer.operate(f"approvals/{approval}/reject", None, NO)
        assert done.status_code == 200, done.text
        assert asker.get(f"approvals/{approval}").json()["ending"] == NO

    # ---- the end

    def carried_out(self, approval):
        company = self.company
        postern.wait_until(lambda: company.state(approval) == "executed", 30, "the request to be carried out")
        done = company.api("jonas").get(f"approvals/{approval}").json()
        event = company.api("samir").get(f"audit-events/{done['outcome_event_id']}").json()["leaf"]
        assert event["outcome"] == "applied" and event["approval_id"] == approval
        assert event["action"] == done["operation"] and event["actor"]["id"] == company.api(self.asker).id
        desk = company.desk(self.asker, self.here)
        page = desk.page
        desk.go(f"/approvals/{approval}")
        expect(page.locator("main .title .chip")).to_have_text("Done")
        if self.row.reveals:
            page.get_by_role("button", name="Show it now").click()
            desk.heading(", shown once$")
            expect(page.locator("main")).to_contain_text(re.compile(self.row.reveals))
            self.picture(desk, "10-shown")
        else:
            self.picture(desk, "10-done")
        self.row.then(company, self.target)

    def waits_for_its_time(self, approval):
        """Everybody agreed who must; it is carried out a day later, which is made to have passed."""
        company = self.company
        desk = company.desk(self.asker, self.here)
        desk.go(f"/approvals/{approval}")
        expect(desk.page.locator("main .title .chip")).to_have_text("Scheduled")
        expect(desk.page.locator("main")).to_contain_text("Until then it can be cancelled.")
        self.picture(desk, "9-scheduled")
        assert company.state(approval) == "scheduled"
        company.past("UPDATE approvals SET execute_at = created_at WHERE id = %s", approval)


@pytest.mark.parametrize("rule", list(ROWS))
def test_a_rule_as_its_people_meet_it(company, rule):
    row = ROWS[rule]
    times = max(2, len(row.signs))
    for time in range(times):
        walk = Walk(company, rule, row, time)
        if time == 0:
            approval = walk.ask()
            for name, refusal in row.refused.items():
                walk.refuse(name, refusal, approval)
        else:
            approval = walk.ask_by_api()
        if time == times - 1:
            is_new = company.is_new("rejected", walk.signer, *row.signs.items())
            (walk.reject if is_new else walk.reject_by_api)(walk.signer, approval)
            assert company.state(approval) == "rejected"
            continue
        is_later = bool(walk.rule["cooldown_seconds"])
        walk.approve(walk.signer, approval,
                     "This is the last signature it needs: Postern then carries it out by itself"
                     + (" at " if is_later else ", at once."))
        if is_later:
            walk.waits_for_its_time(approval)
        walk.carried_out(approval)


def test_what_the_retention_policy_asks_for_takes_two(company):
    """Nobody asks for it in person, so that two super admins sign: each for a leaf of their own, and nobody twice. Signed by both
    it waits for a day, within which either takes it back."""
    def asked(tenant):
        waiting = company.api("jonas").get("approvals", params={"view": "asking", "limit": 100}).json()["items"]
        return [one["id"] for one in waiting if one["target"] and one["target"]["id"] == tenant]

    first, second = (postern.wait_until(lambda: asked(tenant), 90, "the policy to ask")[0] for tenant in company.kept)
    walk = Walk(company, "tenant_hard_delete_policy", Row("", ("the policy",), {"super_admin": "jonas"}, {}, inputs=[{}]), 0)
    walk.refuse("samir", NOT_ASKED, first)
    # What both rules ask for is said once.
    expect(company.desk("samir").page.locator("main")).to_contain_text("It needs 2 people with Super admin.")
    walk.refuse("tomas", STRANGER, first)
    walk.approve("jonas", first, "With this signature it still needs 1 person with Super admin.")
    assert company.state(first) == "pending"
    walk.refuse("jonas", SIGNED, first)
    walk.here, walk.there = walk.there, walk.here
    hana = walk.approve("hana", first, "This is the last signature it needs: Postern then carries it out by itself at ")
    expect(hana.page.locator("main .title .chip")).to_have_text("Scheduled")
    # Whoever signed it takes it back.
    jonas = company.desk("jonas", walk.here)
    page = jonas.page
    jonas.go(f"/approvals/{first}")
    page.get_by_role("link", name=re.compile("^Cancel their request")).click()
    page.get_by_label("Justification").fill("They are coming back after all.")
    page.get_by_role("button", name=re.compile("^Preview")).click()
    jonas.press("^Cancel")
    page.wait_for_url(re.compile(f"/approvals/{first}$"))
    expect(page.locator("main .title .chip")).to_have_text("Cancelled")
    expect(page.locator("main .banner")).to_contain_text("They are coming back after all.")
    walk.picture(jonas, "10-cancelled")
    assert company.api("jonas").tenant(company.kept[0])["status"] == "archived"

    no = company.api("jonas").operate(f"approvals/{second}/reject", None, NO)
    assert no.status_code == 200 and company.state(second) == "rejected", no.text


def test_no_rule_is_left_out(company):
    """What ships is gone through above. A rule about what the console can't do yet is met by nobody."""
    def is_met(rule):
        pattern = rule["operation"]
        return any(name == pattern or (pattern.endswith(".*") and name.startswith(pattern[:-1])) for name in company.operations)

    assert {id for id, rule in company.rules.items() if is_met(rule)} == set(ROWS) | set(ELSEWHERE)
    # Each role of a demand has somebody who signed for it.
    for id, row in ROWS.items():
        assert leaves(company.rules[id]["demand"]) <= set(row.signs), id
