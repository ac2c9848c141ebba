"""What happens by itself while time passes: people ask, work, sell, tidy up, make mistakes and mend some.

Here belong the events and how often they come. Not here: how a record is stamped, or the first day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

from connectors.sandbox import colleagues, customers, names, salesforce_org, zendesk_desk
from connectors.sandbox.jira_site import STATUSES

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World


def advance(world: World, days: int) -> None:
    """Each day's events come at their own moments of it, spread evenly over the days by their rates."""
    for _ in range(days):
        midnight = world.now
        today = world.number("day", first=0)
        scale = max(1, len(world.accounts) // 60)
        events: list[tuple[float, int, Callable[[World], None]]] = []
        for place, (event, rate) in enumerate(_RATES.items()):
            phase = place / len(_RATES)
            times = int(rate * scale * (today + 1) + phase) - int(rate * scale * today + phase)
            events += [(world.random.uniform(600, 80_000), place, event) for _ in range(times)]
        for seconds, _, event in sorted(events, key=lambda entry: entry[:2]):
            world.now = (midnight + timedelta(seconds=seconds)).replace(microsecond=0)
            event(world)
        world.now = midnight + timedelta(days=1)
        _overnight(world)


def _overnight(world: World) -> None:
    """The vendors' own machinery: solved tickets close after four days, deleted ones are scrubbed after thirty."""
    closing, scrubbing = (zendesk_desk.time(world.now - timedelta(days=days)) for days in (4, 30))
    at = world.now - timedelta(hours=2)
    for ticket in world.tickets.values():
        if ticket["status"] == "solved" and ticket["updated_at"] < closing:
            world.change("ticket", ticket["id"], at=at, status="closed")
        elif ticket["status"] == "deleted" and ticket["updated_at"] < scrubbing and ticket["subject"] != "SCRUBBED":
            zendesk_desk.scrub(ticket, at)
            world.changed("ticket")
    today = world.day(0)
    for version in world.alive("version"):
        if not version["released"] and version["releaseDate"] <= today:
            world.change("version", version["id"], released=True)


def _any(world: World, kind: str, fits: Callable[[Record], bool] = lambda _: True) -> Record | None:
    """One of the living records that fit; None if there is none."""
    found = [record for record in world.alive(kind) if fits(record)]
    return world.random.choice(found) if found else None


# support --------------------------------------------------------------------------------------------------------------


def _ticket_comes_in(world: World) -> None:
    if asker := _any(world, "zendesk_user", lambda user: bool(user["organization_id"])):
        subject = world.random.choice(names.COMPLAINTS)
        text = f"{subject}. It worked last week."
        if world.random.random() < 0.15 and (issue := _any(world, "issue")):
            text += f" Is this {issue['key']} again?"
        priority = world.random.choice(("low", "normal", "high", "urgent"))
        world.create(
            "ticket",
            requester_id=asker["id"],
            subject=subject,
            description=text,
            priority=priority,
            type="question",
            tags=["how-to"],
        )


def _ticket_is_worked_on(world: World) -> None:
    following = {"new": "open", "open": "solved", "pending": "open", "hold": "open"}
    if ticket := _any(world, "ticket", lambda ticket: ticket["status"] in following):
        assignee = ticket["assignee_id"] or world.random.choice(colleagues.agents(world))
        world.change("ticket", ticket["id"], status=following[ticket["status"]], assignee_id=assignee)


def _ticket_waits(world: World) -> None:
    if ticket := _any(world, "ticket", lambda ticket: ticket["status"] == "open"):
        world.change("ticket", ticket["id"], status=world.random.choice(("pending", "hold")))


def _ticket_is_reopened(world: World) -> None:
    if ticket := _any(world, "ticket", lambda ticket: ticket["status"] == "solved"):
        world.change("ticket", ticket["id"], status="open")


def _ticket_is_deleted(world: World) -> None:
    if ticket := _any(world, "ticket", lambda ticket: ticket["status"] in ("new", "open")):
        world.delete("ticket", ticket["id"])


def _ticket_is_touched(world: World) -> None:
    if ticket := _any(world, "ticket"):
        world.touch(ticket["id"])


def _link_is_made(world: World) -> None:
    ticket = _any(world, "ticket", lambda ticket: ticket["status"] in zendesk_desk.OPEN)
    issue = _any(world, "issue", lambda issue: issue["fields"]["status"]["statusCategory"]["key"] != "done")
    if ticket and issue:
        world.create("jira_link", ticket_id=ticket["id"], issue_id=issue["id"])


def _link_is_removed(world: World) -> None:
    if link := _any(world, "jira_link"):
        world.delete("jira_link", link["id"])


def _person_writes_first(world: World) -> None:
    if organization := _any(world, "organization", lambda organization: bool(organization["domain_names"])):
        first, last = names.person(world.random)
        email = names.address(first, last, organization["domain_names"][0])
        world.create("zendesk_user", name=f"{first} {last}", email=email, organization_id=organization["id"])


def _people_are_merged(world: World) -> None:
    organization = _any(world, "organization")
    people = [u for u in world.alive("zendesk_user") if organization and u["organization_id"] == organization["id"]]
    if len(people) > 1:
        world.merge("zendesk_user", people[-1]["id"], people[0]["id"])


def _person_is_deleted(world: World) -> None:
    if user := _any(world, "zendesk_user", lambda user: user["role"] == "end-user"):
        world.delete("zendesk_user", user["id"])


def _organization_is_renamed(world: World) -> None:
    if organization := _any(world, "organization"):
        world.change("organization", organization["id"], name=organization["name"] + " Group")


def _organization_is_deleted(world: World) -> None:
    if organization := _any(world, "organization"):
        world.delete("organization", organization["id"])


def _organization_gets_its_id(world: World) -> None:
    """Somebody writes the account's id down where so far only the domain told who it is."""
    if organization := _any(world, "organization", lambda organization: not organization["external_id"]):
        domains = organization["domain_names"]
        if account := _any(world, "account", lambda account: customers.bare_domain(account) in domains):
            world.change("organization", organization["id"], external_id=account["Id"])


# product --------------------------------------------------------------------------------------------------------------


def _issue_is_written(world: World) -> None:
    if epic := _any(world, "issue", lambda issue: issue["fields"]["issuetype"]["name"] == "Epic"):
        issue_type = world.random.choice(("Story", "Bug", "Task"))
        reporter = world.random.choice(list(world.jira_users))
        summary = f"{world.random.choice(names.TASKS)} {epic['fields']['summary'].lower()}"
        project = epic["fields"]["project"]["id"]
        world.create("issue", project=project, issuetype=issue_type, summary=summary, reporter=reporter, parent=epic["id"])


def _issue_moves_on(world: World) -> None:
    following = {
        "To Do": "In Progress",
        "In Progress": "In Review",
        "In Review": "Done",
        "Parking lot": "Planned",
        "Planned": "Delivered",
    }
    if issue := _any(world, "issue", lambda issue: issue["fields"]["status"]["name"] in following):
        world.change("issue", issue["id"], status=following[issue["fields"]["status"]["name"]])


def _issue_is_edited(world: World) -> None:
    if issue := _any(world, "issue"):
        world.change(
            "issue",
            issue["id"],
            labels=sorted({*issue["fields"]["labels"], "triaged"}),
            assignee=world.random.choice(list(world.jira_users)),
        )


def _issue_is_reopened(world: World) -> None:
    if issue := _any(world, "issue", lambda issue: issue["fields"]["status"] == STATUSES["Done"]):
        world.change("issue", issue["id"], status="In Progress")


def _issue_changes_project(world: World) -> None:
    if issue := _any(world, "issue", lambda issue: issue["fields"]["project"]["key"] == "CORE"):
        world.move(issue["id"], next(project["id"] for project in world.projects.values() if project["key"] == "INT"))


def _issue_is_deleted(world: World) -> None:
    if issue := _any(world, "issue", lambda issue: issue["fields"]["issuetype"]["name"] in ("Bug", "Task")):
        world.delete("issue", issue["id"])


def _project_is_renamed(world: World) -> None:
    """The issues show the new name at once, and none of them is stamped."""
    project = next(islice(world.alive("project"), world.random.randrange(len(world.projects)), None))
    world.change("project", project["id"], name=project["name"] + " (renamed)")


# sales ----------------------------------------------------------------------------------------------------------------


def _deal_is_opened(world: World) -> None:
    if account := _any(world, "account"):
        _open_deal(world, account)


def _open_deal(world: World, account: Record) -> None:
    closing = world.day(world.random.randrange(20, 120))
    amount = float(world.random.randrange(4, 120) * 1000)
    name = f"{account['Name'].rsplit(' ', 1)[0]}: Expansion"
    world.create(
        "opportunity",
        AccountId=account["Id"],
        OwnerId=account["OwnerId"],
        Name=name,
        CloseDate=closing,
        Amount=amount,
        Type="Expansion",
    )


def _deal_moves_on(world: World) -> None:
    stages = [stage for stage in salesforce_org.STAGES if stage != "Closed Lost"]
    if deal := _any(world, "opportunity", lambda deal: not deal["IsClosed"] and deal["StageName"] != "Negotiation/Review"):
        step = world.random.choice(names.NEXT_STEPS)
        world.change("opportunity", deal["Id"], StageName=stages[stages.index(deal["StageName"]) + 1], NextStep=step)


def _deal_is_won(world: World) -> None:
    if deal := _any(world, "opportunity", lambda deal: not deal["IsClosed"] and deal["Probability"] >= 40):
        world.change("opportunity", deal["Id"], StageName="Closed Won", CloseDate=world.day(0))
        world.change("account", deal["AccountId"], Type="Customer")


def _deal_is_lost(world: World) -> None:
    """Every third time nobody says why."""
    if deal := _any(world, "opportunity", lambda deal: not deal["IsClosed"]):
        reason = None if world.random.random() < 0.33 else world.random.choice(names.LOSS_REASONS)
        world.change(
            "opportunity",
            deal["Id"],
            StageName="Closed Lost",
            CloseDate=world.day(0),
            Loss_Reason__c=reason,
        )


def _loss_is_explained(world: World) -> None:
    if deal := _any(world, "opportunity", lambda deal: deal["StageName"] == "Closed Lost" and not deal["Loss_Reason__c"]):
        world.change("opportunity", deal["Id"], Loss_Reason__c=world.random.choice(names.LOSS_REASONS))


def _deal_slips(world: World) -> None:
    """The one that is longest overdue gets a new date."""
    overdue = sorted((d["CloseDate"], d["Id"]) for d in world.alive("opportunity") if not d["IsClosed"])[:1]
    for _, deal_id in overdue:
        world.change("opportunity", deal_id, CloseDate=world.day(30))


def _deal_is_deleted(world: World) -> None:
    if deal := _any(world, "opportunity", lambda deal: not deal["IsClosed"]):
        world.delete("opportunity", deal["Id"])


def _prospect_appears(world: World) -> None:
    name, domain, industry, country = world.company()
    owner = world.random.choice(colleagues.sellers(world))
    account = world.create("account", Name=name, Website=domain, Industry=industry, BillingCountry=country, OwnerId=owner)
    first, last = names.person(world.random)
    email = names.address(first, last, domain)
    world.create("contact", AccountId=account["Id"], FirstName=first, LastName=last, Email=email, OwnerId=owner)
    _open_deal(world, account)


def _account_is_renamed(world: World) -> None:
    if account := _any(world, "account"):
        world.change("account", account["Id"], Name=account["Name"].replace(" ", " International ", 1))


def _account_changes_hands(world: World) -> None:
    if account := _any(world, "account"):
        world.change("account", account["Id"], OwnerId=world.random.choice(colleagues.sellers(world)))


def _account_is_deleted(world: World) -> None:
    if account := _any(world, "account", lambda account: account["Type"] == "Prospect"):
        world.delete("account", account["Id"])


def _accounts_are_merged(world: World) -> None:
    loser = _any(world, "account", lambda account: account["Type"] == "Prospect")
    winner = _any(world, "account", lambda account: account["Type"] == "Customer")
    if loser and winner:
        world.merge("account", loser["Id"], winner["Id"])


def _contact_changes_jobs(world: World) -> None:
    if contact := _any(world, "contact"):
        world.change("contact", contact["Id"], Title=world.random.choice(names.JOB_TITLES))


def _contact_is_deleted(world: World) -> None:
    if contact := _any(world, "contact"):
        world.delete("contact", contact["Id"])


def _seller_leaves(world: World) -> None:
    if len(colleagues.sellers(world)) > 4 and (user := _any(world, "salesforce_user", lambda user: user["IsActive"])):
        world.change("salesforce_user", user["Id"], IsActive=False)


_RATES: dict[Callable[[World], None], float] = {  # times a day in a world of the demo's size
    _ticket_comes_in: 5, _ticket_is_worked_on: 6, _ticket_waits: 1, _ticket_is_reopened: 0.5, _ticket_is_deleted: 0.4,
    _ticket_is_touched: 3, _link_is_made: 1, _link_is_removed: 0.3, _person_writes_first: 0.6, _people_are_merged: 0.15,
    _person_is_deleted: 0.1, _organization_is_renamed: 0.15, _organization_is_deleted: 0.08,
    _organization_gets_its_id: 0.2,
    _issue_is_written: 2, _issue_moves_on: 3, _issue_is_edited: 2, _issue_is_reopened: 0.2, _issue_changes_project: 0.2,
    _issue_is_deleted: 0.25, _project_is_renamed: 0.08, _deal_is_opened: 0.7, _deal_moves_on: 2, _deal_is_won: 0.5,
    _deal_is_lost: 0.4, _loss_is_explained: 0.2, _deal_slips: 0.5, _deal_is_deleted: 0.12, _prospect_appears: 0.35,
    _account_is_renamed: 0.15, _account_changes_hands: 0.2, _account_is_deleted: 0.08, _accounts_are_merged: 0.1,
    _contact_changes_jobs: 0.5, _contact_is_deleted: 0.12, _seller_leaves: 0.07,
}  # fmt: skip
