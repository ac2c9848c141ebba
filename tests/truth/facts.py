"""Deals, tickets, issues, the links between these two, people and usage, one row per living thing, by its columns' names.

Here belongs what follows from one record and those that it points to.
Not here: who is which company, or what anything adds up to.
"""

from __future__ import annotations

import hmac
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any

from connectors.sandbox.jira_site import CUSTOMER, PRODUCT_AREA
from connectors.sandbox.world import Record, World
from tests.truth import raw_pendo
from tests.truth.calendar import at, day, moment, months_after
from tests.truth.identity import Place, account_place, organization_place, usage_place

Row = dict[str, Any]

FEATURE_TYPES = ("Epic", "Idea", "New Feature")
DECLINED = ("Won't Do", "Declined", "Won't Fix")
PRIVACY_KEY = "everybody's"
_KEY = re.compile(r"\b[A-Z][A-Z0-9_]*-[1-9][0-9]*\b")


@dataclass(frozen=True)
class Seen:
    """The world at one moment, with the customer of every living account and organization."""

    world: World
    today: date
    customer_of: Mapping[Place, str]

    def customer_of_account(self, account_id: str | None) -> str | None:
        return self.customer_of.get(account_place(account_id)) if account_id else None

    def customer_of_organization(self, organization_id: int | None) -> str | None:
        return self.customer_of.get(organization_place(organization_id)) if organization_id else None

    def issue(self, issue_id: str | None) -> Record | None:
        """The issue, if it is there to be read."""
        found = self.world.issues.get(issue_id or "")
        return found if found and "_deleted_at" not in found else None


def filled(value: str | None) -> bool:
    return bool(value and value.strip())


def hashed(value: str | None) -> str | None:
    """How the name or the address of a customer's person is shown."""
    key = hmac.new(PRIVACY_KEY.encode(), b"customers' people", sha256).hexdigest()
    return value and sha256(f"{key}{value}".encode()).hexdigest()[:16]


# deals ------------------------------------------------------------------------------------------------------------


def deals(seen: Seen) -> dict[str, Row]:
    return {deal["Id"]: _deal(seen, deal) for deal in seen.world.alive("opportunity")}


def _deal(seen: Seen, deal: Record) -> Row:
    owner = seen.world.salesforce_users.get(deal["OwnerId"], {})
    created, closing = at(deal["CreatedDate"]), date.fromisoformat(deal["CloseDate"])
    won, lost = deal["IsWon"], deal["IsClosed"] and not deal["IsWon"]
    blocker = named_issue(seen, deal["Blocking_Feature__c"])
    reason = (named_issue(seen, deal["Loss_Reason__c"]) or blocker) if lost else None
    amount = deal["Amount"]
    return {
        "tool": "salesforce",
        "customer_id": seen.customer_of_account(deal["AccountId"]),
        "account_id": deal["AccountId"],
        "name": deal["Name"],
        "type": deal["Type"],
        "owner_name": owner.get("Name"),
        "owner_email": owner.get("Email"),
        "stage": deal["StageName"],
        "forecast_category": deal["ForecastCategory"],
        "probability": deal["Probability"],
        "amount": amount,
        "currency": "USD",
        "original_amount": amount,
        "original_currency": "USD",
        "amount_weighted": None if amount is None else round(amount * deal["Probability"] / 100, 2),
        "is_open": not deal["IsClosed"],
        "is_won": won,
        "is_lost": lost,
        "created_at": created,
        "created_on": created.date(),
        "close_date": closing,
        "days_to_close": max(0, (closing - created.date()).days) if deal["IsClosed"] else None,
        "term_start": closing if won else None,
        "term_end": months_after(closing, 12) if won else None,
        "loss_reason": deal["Loss_Reason__c"],
        "has_blocker": filled(deal["Blocking_Feature__c"]),
        "blocker": deal["Blocking_Feature__c"],
        "blocker_issue_id": blocker and blocker["id"],
        "blocker_issue_key": blocker and blocker["key"],
        "blocker_feature_id": feature_of(seen, blocker),
        "loss_issue_id": reason and reason["id"],
        "loss_feature_id": feature_of(seen, reason),
        "next_step": deal["NextStep"],
    }


def named_issue(seen: Seen, value: str | None) -> Record | None:
    """The issue that a field means: by a word that the settings map, or by a key that it has or had, alone or in an address."""
    if not filled(value):
        return None
    assert value is not None
    found = _KEY.search(seen.world.feature_values.get(value, value))
    return seen.issue(seen.world.issue_ids.get(found.group())) if found else None


def named_issues(seen: Seen, *texts: str | None) -> list[Record]:
    """Every issue whose key stands in one of the texts."""
    keys = {key for text in texts for key in _KEY.findall(text or "")}
    found = [seen.issue(seen.world.issue_ids.get(key)) for key in sorted(keys)]
    return [issue for issue in found if issue is not None]


