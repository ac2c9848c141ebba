"""What went on around the issues before the first day: boards and sprints, comments, logged work, links.

Here belongs what hangs on issues that are there already, and moves none of their stamps. Not here: the issues themselves,
or what happens later.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.sandbox import jira_site, names

if TYPE_CHECKING:
    from random import Random

    from connectors.sandbox.world import Record, World

SPRINT_DAYS = 14
_BOARDS = (  # project, name, kind, whether it has sprints: in team-managed projects they can be switched on
    ("CORE", "CORE board", "scrum", True),
    ("INT", "INT flow", "kanban", False),
    ("APP", "APP board", "simple", True),
    ("DISC", "Ideas", "simple", False),
)
_WORDS = (
    "Reproduced on the latest build.",
    "Can somebody from the platform team have a look?",
    "Agreed with the customer: next version is fine.",
    "The log is attached, nothing unusual in it.",
    "Done on the branch, waiting for the review.",
    "Moved the second half to a ticket of its own.",
)
_PAGES = ("Design note", "Customer call", "Pull request", "Runbook", "Test plan")


def lived(world: World) -> None:
    """Nothing of it where there are no issues."""
    issues = list(world.issues.values())
    if not issues:
        return
    chance = world.chance("life before the first day")
    boards(world)
    for number, issue in enumerate(issues):
        for _ in range(23 if number == 5 else chance.randrange(4)):  # one of them is talked about a lot
            comment(world, issue, at=_within(issue, chance))
        if issue["fields"]["status"]["statusCategory"]["key"] != "new" and number % 2:
            work(world, issue, at=_within(issue, chance))
        if number % 7 == 3:
            page(world, issue, at=_within(issue, chance))
    for number in range(0, len(issues) - 1, 9):
        ends = issues[number + 1], issues[number]
        at = max(_moment(issue["fields"]["created"]) for issue in ends)
        kind = chance.choice(("10000", "10002", "10003"))
        if all(at <= _moment(issue["fields"]["updated"]) for issue in ends):
            world.create("issue_link", at=at, source=ends[0]["id"], target=ends[1]["id"], type=kind)


def boards(world: World) -> None:
    """The last one shows the first one's sprints, too."""
    projects = {project["key"]: project["id"] for project in world.alive("project")}
    for key, name, kind, sprints in _BOARDS:
        board = world.create("board", name=name, type=kind, project=projects[key], _sprints=sprints)
        for number in range(1, 6 if sprints else 1):
            sprint(world, board, number)
    world.create("board", name="Everything", type="scrum", project=projects["CORE"], _shows=[1])


def sprint(world: World, board: Record, number: int) -> Record:
    """The first three are over, the fourth runs."""
    starts = world.now - timedelta(days=SPRINT_DAYS * (4 - number) + 4)
    planned: dict[str, Any] = {"name": f"{board['name'].split()[0]} Sprint {number}", "originBoardId": board["id"]}
    made = world.create("sprint", at=starts - timedelta(days=30), **planned)
    if number < 5:
        ends = starts + timedelta(days=SPRINT_DAYS)
        world.change("sprint", made["id"], state="active", startDate=starts.isoformat(), endDate=ends.isoformat())
    if number < 4:
        world.change("sprint", made["id"], state="closed", completeDate=ends.isoformat())
    return made


def comment(world: World, issue: Record, **more: Any) -> Record:
    chance = world.chance("words about issues")
    return world.create(
        "issue_comment", issue=issue["id"], body=jira_site.text(*chance.sample(_WORDS, 1 + chance.randrange(2))), **more
    )


def work(world: World, issue: Record, **more: Any) -> Record:
    chance = world.chance("work on issues")
    seconds = 900 * chance.randrange(1, 33)
    said = jira_site.text(chance.choice(_WORDS)) if chance.random() < 0.5 else None
    shown = f"{seconds // 3600}h {seconds % 3600 // 60}m".removeprefix("0h ").removesuffix(" 0m")
    return world.create("worklog", issue=issue["id"], timeSpentSeconds=seconds, timeSpent=shown, comment=said, **more)


def page(world: World, issue: Record, **more: Any) -> Record:
    chance = world.chance("pages about issues")
    title = f"{chance.choice(_PAGES)} {chance.randrange(100, 1000)}"
    url = f"{names.JIRA_SITE}/wiki/pages/{chance.randrange(10_000, 99_999)}"
    wiki = {"type": "com.atlassian.confluence", "name": "Confluence"} if chance.random() < 0.6 else {}
    about = {"url": url, "title": title, "summary": "", "icon": {}, "status": {"resolved": False, "icon": {}}}
    return world.create(
        "remote_link", issue=issue["id"], globalId=f"appId=1&pageId={url[-5:]}", application=wiki, object=about, **more
    )


def _within(issue: Record, chance: Random) -> datetime:
    """Between the issue's creation and its last change."""
    created, updated = (_moment(issue["fields"][name]) for name in ("created", "updated"))
    at = created + (updated - created) * chance.random()
    return at.replace(microsecond=0) if at.replace(microsecond=0) >= created else created


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
