"""The flaws of the first day, each several times and each with near misses that look alike and are none.

Here belongs what somebody ought to find in the demo. Not here: the rules that find it, or any list of what was planted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.sandbox import customers, names, product, salesforce_org, support
from connectors.sandbox.customers import customer, open_deal

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World


def plant(world: World) -> None:
    accounts_and_organizations(world)
    declared_ids(world)
    free_mail(world)
    owners(world)
    blockers(world)
    links(world)
    close_dates(world)
    loss_reasons(world)
    deletions(world)


def accounts_and_organizations(world: World) -> None:
    """Paying accounts that support does not know, and organizations that sales does not know."""
    for _ in range(3):
        customer(world, "paying", organization=False)
    by_domain = customer(world, "paying", organization=False, ParentId=None)  # near miss: nobody wrote the id down
    ask_lately(world, customers.organization_for(world, by_domain, external_id=None))
    customer(world, "churned", organization=False)  # near miss: nobody to support any more
    for _ in range(3):
        ask_lately(world, stranger(world))
    support.ask(world, member(world, stranger(world)), days_ago=200)  # near miss: silent for 200 days
    stranger(world)  # near miss: never asked anything


def declared_ids(world: World) -> None:
    """Organizations whose external id leads to an account that was deleted, never was, or was merged away."""
    for short in (False, True):
        gone = customer(world, "churned", organization=False)
        organization = customers.organization_for(world, gone, external_id=gone["Id"][:15] if short else gone["Id"])
        if short:
            ask_lately(world, organization)
        world.delete("account", gone["Id"], at=world.ago(40, 10))
    never = customer(world, "paying", organization=False)
    ask_lately(world, customers.organization_for(world, never, external_id=salesforce_org.long_id("001Qm00000zZ9xW")))
    kept = customer(world, "paying", organization=True)
    # The double was typed in again from a business card, with the same website.
    double = customer(world, "prospect", organization=False, Name=kept["Name"].upper(), Website=kept["Website"])
    organization = next(o for o in reversed(world.organizations.values()) if o["name"] == kept["Name"].rsplit(" ", 1)[0])
    world.change("organization", organization["id"], at=world.ago(20), external_id=double["Id"])
    world.merge("account", double["Id"], kept["Id"], at=world.ago(12))
    alive = customer(world, "paying", organization=False)  # near miss: 15 characters of a living account
    customers.organization_for(world, alive, external_id=alive["Id"][:15])


def free_mail(world: World) -> None:
    """Organizations that claim everybody who writes from a free mailbox."""
    claims = [customer(world, "paying", organization=False), customer(world, "prospect", organization=False)]
    for account, provider in zip(claims, names.FREE_MAIL, strict=False):
        own = customers.bare_domain(account)
        customers.organization_for(
            world, account, external_id=account["Id"], domain_names=[own, provider] if own else [provider]
        )


def owners(world: World) -> None:
    """Paying accounts whose owner has left, or is a user whom the connection cannot see."""
    left = [seller(world, active=False) for _ in range(2)]
    for owner in (*left, left[0], salesforce_org.long_id("005Qm0000099Zzz")):
        customer(world, "paying", organization=True, OwnerId=owner)
    customer(world, "churned", organization=True, OwnerId=left[0])  # near misses: not paying
    customer(world, "prospect", organization=False, OwnerId=left[1])


def blockers(world: World) -> None:
    """Open deals that wait for something which is no issue, and such that name their issue in another way."""
    deleted = product.issue(world, "New Feature", "Signed audit exports", "CORE", "To Do", "Access")
    moved = product.issue(world, "New Feature", "Webhook retries", "CORE", "In Progress", "Integrations")
    former = moved["key"]
    ticket = ask_lately(world, next(iter(world.organizations.values())))
    world.create("jira_link", at=world.ago(30), ticket_id=ticket["id"], issue_id=moved["id"])
    integrations = next(project["id"] for project in world.projects.values() if project["key"] == "INT")
    world.move(moved["id"], integrations, at=world.ago(25))
    wanted = product.issue(world, "Epic", "Login with the company's own identity provider", "CORE", "In Progress", "Access")
    world.feature_values["Company login"] = wanted["key"]
    wrong = ("CORE-9417", deleted["key"], "Digital signatures", f"{names.JIRA_SITE}/browse/OLD-17")
    right = (f"{names.JIRA_SITE}/browse/{wanted['key']}", former, "Company login", wanted["key"])  # near misses
    for place, blocker in enumerate((*wrong, *right)):
        open_deal(world, prospect(world), closes_in=(25, 110)[place % 2], Blocking_Feature__c=blocker)
    customers.lost(world, prospect(world), 30, Blocking_Feature__c="CORE-9417")  # near misses: lost, and deleted
    thrown_away = open_deal(world, prospect(world), Blocking_Feature__c="CORE-9417")
    world.delete("opportunity", thrown_away["Id"], at=world.ago(8))
    world.delete("issue", deleted["id"], at=world.ago(15))


def links(world: World) -> None:
    """Links to issues that are gone, and issues that are done while the tickets that asked for them are still open."""
    organizations = list(world.organizations.values())[:12]
    for place in range(3):
        gone = product.issue(world, "Bug", f"{names.BUGS[place]} archived sites", "CORE", "In Progress", "Reporting")
        link(world, gone, ask_lately(world, organizations[place]))
        removed = link(world, gone, ask_lately(world, organizations[place]))  # near miss: somebody removed the link
        world.delete("jira_link", removed["id"], at=world.ago(4))
        world.delete("issue", gone["id"], at=world.ago(5))
    for place, statuses in enumerate((("open",), ("pending", "new"), ("hold", "solved"))):
        done = product.issue(
            world, ("Story", "Bug", "Epic")[place], f"{names.TASKS[place]} site archive", "CORE", "Done", "Planning"
        )
        for status in statuses:
            link(world, done, ask_lately(world, organizations[3 + place], status))
    silent = product.issue(world, "Story", "Print view of the site archive", "CORE", "Done", "Planning")
    link(world, silent, ask_lately(world, organizations[6], "solved"))  # near misses: solved, deleted, link removed, not done
    deleted = ask_lately(world, organizations[7], "open")
    link(world, silent, deleted)
    world.delete("ticket", deleted["id"], at=world.ago(2))
    world.delete("jira_link", link(world, silent, ask_lately(world, organizations[8], "open"))["id"], at=world.ago(2))
    review = product.issue(world, "Story", "Search in the site archive", "CORE", "In Review", "Planning")
    link(world, review, ask_lately(world, organizations[9], "open"))


def close_dates(world: World) -> None:
    for days in (-3, -20, -45):
        open_deal(world, prospect(world), closes_in=days, Blocking_Feature__c=None)
    open_deal(world, prospect(world), closes_in=0, Blocking_Feature__c=None)  # near miss: it closes today


def loss_reasons(world: World) -> None:
    for days in (5, 40, 90):
        customers.lost(world, prospect(world), days, Loss_Reason__c=None, Blocking_Feature__c=None)
    deleted = customers.lost(world, prospect(world), 12, Loss_Reason__c=None, Blocking_Feature__c=None)  # near miss
    world.delete("opportunity", deleted["Id"], at=world.ago(3))


def deletions(world: World) -> None:
    """What every desk throws away now and then, so that the first read meets deleted records of each kind."""
    organizations = list(world.organizations.values())
    for place in range(6):
        spam = ask_lately(
            world, organizations[place], "new", subject="Win a holiday", description="Click here to win a holiday."
        )
        world.delete("ticket", spam["id"], at=world.ago(1, 2))
    left = member(world, organizations[2])
    world.delete("zendesk_user", left, at=world.ago(6))
    twin = world.create(
        "zendesk_user",
        at=world.ago(9),
        name="Twin Account",
        email="twin@" + organizations[3]["domain_names"][0],
        organization_id=organizations[3]["id"],
    )
    world.merge("zendesk_user", twin["id"], member(world, organizations[3]), at=world.ago(7))
    closed = stranger(world)
    world.delete("organization", closed["id"], at=world.ago(3))
    world.delete("contact", next(reversed(world.contacts)), at=world.ago(3))


# the parts ------------------------------------------------------------------------------------------------------------


def stranger(world: World) -> Record:
    """An organization with two people, of a company that sales has never heard of."""
    name, domain, _, _ = world.company()
    created = world.ago(210, 60)
    organization = world.create("organization", at=created, name=name.rsplit(" ", 1)[0], domain_names=[domain])
    for _ in range(2):
        first, last = names.person(world.random)
        email = names.address(first, last, domain)
        world.create("zendesk_user", at=created, name=f"{first} {last}", email=email, organization_id=organization["id"])
    return organization


def member(world: World, organization: Record) -> int:
    people = (user for user in world.alive("zendesk_user") if user["organization_id"] == organization["id"])
    found_id: int = next(people)["id"]
    return found_id


def ask_lately(world: World, organization: Record, status: str = "open", **fields: Any) -> Record:
    return support.ask(world, member(world, organization), days_ago=world.random.uniform(32, 60), status=status, **fields)


def link(world: World, issue: Record, ticket: Record) -> Record:
    return world.create("jira_link", at=world.ago(6, 10), ticket_id=ticket["id"], issue_id=issue["id"])


def seller(world: World, active: bool) -> str:
    first, last = names.person(world.random)
    email = names.address(first, last, names.VENDOR_DOMAIN)
    created = world.ago(700)
    user = world.create(
        "salesforce_user", at=created, FirstName=first, LastName=last, Email=email, Username=email, Department="Sales"
    )
    found_id: str = world.change("salesforce_user", user["Id"], at=world.ago(30), IsActive=active)["Id"]
    return found_id


def prospect(world: World) -> Record:
    """Any account that has never bought anything."""
    return world.random.choice([account for account in world.alive("account") if account["Type"] == "Prospect"])