# tickets ----------------------------------------------------------------------------------------------------------


def tickets(seen: Seen) -> dict[str, Row]:
    return {str(ticket["id"]): _ticket(seen, ticket) for ticket in seen.world.alive("ticket")}


def _shown(seen: Seen, person: Record, field: str) -> str | None:
    """What is known of a person: of one who is deleted nothing, but that the address was one of our own; of customers'
    people as much as tells them apart."""
    value: str | None = person.get(field)
    if value is not None and not person["active"]:
        host = value.partition("@")[2]
        value = f"erased@{host}" if host in seen.world.internal_domains else None
    return hashed(value) if person.get("role") == "end-user" else value


def _ticket(seen: Seen, ticket: Record) -> Row:
    people = seen.world.zendesk_users
    requester, assignee = (people.get(ticket[f"{role}_id"], {}) for role in ("requester", "assignee"))
    created, solved = at(ticket["created_at"]), ticket["status"] in ("solved", "closed")
    asked_from = (requester.get("email") or "@").split("@")[1]
    score = ticket["satisfaction_rating"]["score"]
    return {
        "tool": "zendesk",
        "customer_id": seen.customer_of_organization(ticket["organization_id"]),
        "organization_id": ticket["organization_id"] and str(ticket["organization_id"]),
        "subject": ticket["subject"],
        "status": ticket["status"],
        "is_open": not solved,
        "type": ticket["type"],
        "priority": ticket["priority"],
        "is_escalated": "escalated" in ticket["tags"] or ticket["priority"] == "urgent",
        "is_inbound_question": asked_from in seen.world.internal_domains,
        "requester_id": str(ticket["requester_id"]),
        "requester_email": _shown(seen, requester, "email"),
        "assignee_id": ticket["assignee_id"] and str(ticket["assignee_id"]),
        "assignee_name": _shown(seen, assignee, "name"),
        "assignee_email": _shown(seen, assignee, "email"),
        "group_id": ticket["group_id"] and str(ticket["group_id"]),
        "channel": ticket["via"]["channel"],
        "satisfaction": score if score in ("good", "bad") else None,
        "created_at": created,
        "created_on": created.date(),
        "solved_at": moment(ticket["metric_set"]["solved_at"]) if solved else None,
        "age_days": None if solved else (seen.today - created.date()).days,
        "excerpt": (ticket["subject"] or ticket["description"])[:200],
    }


# issues -----------------------------------------------------------------------------------------------------------


def issues(seen: Seen) -> dict[str, Row]:
    names = _customers_by_name(seen)
    return {issue["id"]: _issue(seen, issue, names) for issue in seen.world.alive("issue")}


def is_done(issue: Record) -> bool:
    done: bool = issue["fields"]["status"]["statusCategory"]["key"] == "done"
    return done


def is_declined(issue: Record) -> bool:
    return is_done(issue) and (issue["fields"]["resolution"] or {}).get("name") in DECLINED


def is_feature(issue: Record) -> bool:
    return issue["fields"]["issuetype"]["name"] in FEATURE_TYPES


def feature_of(seen: Seen, issue: Record | None) -> str | None:
    """The feature that an issue serves: itself, else the nearest of its parents, three levels up at most."""
    for _ in range(4):
        if issue is None:
            return None
        if is_feature(issue):
            return f"jira:{issue['id']}"
        issue = seen.issue((issue["fields"]["parent"] or {}).get("id"))
    return None


def done_at(issue: Record) -> Any:
    return moment(issue["fields"]["statuscategorychangedate"]) if is_done(issue) else None


def lead_time_days(issue: Record) -> float | None:
    done = done_at(issue)
    return None if done is None else (done - at(issue["fields"]["created"])).total_seconds() / 86_400


def first_version(seen: Seen, issue: Record) -> Record | None:
    """The version in which an issue ships first. Issues name versions by id, as the world keeps them."""
    versions = [version_of(seen, version) for version in issue["fields"]["fixVersions"]]
    return min(versions, key=lambda version: version["releaseDate"]) if versions else None


def version_of(seen: Seen, version: Any) -> Record:
    found: Record = seen.world.versions[version["id"] if isinstance(version, dict) else version]
    return found


def _customers_by_name(seen: Seen) -> dict[str, set[str]]:
    named: dict[str, set[str]] = {}
    for account in seen.world.alive("account"):
        customer_id = seen.customer_of[account_place(account["Id"])]
        for name in (account["Name"], account["Id"], account["Id"][:15]):
            named.setdefault(name.strip().lower(), set()).add(customer_id)
    for organization in seen.world.alive("organization"):
        customer_id = seen.customer_of[organization_place(organization["id"])]
        named.setdefault(organization["name"].strip().lower(), set()).add(customer_id)
    return named


