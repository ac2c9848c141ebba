"""The company's Jira on the first day: fields, projects, versions, features and the work under them.

Here belongs what is built. Not here: who asked for it, or how an issue is stamped.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from connectors.sandbox import jira_site, names
from connectors.sandbox.product_life import lived

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World


_SYSTEM_FIELDS = {
    "summary": ("Summary", "string"),
    "description": ("Description", "string"),
    "issuetype": ("Issue Type", "issuetype"),
    "status": ("Status", "status"),
    "priority": ("Priority", "priority"),
    "resolution": ("Resolution", "resolution"),
    "resolutiondate": ("Resolved", "datetime"),
    "project": ("Project", "project"),
    "assignee": ("Assignee", "user"),
    "reporter": ("Reporter", "user"),
    "labels": ("Labels", "array"),
    "components": ("Components", "array"),
    "fixVersions": ("Fix versions", "array"),
    "issuelinks": ("Linked Issues", "array"),
    "parent": ("Parent", "issuelink"),
    "duedate": ("Due date", "date"),
    "created": ("Created", "datetime"),
    "updated": ("Updated", "datetime"),
}
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
    lists(world)
    people = list(world.jira_users)
    for field_id, (name, issue_type) in _SYSTEM_FIELDS.items():
        world.create("field", id=field_id, name=name, schema={"type": issue_type, "system": field_id})
    for field_id, (name, issue_type, custom) in _CUSTOM_FIELDS.items():
        schema = {
            "type": issue_type,
            "custom": f"com.atlassian.jira.plugin.system.customfieldtypes:{custom}",
            "customId": int(field_id[12:]),
        }
        world.create("field", id=field_id, name=name, schema=schema)
    for key, name, style, components in _PROJECTS:
        project = world.create("project", key=key, name=name, style=style, simplified=style == "next-gen", lead=people[0])
        project["components"] = [
            {"id": f"{project['id']}{place}", "name": component} for place, component in enumerate(components)
        ]
        for component in project["components"]:
            world.create("component", projectId=int(project["id"]), **component)
        for minor, days in enumerate((-200, -110, -30, 45, 120)):
            released = days < 0
            world.create(
                "version",
                name=f"{key} 4.{minor}",
                projectId=int(project["id"]),
                released=released,
                releaseDate=world.day(days),
            )
    for number in range(features):
        feature(world, number)
    for number in range(issues):
        work(world, number)
    lived(world)


def lists(world: World) -> None:
    """What administrators keep: statuses, types, priorities, resolutions."""
    kinds = {
        "issue_status": jira_site.STATUSES,
        "issue_type": jira_site.ISSUE_TYPES,
        "issue_priority": jira_site.PRIORITIES,
        "issue_resolution": jira_site.RESOLUTIONS,
    }
    for kind, records in kinds.items():
        for record in records.values():
            world.create(kind, **record)


def feature(world: World, number: int) -> Record:
    """Epics mostly; every fifth an Idea in product discovery, every eighth a New Feature."""
    area = names.PRODUCT_AREAS[number % len(names.PRODUCT_AREAS)]
    wishes = names.FEATURES[area]
    lap = number // len(names.PRODUCT_AREAS)
    summary = wishes[lap % len(wishes)] + (f", part {lap // len(wishes) + 1}" if lap >= len(wishes) else "")
    issue_type = "Idea" if number % 5 == 4 else "New Feature" if number % 8 == 3 else "Epic"
    statuses = _IDEA_STATUSES if issue_type == "Idea" else _FEATURE_STATUSES
    projects = {"Idea": "DISC", "Mobile": "APP", "Integrations": "INT"}
    key = projects.get(issue_type) or projects.get(area) or "CORE"
    return issue(world, issue_type, summary, key, statuses[number % len(statuses)], area)


def work(world: World, number: int) -> Record:
    """A story, bug or task, mostly under an epic."""
    epics = [epic for epic in first_features(world) if epic["fields"]["issuetype"]["name"] == "Epic"]
    epic = world.random.choice(epics)
    issue_type = ("Story", "Bug", "Story", "Task", "Bug")[number % 5]
    words = names.BUGS if issue_type == "Bug" else names.TASKS
    about = epic["fields"]["summary"]
    summary = f"{world.random.choice(words)} {about[0].lower()}{about[1:]}"
    area = epic["fields"][jira_site.PRODUCT_AREA]["value"]
    parent = None if number % 6 == 5 else epic["id"]
    project = epic["fields"]["project"]["key"]
    return issue(world, issue_type, summary, project, _WORK_STATUSES[number % len(_WORK_STATUSES)], area, parent=parent)


def first_features(world: World) -> Sequence[Record]:
    """The first hundred are enough to hang work under, and keep large worlds quick to found."""
    first = islice(world.issues.values(), 100)
    return [
        issue
        for issue in first
        if "_deleted_at" not in issue and issue["fields"]["issuetype"]["name"] in ("Epic", "Idea", "New Feature")
    ]


def issue(world: World, issue_type: str, summary: str, project_key: str, status: str, area: str, **fields: Any) -> Record:
    """An issue with a life: created, assigned, moved to `status`, with a released version if it is done."""
    random, people = world.random, list(world.jira_users)
    project = next(project for project in world.projects.values() if project["key"] == project_key)
    created = world.ago(60, 400)
    record = world.create(
        "issue",
        at=created,
        project=project["id"],
        issuetype=issue_type,
        summary=summary,
        reporter=random.choice(people),
        priority=random.choice(("Highest", "High", "Medium", "Medium", "Medium", "Low")),
        description=jira_site.text(f"As asked for by customers: {summary}.", "Acceptance: works in the time zone of the site."),
        labels=sorted(random.sample(("customer-request", "tech-debt", "q4", "security"), k=random.randrange(3))),
        components=[{"id": c["id"], "name": c["name"]} for c in project["components"][: random.randrange(2)]],
        **{jira_site.PRODUCT_AREA: {"id": str(10400 + names.PRODUCT_AREAS.index(area)), "value": area}},
        **{jira_site.STORY_POINTS: float(random.choice((1, 2, 3, 5, 8))) if issue_type == "Story" else None},
        **fields,
    )
    change: dict[str, Any] = {"status": status}
    if random.random() < 0.85:
        change["assignee"] = random.choice(people)
    done = jira_site.STATUSES[status]["statusCategory"]["key"] == "done"
    versions = [v for v in world.versions.values() if v["projectId"] == int(project["id"]) and v["released"] == done]
    if versions and (done or random.random() < 0.5):
        change["fixVersions"] = [random.choice(versions)["id"]]
    moved = created + (world.now - created) * random.uniform(0.2, 0.95)
    return world.change("issue", record["id"], at=moved.replace(microsecond=random.randrange(1000) * 1000), **change)
