"""Emergencies and access reviews as people are told of them: by mail through a real mail server, once for each event, and in their
inboxes, from where they lead to what is to be done."""
import postern
import pytest
from browser import PHONE, Window
from playwright.sync_api import expect
from test_access_reviews import decide, items, start
from test_breakglass import approve, ask, review
from test_channels import mail, serve  # noqa: F401
from test_staff import until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:aiosmtpd")

CISO = "ciso@northwind.example"


def body(message):
    return message.get_body(("plain",)).get_content()


def told(peer, subject, about):
    """The mails of one subject about one thing."""
    return [message for _, message in peer.mails if message["subject"] == subject and about in body(message)]


def addresses(mails):
    """Each as often as it was written to."""
    return sorted(message["to"] for message in mails)


def hears(peer, subject, about, people):
    """Waits for these people's mail; nobody else gets any, and nobody two."""
    postern.wait_until(lambda: set(addresses(told(peer, subject, about))) >= set(people), 30, f"{subject}: {people}")
    assert addresses(told(peer, subject, about)) == sorted(people), subject
    return told(peer, subject, about)[0]


def holders(server, *roles):
    return {person["email"] for person in server.people() if set(roles) & set(person["roles"])}


def unread(person, about):
    """What somebody has not read about one thing, by kind."""
    return {item["kind"]: item for item in person.get("inbox").json()["items"] if item["about"]["id"] == about}


@pytest.mark.only("sqlite")
def test_an_emergency_is_one_mail_a_person_and_leads_to_its_review(chromium, serve, mail):  # noqa: F811
    peer = mail()
    server = serve(**peer.settings(POSTERN_CISO_EMAIL=CISO))
    jonas, hana = server.sign_in(server.person("super_admin")), server.sign_in(server.person("super_admin", 1))
    samir = server.sign_in(server.person("security"))
    admins, everybody = holders(server, "super_admin"), holders(server, "super_admin", "security")
    slug = jonas.active_tenant()["slug"]

    asked = ask(jonas, slug)
    assert asked.status_code == 202, asked.text
    approval = asked.json()["approval_id"]
    hears(peer, "Break-glass waits for your signature, for 10 minutes", f"{server.url}/approvals/{approval}",
          admins - {jonas.email})
    assert approve(hana, approval).status_code == 200
    id = samir.get("breakglass-sessions?state=open").json()["items"][0]["id"]
    page_of_it = f"{server.url}/breakglass-sessions/{id}"
    hears(peer, "Break-glass was opened", page_of_it, everybody - {jonas.email})
    assert "Open break-glass" in body(hears(peer, "Your request was carried out", approval, {jonas.email}))
    # Nobody was asked a second time, by another mail.
    assert told(peer, "A request waits for your signature", approval) == []

    ended = samir.operate(f"breakglass-sessions/{id}/end")
    assert ended.status_code == 200, ended.text
    hears(peer, "Break-glass has ended, and its review is owed", page_of_it, everybody)
    postern.wait_until(lambda: "breakglass_review_owed" in unread(samir, id), 10, "the review to be asked for")
    assert set(unread(jonas, id)) == {"breakglass_ended"}
    assert set(unread(hana, id)) == {"breakglass_opened", "breakglass_ended"}

    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("security"), path="/inbox")
        window.heading("Inbox")
        row = page.get_by_role("row").filter(has_text="A break-glass is to be reviewed")
        expect(row).to_contain_text("Its review is owed by ")
        window.audit("an inbox with an emergency")
        page.set_viewport_size(PHONE)
        window.audit("an inbox with an emergency on a phone")
        window.shot("inbox-emergency-phone")
        row.get_by_role("link").first.click()
        window.heading("Break-glass for ")
        assert window.path.startswith(f"/breakglass-sessions/{id}")
    assert review(samir, id).status_code == 200
    hears(peer, "Your break-glass was reviewed", page_of_it, {jonas.email})
    item = postern.wait_until(lambda: unread(jonas, id).get("breakglass_reviewed"), 10, "the verdict")
    assert item["detail"] == "Justified: all of it was right." and item["path"] == f"/breakglass-sessions/{id}"
    assert "breakglass_review_owed" not in unread(samir, id)
    # Nothing of it is overdue, so the CISO has heard nothing. Nobody got anything twice, and no mail says whom it was about.
    assert peer.to(CISO) == []
    mine = [message for _, message in peer.mails if id in body(message) or approval in body(message)]
    assert len({(message["to"], message["subject"]) for message in mine}) == len(mine)
    assert not any(slug in body(message) or "Jonas" in body(message).split(",", 1)[1] for message in mine)
    for person in (jonas, hana, samir):
        person.close()
    assert server.run("verify").returncode == 0
    seconds, status = server.stop()
    assert status == 0 and seconds < 6, server.log()


@pytest.mark.only("sqlite")
def test_an_access_review_is_told_to_its_reviewers_and_to_whose_grants_they_decide_on(
        chromium, serve, mail):  # noqa: F811
    peer = mail()
    server = serve(**peer.settings())
    ruth, hana = server.sign_in(server.person("compliance")), server.sign_in(server.person("super_admin", 1))
    review = start(ruth, roles=["super_admin"], reviewers=[ruth.email], due_at=until(seconds=25))
    page_of_it = f"{server.url}/access-reviews/{review}"
    assert ", due " in body(hears(peer, "An access review waits for you", page_of_it, {ruth.email}))
    postern.wait_until(lambda: "access_review_asked" in unread(ruth, review), 10, "it to be asked for")
    with Window(chromium, server) as window:
        page = window.page
        window.sign_in(server.person("compliance"), path="/inbox")
        page.get_by_role("row").filter(has_text="An access review waits for you").get_by_role("link").first.click()
        window.heading("Access review of ")
        assert window.path == f"/access-reviews/{review}?state=open&reviewer=me"

    (mine,) = [item for item in items(ruth, review) if item["staff_id"] == hana.id]
    assert decide(ruth, mine, "keep", "needed").status_code == 200
    kept = postern.wait_until(lambda: unread(hana, mine["id"]).get("grant_kept"), 10, "the decision to be told")
    assert kept["title"] == "You keep Super admin" and kept["who"] and kept["path"] == "/me"
    # What is left is not decided in time.
    hears(peer, "An access review is overdue", page_of_it, holders(server, "super_admin", "security") | {ruth.email})
    postern.wait_until(lambda: "access_review_overdue" in unread(hana, review), 10, "it in the inbox")
    for item in items(ruth, review, state="open"):
        assert decide(ruth, item, "keep", "needed").status_code == 200
    closed = ruth.operate(f"access-reviews/{review}/close", None, "Every grant was looked at.")
    assert closed.status_code == 200, closed.text
    postern.wait_until(lambda: not unread(ruth, review), 10, "it to be over")
    with Window(chromium, server) as window:
        window.sign_in(server.person("super_admin", 1), path="/inbox?view=all")
        row = window.page.get_by_role("row").filter(has_text="An access review was overdue")
        expect(row).to_contain_text("Nothing is left to decide: it is closed.")
        window.audit("an inbox with a review")
    ruth.close()
    hana.close()
    assert server.run("verify").returncode == 0
