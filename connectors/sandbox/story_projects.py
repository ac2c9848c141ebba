"""What happens around the product's issues by itself: talk, logged work, links, sprints, and what administrators change.

Here belong the events and how often they come. Not here: the issues themselves (`story_product`), or how a record is
stamped. Names are changed only where no issue shows them: Jira stamps no issue for that, so a reader cannot know.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from connectors.sandbox import jira_children, jira_site, names, product_life

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

_LISTS = ("issue_status", "issue_type", "issue_priority", "issue_resolution")


def _any(world: World, kind: str, fits: Callable[[Record], bool] = lambda _: True) -> Record | None:
    """One of the living records that fit, by a chance of its own."""
    found = [record for record in world.alive(kind) if fits(record)]
    return world.chance(f"which {kind}").choice(found) if found else None


def _comment_is_written(world: World) -> None:
    if issue := _any(world, "issue"):
        product_life.comment(world, issue)


def _comment_is_edited(world: World) -> None:
    if comment := _any(world, "issue_comment"):
        world.change("issue_comment", comment["id"], body=jira_site.text("Edited: this has been settled."))


def _comment_is_deleted(world: World) -> None:
    if comment := _any(world, "issue_comment"):
        world.delete("issue_comment", comment["id"])


def _work_is_logged(world: World) -> None:
    if issue := _any(world, "issue"):
        product_life.work(world, issue)


def _work_is_corrected(world: World) -> None:
    if log := _any(world, "worklog"):
        world.change("worklog", log["id"], timeSpentSeconds=5400, timeSpent="1h 30m")


def _work_is_deleted(world: World) -> None:
    if log := _any(world, "worklog"):
        world.delete("worklog", log["id"])


def _page_is_linked(world: World) -> None:
    if issue := _any(world, "issue"):
        product_life.page(world, issue)


def _page_is_renamed(world: World) -> None:
    if link := _any(world, "remote_link"):
        world.change("remote_link", link["id"], object={**link["object"], "title": link["object"]["title"] + " (final)"})


def _page_is_unlinked(world: World) -> None:
    if link := _any(world, "remote_link"):
        world.delete("remote_link", link["id"])


def _issues_are_linked(world: World) -> None:
    source, target = _any(world, "issue"), _any(world, "issue")
    if source and target and source["id"] != target["id"]:
        kind = world.chance("how issues are linked").choice(list(jira_children.LINK_TYPES))
        world.create("issue_link", source=source["id"], target=target["id"], type=kind)


def _issues_are_unlinked(world: World) -> None:
    if link := _any(world, "issue_link"):
        world.delete("issue_link", link["id"])


def _issue_is_planned(world: World) -> None:
    """Into a sprint that is not over yet."""
    issue, sprint = _any(world, "issue"), _any(world, "sprint", lambda sprint: sprint["state"] != "closed")
    if issue and sprint:
        planned = issue["fields"][jira_site.SPRINT] or []
        more: Any = {jira_site.SPRINT: [*planned, sprint["id"]]}
        if sprint["id"] not in planned:
            world.change("issue", issue["id"], **more)


def _sprint_is_over(world: World) -> None:
    """The next one starts, and one more is planned."""
    if sprint := _any(world, "sprint", lambda sprint: sprint["state"] == "active"):
        world.change("sprint", sprint["id"], state="closed", completeDate=world.now.isoformat())
        board = world.store("board")[sprint["originBoardId"]]
        waiting = _any(world, "sprint", lambda s: s["state"] == "future" and s["originBoardId"] == board["id"])
        if waiting:
            ends = world.now + timedelta(days=product_life.SPRINT_DAYS)
            stamps: Any = {"startDate": world.now.isoformat(), "endDate": ends.isoformat()}
            world.change("sprint", waiting["id"], state="active", goal="Ship what was promised", **stamps)
        world.create(
            "sprint", name=f"{board['name'].split()[0]} Sprint {world.number('later sprint', 6)}", originBoardId=board["id"]
        )


def _sprint_is_dropped(world: World) -> None:
    if sprint := _any(world, "sprint", lambda sprint: sprint["state"] == "future"):
        world.delete("sprint", sprint["id"])


def _board_is_made_and_another_renamed(world: World) -> None:
    if board := _any(world, "board"):
        world.change("board", board["id"], name=board["name"].removesuffix(" (new)") + " (new)")
        world.create("board", name=f"Team {world.number('team board')}", type="kanban", project=board["project"])


def _board_is_deleted(world: World) -> None:
    if board := _any(world, "board", lambda board: board["name"].startswith("Team")):
        world.delete("board", board["id"])


def _version_is_planned(world: World) -> None:
    if project := _any(world, "project"):
        fields: dict[str, Any] = {"projectId": int(project["id"]), "releaseDate": world.day(200), "startDate": world.day(7)}
        world.create("version", name=f"{project['key']} 5.{world.number('later version')}", description="As agreed", **fields)


def _version_slips(world: World) -> None:
    if version := _any(world, "version", lambda version: " 5." in version["name"]):
        world.change("version", version["id"], releaseDate=world.day(230), name=version["name"] + "x")


def _version_is_dropped(world: World) -> None:
    if version := _any(world, "version", lambda version: " 5." in version["name"]):
        world.delete("version", version["id"])


def _component_comes_and_another_gets_a_lead(world: World) -> None:
    if component := _any(world, "component"):
        lead = world.chance("who leads").choice(list(world.jira_users))
        world.change("component", component["id"], lead=lead, description="Looked after")
        world.create("component", name=f"Area {world.number('later component')}", projectId=component["projectId"])


def _component_is_deleted(world: World) -> None:
    if component := _any(world, "component", lambda component: component["name"].startswith("Area")):
        world.delete("component", component["id"])


def _administrator_adds_to_the_lists(world: World) -> None:
    category = {"statusCategory": jira_site.STATUSES["In Review"]["statusCategory"]}
    level = {"subtask": False, "hierarchyLevel": 0}
    more: dict[str, Record] = {"issue_status": category, "issue_type": level, "issue_priority": {"statusColor": "#cd1317"}}
    for kind in _LISTS:
        world.create(kind, name=f"Unused {world.number(f'later {kind}')}", **more.get(kind, {}))


def _administrator_describes_the_lists(world: World) -> None:
    for kind in _LISTS:
        if record := _any(world, kind, lambda record: not record["name"].startswith("Unused")):
            world.change(kind, record["id"], description=f"As agreed on {world.day(0)}")


def _administrator_tidies_the_lists(world: World) -> None:
    for kind in _LISTS:
        if record := _any(world, kind, lambda record: record["name"].startswith("Unused")):
            world.delete(kind, record["id"])


def _colleague_joins(world: World) -> None:
    chance = world.chance("who joins")
    first, last = names.person(chance)
    world.create("jira_user", displayName=f"{first} {last}", emailAddress=names.address(first, last, names.VENDOR_DOMAIN))


def _colleague_leaves(world: World) -> None:
    """The account is switched off; what it is called and where it is reached stays as it is on the issues."""
    if user := _any(world, "jira_user", lambda user: user["active"]):
        world.change("jira_user", user["accountId"], active=False)


def _field_is_renamed(world: World) -> None:
    """One that neither the settings nor the tests name; a new one comes."""
    field = world.fields.get(jira_site.FLAGGED)
    if field:
        world.change("field", field["id"], name="Impediment" if field["name"] == "Flagged" else "Flagged")
    schema = {"type": "string", "custom": "com.atlassian.jira.plugin.system.customfieldtypes:textfield"}
    number = world.number("later field", 10_100)
    world.create("field", id=f"customfield_{number}", name=f"Note {number}", schema={**schema, "customId": number})


def _field_is_trashed(world: World) -> None:
    if field := _any(world, "field", lambda field: field["name"].startswith("Note ")):
        world.delete("field", field["id"])


RATES: dict[Callable[[World], None], float] = {  # times a day in a world of the demo's size
    _comment_is_written: 4, _comment_is_edited: 0.5, _comment_is_deleted: 0.3,
    _work_is_logged: 2, _work_is_corrected: 0.3, _work_is_deleted: 0.2,
    _page_is_linked: 0.4, _page_is_renamed: 0.2, _page_is_unlinked: 0.1,
    _issues_are_linked: 0.5, _issues_are_unlinked: 0.2,
    _issue_is_planned: 1, _sprint_is_over: 0.1, _sprint_is_dropped: 0.08,
    _board_is_made_and_another_renamed: 0.1, _board_is_deleted: 0.08,
    _version_is_planned: 0.15, _version_slips: 0.1, _version_is_dropped: 0.08,
    _component_comes_and_another_gets_a_lead: 0.12, _component_is_deleted: 0.08,
    _administrator_adds_to_the_lists: 0.1, _administrator_describes_the_lists: 0.1, _administrator_tidies_the_lists: 0.08,
    _colleague_joins: 0.1, _colleague_leaves: 0.08, _field_is_renamed: 0.1, _field_is_trashed: 0.08,
}  # fmt: skip
