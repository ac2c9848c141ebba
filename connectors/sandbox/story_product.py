"""What happens to the product's issues by itself: they are written, moved on, reopened, moved, deleted.

Here belong the events and how often they come. Not here: what hangs on issues and goes on around them
(`story_projects`), how a record is stamped, or the first day.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from connectors.sandbox import names, story_projects
from connectors.sandbox.jira_site import STATUSES

if TYPE_CHECKING:
    from connectors.sandbox.world import World


def overnight(world: World) -> None:
    """A version is released on its day."""
    today = world.day(0)
    for version in world.alive("version"):
        if not version["released"] and version["releaseDate"] <= today:
            world.change("version", version["id"], released=True)


def _issue_is_written(world: World) -> None:
    if epic := world.any("issue", lambda issue: issue["fields"]["issuetype"]["name"] == "Epic"):
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
    if issue := world.any("issue", lambda issue: issue["fields"]["status"]["name"] in following):
        world.change("issue", issue["id"], status=following[issue["fields"]["status"]["name"]])


def _issue_is_edited(world: World) -> None:
    if issue := world.any("issue"):
        world.change(
            "issue",
            issue["id"],
            labels=sorted({*issue["fields"]["labels"], "triaged"}),
            assignee=world.random.choice(list(world.jira_users)),
        )


def _issue_is_reopened(world: World) -> None:
    if issue := world.any("issue", lambda issue: issue["fields"]["status"] == STATUSES["Done"]):
        world.change("issue", issue["id"], status="In Progress")


def _issue_changes_project(world: World) -> None:
    if issue := world.any("issue", lambda issue: issue["fields"]["project"]["key"] == "CORE"):
        world.move(issue["id"], next(project["id"] for project in world.projects.values() if project["key"] == "INT"))


def _issue_is_deleted(world: World) -> None:
    if issue := world.any("issue", lambda issue: issue["fields"]["issuetype"]["name"] in ("Bug", "Task")):
        world.delete("issue", issue["id"])


def _project_is_renamed(world: World) -> None:
    """The issues show the new name at once, and none of them is stamped."""
    project = next(islice(world.alive("project"), world.random.randrange(len(world.projects)), None))
    world.change("project", project["id"], name=project["name"] + " (renamed)")


RATES: dict[Callable[[World], None], float] = {  # times a day in a world of the demo's size
    _issue_is_written: 2, _issue_moves_on: 3, _issue_is_edited: 2, _issue_is_reopened: 0.2,
    _issue_changes_project: 0.2, _issue_is_deleted: 0.25, _project_is_renamed: 0.08, **story_projects.RATES,
}  # fmt: skip