def _issue(seen: Seen, issue: Record, names: Mapping[str, set[str]]) -> Row:
    values = issue["fields"]
    version = first_version(seen, issue)
    assignee = values["assignee"] or {}
    meant = names.get((values[CUSTOMER] or "").strip().lower(), set())
    return {
        "tool": "jira",
        "issue_key": issue["key"],
        "summary": values["summary"],
        "issue_type": values["issuetype"]["name"],
        "is_feature": is_feature(issue),
        "is_bug": values["issuetype"]["name"] == "Bug",
        "feature_id": feature_of(seen, issue),
        "parent_id": values["parent"] and values["parent"]["id"],
        "project_key": values["project"]["key"],
        "product_area": values[PRODUCT_AREA] and values[PRODUCT_AREA]["value"],
        "status": values["status"]["name"],
        "status_category": values["status"]["statusCategory"]["key"],
        "is_done": is_done(issue),
        "is_declined": is_declined(issue),
        "resolution": values["resolution"] and values["resolution"]["name"],
        "priority": values["priority"]["name"],
        "assignee_name": assignee.get("displayName"),
        "assignee_email": assignee.get("emailAddress"),
        "customer": values[CUSTOMER],
        "customer_id": next(iter(meant)) if len(meant) == 1 else None,
        "created_at": at(values["created"]),
        "resolved_at": moment(values["resolutiondate"]),
        "done_at": done_at(issue),
        "due_date": day(values["duedate"]),
        "fix_version": version and version["name"],
        "release_date": version and day(version["releaseDate"]),
        "lead_time_days": lead_time_days(issue),
    }


# links ------------------------------------------------------------------------------------------------------------


def ticket_issue_links(seen: Seen) -> dict[tuple[str, str], Row]:
    """The links that stand now, one row per ticket and issue; those that were removed are the business of who saw them."""
    rows: dict[tuple[str, str], Row] = {}
    for link in seen.world.alive("jira_link"):
        issue = seen.issue(link["issue_id"])
        created = at(link["created_at"])
        key = (str(link["ticket_id"]), link["issue_id"])
        rows[key] = {
            "ticket_tool": "zendesk",
            "issue_tool": "jira",
            "issue_key": issue["key"] if issue else link["issue_key"],
            "issue_exists": issue is not None,
            "feature_id": feature_of(seen, issue),
            "first_seen": min(created, rows[key]["first_seen"]) if key in rows else created,
            "removed_at": None,
        }
    return rows


# usage ------------------------------------------------------------------------------------------------------------


def usage(seen: Seen) -> dict[tuple[str, str, str, date], Row]:
    """How often each visitor used each feature for an account on a day, with whatever browser."""
    events: Counter[tuple[str, str, str, date]] = Counter()
    for row in raw_pendo.CASES["feature_events"].rows(seen.world).values():
        visitor = _visitor(row["visitor_id"])
        events[row["account_id"], visitor, row["feature_id"], row["day"]] += row["num_events"]
    return {key: {"tool": "pendo", "events": number} for key, number in events.items()}


def usage_daily(seen: Seen) -> dict[tuple[str, date], Row]:
    """How many people of each customer used it on a day, and how often."""
    found: dict[tuple[str, date], _Used] = defaultdict(_Used)
    for (account, visitor, _, when), row in usage(seen).items():
        if customer := seen.customer_of.get(usage_place(account)):
            found[customer, when].add(visitor, row["events"])
    return {key: {"active_users": len(used.people) or None, "events": used.events} for key, used in found.items()}


def feature_usage_daily(seen: Seen) -> dict[tuple[str, str, date], Row]:
    """The same for each feature."""
    found: dict[tuple[str, str, date], _Used] = defaultdict(_Used)
    for (account, visitor, feature, when), row in usage(seen).items():
        if customer := seen.customer_of.get(usage_place(account)):
            found[customer, f"pendo:{feature}", when].add(visitor, row["events"])
    return {key: {"users": len(used.people) or None, "events": used.events} for key, used in found.items()}


@dataclass
class _Used:
    people: set[str] = field(default_factory=set)
    events: int = 0

    def add(self, visitor: str, events: int) -> None:
        self.people |= {visitor} - {""}
        self.events += events


def visitors(seen: Seen) -> dict[str, Row]:
    """The people who use the product for one account alone."""
    return {
        _visitor(visitor["visitorId"]): {
            "email": hashed(visitor["metadata"]["agent"].get("email") or _address(visitor["visitorId"])),
            "role": "end-user",
            "record_id": visitor["metadata"]["auto"]["accountids"][0],
            "name": hashed(visitor["metadata"]["agent"].get("full_name")),
            "active": True,
        }
        for visitor in seen.world.alive("visitor")
        if len(visitor["metadata"]["auto"]["accountids"]) == 1
    }


def _visitor(visitor_id: str) -> str:
    return hashed(visitor_id) or "" if "@" in visitor_id else visitor_id


def _address(visitor_id: str) -> str | None:
    return visitor_id.lower() if "@" in visitor_id else None
