"""What the world holds on its first day: colleagues, product, customers, tickets.

Here belongs the ordinary company, without flaws that anybody would flag. Not here: the planted flaws, or what happens later.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.sandbox import jira_site, names, salesforce_org, zendesk_desk

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World


@dataclass(frozen=True)
class Size:
    accounts: int
    features: int
    issues: int
    tickets: int
    colleagues: int

    @classmethod
    def of(cls, size: str | int) -> Size:
        """`tiny` for fast tests, `demo` for people, a number for that many demos."""
        if size == "tiny":
            return cls(accounts=6, features=4, issues=16, tickets=30, colleagues=4)
        scale = 1 if size == "demo" else int(size)
        return cls(accounts=52 * scale, features=24 * scale, issues=192 * scale, tickets=470 * scale, colleagues=10 + scale)


def found(world: World, size: str | int) -> None:
    wanted = Size.of(size)
    colleagues(world, wanted.colleagues)
    product(world, wanted.features, wanted.issues)
    for number in range(wanted.accounts):
        customer(world, history=_HISTORIES[number % len(_HISTORIES)])
    tickets(world, wanted.tickets)


def ago(world: World, days: float, spread: float = 0) -> datetime:
    """A moment in office hours `days` (and up to `spread` more) before now."""
    at = world.now - timedelta(days=days + world.random.random() * spread)
    at = at.replace(hour=8, minute=0, second=0, microsecond=0) + timedelta(seconds=world.random.randrange(36_000))
    return min(at, world.now - timedelta(hours=10))


def day(world: World, days: int) -> str:
    return (world.now.date() + timedelta(days=days)).isoformat()


# colleagues -----------------------------------------------------------------------------------------------------------


def person(random: random.Random) -> tuple[str, str]:
    return random.choice(names.FIRST_NAMES), random.choice(names.LAST_NAMES)


def colleagues(world: World, number: int) -> None:
    """Sellers in Salesforce, developers in Jira (every fourth hides the address), agents in Zendesk."""
    taken: set[tuple[str, str]] = set()
    for place in range(3 * number):
        first, last = person(world.random)
        while (first, last) in taken:
            first, last = person(world.random)
        taken.add((first, last))
        {0: _seller, 1: _developer, 2: _agent}[place % 3](world, place // 3, first, last)
    for name, default in (("Support", True), ("Escalations", False), ("Billing", False)):
        world.create("group", at=ago(world, 900), name=name, default=default)


def _seller(world: World, place: int, first: str, last: str) -> None:
    boss = next(iter(world.salesforce_users), None)
    email = names.address(first, last, names.VENDOR_DOMAIN)
    about: Record = {"FirstName": first, "LastName": last, "Email": email, "Username": email, "Department": "Sales"}
    title = "Account Executive" if boss else "VP Sales"
    world.create("salesforce_user", at=ago(world, 800, 300), **about, ManagerId=boss, Title=title)


def _developer(world: World, place: int, first: str, last: str) -> None:
    email = {} if place % 4 == 3 else {"emailAddress": names.address(first, last, names.VENDOR_DOMAIN)}
    world.create("jira_user", displayName=f"{first} {last}", **email)


def _agent(world: World, place: int, first: str, last: str) -> None:
    role = "agent" if place else "admin"
    email = names.address(first, last, names.VENDOR_DOMAIN)
    world.create("zendesk_user", at=ago(world, 700, 200), name=f"{first} {last}", email=email, role=role, restricted_agent=False)


def sellers(world: World) -> list[str]:
    return [user["Id"] for user in world.alive("salesforce_user") if user["IsActive"]]


def agents(world: World) -> list[int]:
    return [user["id"] for user in world.alive("zendesk_user") if user["role"] != "end-user"]


# product --------------------------------------------------------------------------------------------------------------

_SYSTEM_FIELDS = {
    "summary": ("Summary", "string"), "description": ("Description", "string"), "issuetype": ("Issue Type", "issuetype"),
    "status": ("Status", "status"), "priority": ("Priority", "priority"), "resolution": ("Resolution", "resolution"),
    "resolutiondate": ("Resolved", "datetime"), "project": ("Project", "project"), "assignee": ("Assignee", "user"),
    "reporter": ("Reporter", "user"), "labels": ("Labels", "array"), "components": ("Components", "array"),
    "fixVersions": ("Fix versions", "array"), "issuelinks": ("Linked Issues", "array"), "parent": ("Parent", "issuelink"),
    "duedate": ("Due date", "date"), "created": ("Created", "datetime"), "updated": ("Updated", "datetime"),
}  # fmt: skip
_CUSTOM_FIELDS = {  # two are called Story Points, as in many a site that has lived for years
    jira_site.STORY_POINTS: ("Story Points", "number", "float"),
    "customfield_10016": ("Story Points", "number", "jsw-story-points"),
    jira_site.PRODUCT_AREA: ("Product area", "option", "select"),
    jira_site.CUSTOMER: ("Customer", "string", "textfield"),
    jira_site.EPIC_LINK: ("Epic Link", "any", "gh-epic-link"),
    jira_site.SPRINT: ("Sprint", "array", "gh-sprint"),
    jira_site.FLAGGED: ("Flagged", "array", "multicheckboxes"),
    jira_site.RANK: ("Rank", "any", "gh-lexo-rank"),
}
_PROJECTS = (
    ("CORE", "Core platform", "classic", ("Scheduler", "Reports", "Accounts")),
    ("INT", "Integrations", "classic", ("API", "Connectors")),
    ("APP", "Mobile app", "next-gen", ()),
    ("DISC", "Product discovery", "next-gen", ()),
)
_FEATURE_STATUSES = ("To Do", "In Progress", "To Do", "Done", "In Progress", "To Do", "In Review")
_IDEA_STATUSES = ("Parking lot", "Planned", "Parking lot", "Delivered", "Archived")
_WORK_STATUSES = ("Done", "Done", "To Do", "In Progress", "Done", "In Review", "To Do")


def product(world: World, features: int, issues: int) -> None:
    people = list(world.jira_users)
    for id, (name, type) in _SYSTEM_FIELDS.items():
        world.create("field", id=id, name=name, schema={"type": type, "system": id})
    for id, (name, type, custom) in _CUSTOM_FIELDS.items():
        schema = {"type": type, "custom": f"com.atlassian.jira.plugin.system.customfieldtypes:{custom}", "customId": int(id[12:])}
        world.create("field", id=id, name=name, schema=schema)
    for key, name, style, components in _PROJECTS:
        project = world.create("project", key=key, name=name, style=style, simplified=style == "next-gen", lead=people[0])
        project["components"] = [{"id": f"{project['id']}{place}", "name": component} for place, component in enumerate(components)]
        for minor, days in enumerate((-200, -110, -30, 45, 120)):
            released = days < 0
            world.create("version", name=f"{key} 4.{minor}", projectId=int(project["id"]), released=released, releaseDate=day(world, days))
    for number in range(features):
        feature(world, number)
    for number in range(issues):
        work(world, number)


def feature(world: World, number: int) -> Record:
    """Epics mostly; every fifth an Idea in product discovery, every eighth a New Feature."""
    area = names.PRODUCT_AREAS[number % len(names.PRODUCT_AREAS)]
    wishes = names.FEATURES[area]
    lap = number // len(names.PRODUCT_AREAS)
    summary = wishes[lap % len(wishes)] + (f", part {lap // len(wishes) + 1}" if lap >= len(wishes) else "")
    type = "Idea" if number % 5 == 4 else "New Feature" if number % 8 == 3 else "Epic"
    statuses = _IDEA_STATUSES if type == "Idea" else _FEATURE_STATUSES
    projects = {"Idea": "DISC", "Mobile": "APP", "Integrations": "INT"}
    key = projects.get(type) or projects.get(area) or "CORE"
    return issue(world, type, summary, key, statuses[number % len(statuses)], area)


def work(world: World, number: int) -> Record:
    """A story, bug or task, mostly under an epic."""
    epics = [epic for epic in _features(world) if epic["fields"]["issuetype"]["name"] == "Epic"]
    epic = world.random.choice(epics)
    type = ("Story", "Bug", "Story", "Task", "Bug")[number % 5]
    words = names.BUGS if type == "Bug" else names.TASKS
    about = epic["fields"]["summary"]
    summary = f"{world.random.choice(words)} {about[0].lower()}{about[1:]}"
    area = epic["fields"][jira_site.PRODUCT_AREA]["value"]
    parent = None if number % 6 == 5 else epic["id"]
    project = epic["fields"]["project"]["key"]
    return issue(world, type, summary, project, _WORK_STATUSES[number % len(_WORK_STATUSES)], area, parent=parent)


def _features(world: World) -> Sequence[Record]:
    """The first hundred are enough to hang work under, and keep large worlds quick to found."""
    first = list(world.issues.values())[:100]
    return [issue for issue in first if issue["fields"]["issuetype"]["name"] in ("Epic", "Idea", "New Feature")]


def issue(world: World, type: str, summary: str, project_key: str, status: str, area: str, **fields: Any) -> Record:
    """An issue with a life: created, assigned, moved to `status`, with a released version if it is done."""
    random, people = world.random, list(world.jira_users)
    project = next(project for project in world.projects.values() if project["key"] == project_key)
    created = ago(world, 60, 400)
    record = world.create(
        "issue", at=created, project=project["id"], issuetype=type, summary=summary, reporter=random.choice(people),
        priority=random.choice(("Highest", "High", "Medium", "Medium", "Medium", "Low")),
        description=jira_site.text(f"As asked for by customers: {summary}.", "Acceptance: works in the time zone of the site."),
        labels=sorted(random.sample(("customer-request", "tech-debt", "q4", "security"), k=random.randrange(3))),
        components=[{"id": c["id"], "name": c["name"]} for c in project["components"][: random.randrange(2)]],
        **{jira_site.PRODUCT_AREA: {"id": str(10400 + names.PRODUCT_AREAS.index(area)), "value": area}},
        **{jira_site.STORY_POINTS: float(random.choice((1, 2, 3, 5, 8))) if type == "Story" else None},
        **fields,
    )  # fmt: skip
    change: dict[str, Any] = {"status": status}
    if random.random() < 0.85:
        change["assignee"] = random.choice(people)
    done = jira_site.STATUSES[status]["statusCategory"]["key"] == "done"
    versions = [v for v in world.versions.values() if v["projectId"] == int(project["id"]) and v["released"] == done]
    if versions and (done or random.random() < 0.5):
        change["fixVersions"] = [random.choice(versions)["id"]]
    moved = created + (world.now - created) * random.uniform(0.2, 0.95)
    return world.change("issue", record["id"], at=moved.replace(microsecond=random.randrange(1000) * 1000), **change)


# customers ------------------------------------------------------------------------------------------------------------

_HISTORIES = ("paying", "paying", "prospect", "paying", "churned", "paying", "prospect", "paying", "paying", "prospect")
_OPEN_STAGES = [stage for stage in salesforce_org.STAGES if not stage.startswith("Closed")]


def customer(world: World, history: str, *, organization: bool | None = None, **fields: Any) -> Record:
    """An account with its people and deals and, unless said otherwise, the organization that fits its history."""
    account = account_with_people(world, history, **fields)
    deals(world, account, history)
    number = len(world.accounts)
    if organization if organization is not None else history != "prospect" or number % 4 == 0:
        short = account["Id"][:15] if number % 7 in (4, 5) else account["Id"]
        by_domain_only = number % 7 == 6 and account["Website"]
        organization_for(world, account, external_id=None if by_domain_only else short)
    return account


def account_with_people(world: World, history: str, **fields: Any) -> Record:
    random = world.random
    name, domain, industry, country = world.company()
    created = ago(world, 430, 500)
    number = len(world.accounts)
    siblings = [a for a in list(world.accounts.values())[-12:] if a["Type"] == "Customer" and not a["ParentId"]]
    subsidiary = history == "paying" and number % 8 == 7 and siblings
    values: Record = {
        "Name": name, "Website": names.as_typed(random, domain), "Industry": industry, "BillingCountry": country,
        "BillingCity": names.COUNTRIES[country][2], "BillingStreet": f"{random.randrange(1, 90)} Harbour Street",
        "BillingPostalCode": f"{random.randrange(10000, 99999)}", "Phone": f"+49 555 {random.randrange(10**6):06d}",
        "NumberOfEmployees": random.choice((40, 120, 350, 900, 2600)), "AnnualRevenue": random.randrange(2, 900) * 1_000_000,
        "OwnerId": random.choice(sellers(world)), "Type": "Prospect" if history == "prospect" else "Customer",
        "ParentId": siblings[0]["Id"] if subsidiary else None, **fields,
    }  # fmt: skip
    if subsidiary and number % 16 == 7:
        values["Website"] = None
    account = world.create("account", at=created, **values)
    # Half of the contacts came by bulk loads, so that many carry one stamp, to the second.
    loaded = created.replace(day=1, hour=12, minute=0, second=0, microsecond=0) + timedelta(days=31)
    for place in range(2 + number % 2):
        first, last = person(random)
        at = loaded if place else ago(world, 20, 380)
        email = names.address(first, last, random.choice(names.FREE_MAIL) if random.random() < 0.04 else domain)
        title = random.choice(names.JOB_TITLES)
        world.create("contact", at=at, AccountId=account["Id"], FirstName=first, LastName=last, Email=email, Title=title, OwnerId=account["OwnerId"])
    return account


def bare_domain(account: Record) -> str | None:
    """The domain behind a website as somebody typed it."""
    site = (account["Website"] or "").lower().split("://")[-1].split("/")[0]
    return site.removeprefix("www.") or None


def deals(world: World, account: Record, history: str) -> None:
    """Paying: a won deal whose year is not over. Churned: the last one is, and its renewal was lost."""
    random = world.random
    if history == "paying":
        for year in range(random.choice((1, 1, 2, 2, 3))):
            won(world, account, days_ago=365 * year + random.randrange(20, 330), type="Renewal" if year == 0 else "New Business")
        if random.random() < 0.7:
            open_deal(world, account, random.choice(("Renewal", "Expansion")))
    elif history == "churned":
        ended = random.randrange(420, 620)
        won(world, account, days_ago=ended, type="New Business")
        lost(world, account, days_ago=ended - 365)
    else:
        if random.random() < 0.75:
            open_deal(world, account, "New Business")
        if random.random() < 0.5:
            lost(world, account, days_ago=random.randrange(10, 300))


def won(world: World, account: Record, days_ago: int, type: str) -> Record:
    return _deal(world, account, "Closed Won", -days_ago, type)


def lost(world: World, account: Record, days_ago: int, **fields: Any) -> Record:
    reason = world.random.choice(names.LOSS_REASONS)
    blocker = _wanted_feature(world)["key"] if reason == "Missing feature" else None
    return _deal(world, account, "Closed Lost", -days_ago, "New Business", **{"Loss_Reason__c": reason, "Blocking_Feature__c": blocker, **fields})


def open_deal(world: World, account: Record, type: str = "New Business", closes_in: int | None = None, **fields: Any) -> Record:
    closes_in = world.random.randrange(6, 150) if closes_in is None else closes_in
    if "Blocking_Feature__c" not in fields and world.random.random() < 0.3:
        fields["Blocking_Feature__c"] = _wanted_feature(world)["key"]
    return _deal(world, account, world.random.choice(_OPEN_STAGES), closes_in, type, **fields)


def _wanted_feature(world: World) -> Record:
    """A feature that is not done yet."""
    return world.random.choice([f for f in _features(world) if f["fields"]["status"]["statusCategory"]["key"] != "done" and "_deleted_at" not in f])


def _deal(world: World, account: Record, stage: str, closes_in: int, type: str, **fields: Any) -> Record:
    random = world.random
    values = {
        "AccountId": account["Id"], "OwnerId": account["OwnerId"], "Name": f"{account['Name'].rsplit(' ', 1)[0]}: {type}", "Type": type,
        "StageName": "Qualification", "CloseDate": day(world, closes_in), "Amount": float(random.choice((4, 8, 12, 18, 30, 45, 80, 140, 250)) * 1000),
        "LeadSource": random.choice(("Web", "Referral", "Partner", "Event")), "NextStep": random.choice(names.NEXT_STEPS),
    }  # fmt: skip
    created = ago(world, max(5, 20 - closes_in), 60)
    deal = world.create("opportunity", at=created, **values)
    closed = stage.startswith("Closed")
    changed = ago(world, max(1, -closes_in)) if closed else created + (world.now - created) * random.uniform(0.1, 0.9)
    if closed:
        fields["NextStep"] = None
    return world.change("opportunity", deal["Id"], at=max(changed, created), StageName=stage, **fields)


def organization_for(world: World, account: Record, **fields: Any) -> Record:
    """The organization of an account, with its contacts as users and a colleague whom sales does not know."""
    domain = bare_domain(account)
    values: Record = {"name": account["Name"].rsplit(" ", 1)[0], "domain_names": [domain] if domain else []}
    values["organization_fields"] = {"support_plan": world.random.choice(("basic", "premium"))}
    created = ago(world, 40, 360)
    organization = world.create("organization", at=created, **{**values, **fields})
    for contact in [contact for contact in world.alive("contact") if contact["AccountId"] == account["Id"]]:
        world.create("zendesk_user", at=created, name=contact["Name"], email=contact["Email"], organization_id=organization["id"])
    first, last = person(world.random)
    email = names.address(first, last, domain or f"{account['Name'].split()[0].lower()}-group.com")
    world.create("zendesk_user", at=ago(world, 5, 30), name=f"{first} {last}", email=email, organization_id=organization["id"])
    return organization


# tickets --------------------------------------------------------------------------------------------------------------


def tickets(world: World, number: int) -> None:
    """Tickets of all ages; every sixth is linked to an issue: done ones only to tickets that are solved."""
    askers = [user["id"] for user in world.alive("zendesk_user") if user["organization_id"]]
    linkable = {done: _linkable(world, done) for done in (False, True)}
    for place in range(number):
        ticket = ask(world, world.random.choice(askers), days_ago=world.random.random() ** 2 * 300 + 1)
        if place % 6 == 0:
            solved = ticket["status"] not in zendesk_desk.OPEN
            issue = world.random.choice(linkable[solved and place % 12 == 0])
            world.create("jira_link", at=ago(world, 0.5), ticket_id=ticket["id"], issue_id=issue["id"])


def _linkable(world: World, done: bool) -> list[Record]:
    issues = [issue for issue in world.alive("issue") if issue["fields"]["issuetype"]["name"] != "Task"]
    return [issue for issue in issues if (issue["fields"]["status"]["statusCategory"]["key"] == "done") == done]


def ask(world: World, requester_id: int, days_ago: float, status: str | None = None, **fields: Any) -> Record:
    """A ticket, worked on as its age demands: what is older than a month is closed."""
    random = world.random
    subject = random.choice(names.COMPLAINTS)
    text = f"{subject}. We see this since yesterday, on all machines."
    if random.random() < 0.08:
        text += f" Your colleague mentioned {random.choice(list(world.issues.values()))['key']}."
    area = random.choice(names.PRODUCT_AREAS)
    created = ago(world, days_ago)
    values: Record = {
        "requester_id": requester_id, "subject": subject, "description": text, "type": random.choice(("question", "incident", "problem", "task")),
        "priority": random.choice(("low", "normal", "normal", "high", "urgent")), "via": {"channel": random.choice(("email", "web", "api")), "source": {"from": {}, "to": {}, "rel": None}},
        "tags": sorted({area.lower(), *random.sample(("how-to", "bug", "request", "vip"), k=1), *(("escalated",) if random.random() < 0.05 else ())}),
        "custom_fields": [{"id": zendesk_desk.AREA_FIELD, "value": area.lower()}, {"id": zendesk_desk.SEVERITY_FIELD, "value": None}],
        **fields,
    }  # fmt: skip
    ticket = world.create("ticket", at=created, **values)
    if status is None:
        status = "closed" if days_ago > 32 else random.choice(("new", "open", "open", "pending", "hold", "solved", "solved", "solved"))
    work_until(world, ticket, status, created)
    return ticket


def work_until(world: World, ticket: Record, status: str, at: datetime) -> None:
    """Takes a new ticket step by step to a status, so that its metrics tell the same story."""
    steps = {"open": ["open"], "pending": ["open", "pending"], "hold": ["open", "hold"], "solved": ["open", "solved"]}
    steps["closed"] = [*steps["solved"], "closed"]
    if status in ("solved", "closed") and world.random.random() < 0.1:
        steps[status] = ["open", "solved", *steps[status]]
    for step in steps.get(status, []):
        at = min(at + timedelta(minutes=world.random.randrange(20, 2000)), world.now - timedelta(minutes=world.random.randrange(5, 400)))
        change: Record = {"status": step}
        if ticket["assignee_id"] is None:
            change["assignee_id"] = world.random.choice(agents(world))
        if step == "solved" and world.random.random() < 0.3:
            change["satisfaction_rating"] = {"score": world.random.choice(("good", "good", "good", "bad", "offered"))}
        world.change("ticket", ticket["id"], at=max(at, zendesk_desk.moment(ticket["updated_at"])), **change)
