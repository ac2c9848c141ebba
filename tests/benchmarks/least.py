"""The least requests that a read can take, one formula for each, from the vendors' page limits.

Here belongs what the vendors allow: records of a page, what must be asked beside them, and how completeness can be proved.
Not here: how the connectors ask.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Facts:
    """What a read had to bring. `tables`: what arrived, by stream, rows that come twice included: by
    the look-back, or because a page by time begins with the last ones of the page before.
    `rows`: of a table of the same tool, as they stand afterwards."""

    page_size: int
    first: bool
    tables: Mapping[str, Sequence[Row]]
    rows: Callable[[str], Sequence[Row]]

    @property
    def arrived(self) -> Mapping[str, int]:
        return {name: len(rows) for name, rows in self.tables.items()}

    def pages(self, records: int, vendors: int) -> int:
        """At least one: that there is nothing must be asked, too."""
        return max(1, ceil(records / min(vendors, self.page_size)))

    def living(self, stream: str) -> list[Row]:
        return [row for row in self.rows(stream) if row["_deleted_at"] is None]


Formula = Callable[[Facts], int]


def listed(stream: str, vendors: int, beside: int = 0) -> Formula:
    """Pages of what arrived, and what must be asked beside them: a description, a count."""
    return lambda facts: facts.pages(facts.arrived[stream], vendors) + beside


def once(requests: int) -> Formula:
    """What has no pages."""
    return lambda _: requests


SALESFORCE = (
    "accounts", "contacts", "opportunities", "users", "opportunity_history", "opportunity_field_history",
    "opportunity_line_items", "opportunity_contact_roles", "products", "pricebook_entries", "cases", "tasks", "events",
    "contracts",
)  # fmt: skip
ZENDESK_LISTS = (
    "organization_memberships", "groups", "brands", "ticket_fields", "user_fields", "organization_fields", "ticket_forms",
    "custom_statuses", "tags", "sla_policies",
)  # fmt: skip
EVENTS = ("feature_events", "page_events", "guide_events", "track_events", "poll_events")


def issues(facts: Facts) -> int:
    """Jira, of N issues that changed: the user's time zone; pages of 5,000 ids; bodies by the hundred; for each thousand
    issues their changelogs, 10,000 entries a page; comments beyond the 20 in a body, a hundred a page; each issue with links
    to pages elsewhere. In full, the fields' names, which the settings map. After a first read, a sweep of all ids.

    A page of ids is what is fetched together, so that lowered pages of ids make smaller groups.
    """
    changed = {row["id"] for row in facts.tables["issues"]}
    group = min(1000, facts.page_size)
    entries = Counter(row["issue_id"] for row in {row["history_id"]: row for row in facts.living("changelog")}.values())
    comments = Counter(row["issue_id"] for row in facts.living("comments"))
    linked = {row["issue_id"] for row in facts.living("remote_links")}
    ids = sorted(changed, key=int)
    groups = [ids[start : start + group] for start in range(0, len(ids), group)]
    return (
        (2 if facts.first else 1)
        + facts.pages(len(ids), 5000)
        + ceil(len(ids) / min(100, facts.page_size))
        + sum(facts.pages(sum(entries[each] for each in some), 10_000) for some in groups)
        + sum(facts.pages(comments[each], 100) for each in ids if comments[each] > min(20, facts.page_size))
        + len(linked & set(ids))
        + (0 if facts.first else facts.pages(len(facts.living("issues")), 5000))
    )


def boards(facts: Facts) -> int:
    """Jira: boards by fifty, and of each that can have sprints those, by fifty."""
    sprints = Counter(row["origin_board_id"] for row in facts.living("sprints"))
    having = [row["id"] for row in facts.living("boards") if row["type"] != "kanban"]
    return facts.pages(facts.arrived["boards"], 50) + sum(facts.pages(sprints[board], 50) for board in having)


def events(stream: str) -> Formula:
    """Pendo: one request tells how many there are on each day, one brings up to thirty days. On a night at least the last
    days, which may still change."""

    def least(facts: Facts) -> int:
        days = [row["day"] if "day" in row else row["browser_time"].date() for row in facts.living(stream)]
        return 1 + (ceil(((max(days) - min(days)).days + 1) / 30) if facts.first and days else 1)

    return least


LEAST: Mapping[str, Formula] = {
    # A description, pages of 2,000, the count; lists that are always whole need no count.
    **{f"salesforce/{name}": listed(name, 2000, beside=2) for name in SALESFORCE},
    "salesforce/opportunity_stages": listed("opportunity_stages", 2000, beside=1),
    "salesforce/record_types": listed("record_types", 2000, beside=1),
    # Descriptions of what no read before has described: the two objects that the invented org lacks, and its custom one,
    # which is read after and needs none then.
    "salesforce/fields": once(3),
    "salesforce/product_request__c": listed("product_request__c", 2000, beside=1),
    # One request for each project brings its components and its versions.
    "jira/projects": lambda facts: facts.pages(facts.arrived["projects"], 100) + facts.arrived["projects"],
    "jira/fields": once(1),
    "jira/statuses": once(1),
    "jira/issue_types": once(1),
    "jira/priorities": listed("priorities", 50),
    "jira/resolutions": listed("resolutions", 50),
    "jira/users": listed("users", 1000, beside=1),  # pages may be short: only one without anybody new is the last
    "jira/boards": boards,
    "jira/issues": issues,
    # Pages of the ids of all entries, and the entries that changed, asked for by a thousand ids. The list hides the last
    # minute: a search tells on which issues an entry that is known may be edited just then.
    "jira/worklogs": lambda facts: (
        facts.pages(len(facts.living("worklogs")), 1000) + ceil(facts.arrived["worklogs"] / 1000) + (0 if facts.first else 1)
    ),
    # Exports by the thousand; search counts tickets, users and organizations.
    "zendesk/tickets": listed("tickets", 1000, beside=1),
    "zendesk/users": listed("users", 1000, beside=1),
    "zendesk/organizations": listed("organizations", 1000, beside=1),
    "zendesk/ticket_metric_events": listed("ticket_metric_events", 1000),
    # The export is of updates, each of which makes many rows of both tables.
    "zendesk/ticket_events": lambda facts: facts.pages(
        len({row["audit_id"] for name in ("ticket_events", "comments") for row in facts.tables[name]}), 1000
    ),
    **{f"zendesk/{name}": listed(name, 100) for name in ZENDESK_LISTS},
    # In full they prove themselves; those of the last weeks leave the rest to a count.
    "zendesk/satisfaction_ratings": lambda facts: (
        facts.pages(facts.arrived["satisfaction_ratings"], 100) + (0 if facts.first else 1)
    ),
    "zendesk/schedules": lambda facts: 1 + facts.arrived["schedules"],  # holidays come one schedule at a time
    "zendesk/jira_links": listed("jira_links", 1000),
    # The export hides the last minute, which the list tells of.
    "zendesk/articles": lambda facts: facts.pages(facts.arrived["articles"], 1000) + (0 if facts.first else 1),
    "pendo/accounts": once(2),  # all, and the count
    "pendo/visitors": once(2),
    "pendo/features": once(1),
    "pendo/pages": once(1),
    "pendo/guides": once(1),
    "pendo/metadata": once(2),  # of visitors, of accounts
    **{f"pendo/{name}": events(name) for name in EVENTS},
}
