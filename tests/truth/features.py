"""What customers said for which feature, and what each feature's demand adds up to.

Here belong evidence and the figures that count each customer and each deal once. Not here: what a deal or a ticket is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from connectors.sandbox.jira_site import CUSTOMER, PRODUCT_AREA
from connectors.sandbox.world import Record
from tests.truth import facts
from tests.truth.calendar import at, day, midnight, months_after
from tests.truth.customers import known_sum, money_at_stake, running
from tests.truth.facts import Row, Seen

_STATUSES = {"new": "requested", "indeterminate": "in_progress", "done": "shipped"}
_GRAVITY = {"urgent": "critical", "Highest": "critical", "high": "important", "High": "important"}
_SURENESS = ("field", "declared", "issue_link", "key_in_text", None)

Key = tuple[str, str, str | None]  # kind, record, feature


@dataclass(frozen=True)
class Parts:
    """What evidence is made of."""

    seen: Seen
    profiles: Mapping[str, Row]
    deals: Mapping[str, Row]
    tickets: Mapping[str, Row]
    issues: Mapping[str, Row]
    links: Mapping[tuple[str, str], Row]


# features ---------------------------------------------------------------------------------------------------------


def profiles(seen: Seen) -> dict[str, Row]:
    return {f"jira:{issue['id']}": _profile(seen, issue) for issue in seen.world.alive("issue") if facts.is_feature(issue)}


def _profile(seen: Seen, issue: Record) -> Row:
    values = issue["fields"]
    version = facts.first_version(seen, issue)
    status = "declined" if facts.is_declined(issue) else _STATUSES[values["status"]["statusCategory"]["key"]]
    if status == "requested" and (values["duedate"] or version):
        status = "planned"
    assignee = values["assignee"] or {}
    return {
        "name": values["summary"],
        "product_area": values[PRODUCT_AREA] and values[PRODUCT_AREA]["value"],
        "status": status,
        "jira_key": issue["key"],
        "owner": assignee.get("displayName"),
        "owner_email": assignee.get("emailAddress"),
        "requested_at": at(values["created"]),
        "shipped_at": shipped_at(seen, issue),
        "target_date": day(values["duedate"]) or (version and day(version["releaseDate"])),
        "lead_time_days": facts.lead_time_days(issue),
    }


def shipped_at(seen: Seen, issue: Record) -> datetime | None:
    if not facts.is_done(issue) or facts.is_declined(issue):
        return None
    version = facts.first_version(seen, issue)
    done: datetime = facts.done_at(issue)
    return midnight(date.fromisoformat(version["releaseDate"])) if version and version["released"] else done


# evidence ---------------------------------------------------------------------------------------------------------


def evidence(parts: Parts) -> dict[Key, Row]:
    rows: dict[Key, Row] = {}
    for row in (*_from_tickets(parts), *_from_deals(parts), *_from_issues(parts)):
        key = (row["kind"], row["record_id"], row["feature_id"])
        known = rows.get(key)
        if known is None or _SURENESS.index(row["link_method"]) < _SURENESS.index(known["link_method"]):
            rows[key] = row
    spoken_for = {key[:2] for key in rows if key[2] is not None}
    return {key: row for key, row in rows.items() if key[2] is not None or key[:2] not in spoken_for}


def _row(parts: Parts, kind: str, record_id: str, about: Row, occurred_at: datetime, severity: str, **link: Any) -> Row:
    return {
        "kind": kind,
        "record_id": record_id,
        "customer_id": about["customer_id"],
        "feature_id": None,
        "link_method": None,
        "paying_at_time": _paying_at(parts, about["customer_id"], occurred_at),
        "severity": severity,
        "occurred_at": occurred_at,
        **link,
    }


def _paying_at(parts: Parts, customer_id: str | None, moment: datetime) -> bool | None:
    """Whether a won term ran then; nobody knows about the time before the customer's first deal was entered."""
    deals = [deal for deal in parts.deals.values() if customer_id and deal["customer_id"] == customer_id]
    if not deals or moment.date() < min(deal["created_on"] for deal in deals):
        return None
    return any(running(deal, moment.date()) for deal in deals)


def _from_tickets(parts: Parts) -> Iterator[Row]:
    linked: dict[str, list[tuple[Record, str]]] = {}
    for ticket_id, issue_id in parts.links:
        if issue := parts.seen.issue(issue_id):
            linked.setdefault(ticket_id, []).append((issue, "issue_link"))
    for ticket_id, ticket in parts.tickets.items():
        record = parts.seen.world.tickets[int(ticket_id)]
        texts = (record["subject"], record["description"])
        about = linked.get(ticket_id, []) + [(issue, "key_in_text") for issue in facts.named_issues(parts.seen, *texts)]
        severity = _GRAVITY.get(ticket["priority"], "nice")
        kind = "inbound_question" if ticket["is_inbound_question"] else "ticket"
        said: tuple[Any, ...] = (parts, kind, ticket_id, ticket, ticket["created_at"], severity)
        yield _row(*said, active=True)
        for issue, method in about:
            if feature_id := facts.feature_of(parts.seen, issue):
                declined = not ticket["is_open"] and facts.is_declined(issue)
                active = not declined and not _shipped_before(parts, feature_id, ticket["created_at"])
                yield _row(*said, feature_id=feature_id, link_method=method, active=active)


def _from_deals(parts: Parts) -> Iterator[Row]:
    """What a deal waits for, or was lost for. A loss of which nobody said anything is no voice."""
    for deal_id, deal in parts.deals.items():
        if deal["is_lost"] and (facts.filled(deal["loss_reason"]) or deal["has_blocker"]):
            kind, severity, feature_id = "deal_loss", "important", deal["loss_feature_id"]
            occurred_at = midnight(deal["close_date"])
        elif deal["has_blocker"] and not deal["is_lost"]:
            kind, feature_id = "deal_blocker", deal["blocker_feature_id"]
            severity, occurred_at = "critical" if deal["is_open"] else "nice", deal["created_at"]
        else:
            continue
        recent = deal["is_open"] or deal["close_date"] > months_after(parts.seen.today, -12)
        active = recent and not _shipped_before(parts, feature_id, occurred_at)
        method = "field" if feature_id else None
        link = {"feature_id": feature_id, "link_method": method, "active": active}
        yield _row(parts, kind, deal_id, deal, occurred_at, severity, **link)


def _from_issues(parts: Parts) -> Iterator[Row]:
    for issue_id, issue in parts.issues.items():
        if facts.filled(parts.seen.world.issues[issue_id]["fields"][CUSTOMER]):
            feature_id = issue["feature_id"]
            link = {
                "feature_id": feature_id,
                "link_method": feature_id and ("declared" if issue["is_feature"] else "issue_link"),
                "active": not issue["is_declined"] and not _shipped_before(parts, feature_id, issue["created_at"]),
            }
            severity = _GRAVITY.get(issue["priority"], "nice")
            yield _row(parts, "issue", issue_id, issue, issue["created_at"], severity, **link)


def _shipped_before(parts: Parts, feature_id: str | None, moment: datetime) -> bool:
    if feature_id is None:
        return False
    shipped = shipped_at(parts.seen, parts.seen.world.issues[feature_id.removeprefix("jira:")])
    return shipped is not None and shipped < moment


# demand -----------------------------------------------------------------------------------------------------------


def features(parts: Parts, evidence: Iterable[Row], gaps: Iterable[Row]) -> dict[str, Row]:
    """The features' profiles with everything that hangs on them."""
    evidence, gaps = list(evidence), list(gaps)
    return {
        feature_id: {
            **profile,
            **_demand(parts, [row for row in evidence if row["feature_id"] == feature_id]),
            **_pipeline(parts, feature_id),
            "open_bugs": sum(
                issue["is_bug"] and not issue["is_done"] and issue["feature_id"] == feature_id
                for issue in parts.issues.values()
            ),
            **_gaps([gap for gap in gaps if gap["feature_id"] == feature_id]),
        }
        for feature_id, profile in profiles(parts.seen).items()
    }


def _demand(parts: Parts, evidence: list[Row]) -> Row:
    active = [row for row in evidence if row["active"] and row["customer_id"]]
    asking = {row["customer_id"]: parts.profiles[row["customer_id"]] for row in active}
    asking = {customer_id: profile for customer_id, profile in asking.items() if profile["lifecycle"] != "internal"}
    paying = {customer_id: profile for customer_id, profile in asking.items() if profile["lifecycle"] == "paying"}
    renewing_until = parts.seen.today + timedelta(days=90)
    at_risk = {
        row["customer_id"]
        for row in active
        if row["customer_id"] in paying
        and (
            row["severity"] == "critical"
            or (row["severity"] == "important" and paying[row["customer_id"]]["renewal_date"] <= renewing_until)
        )
    }
    known = [row for row in evidence if row["customer_id"] and parts.profiles[row["customer_id"]]["arr"] is not None]
    return {
        "customers_requesting": len(asking),
        "paying_requesting": len(paying),
        "prospects_requesting": sum(profile["lifecycle"] == "prospect" for profile in asking.values()),
        "arr_requesting": known_sum(profile["arr"] for profile in paying.values()),
        "arr_at_risk": known_sum(paying[customer_id]["arr"] for customer_id in at_risk),
        "tickets": len({row["record_id"] for row in evidence if row["kind"] == "ticket"}),
        "evidence_coverage": len(known) / len(evidence) if evidence else None,
    }


def _pipeline(parts: Parts, feature_id: str) -> Row:
    blocked = [deal for deal in parts.deals.values() if deal["is_open"] and deal["blocker_feature_id"] == feature_id]
    since = months_after(parts.seen.today, -12)
    lost = [deal for deal in parts.deals.values() if deal["is_lost"] and deal["loss_feature_id"] == feature_id]
    named = [
        deal
        for deal in parts.deals.values()
        if not deal["is_open"] and feature_id in (deal["blocker_feature_id"], deal["loss_feature_id"])
    ]
    return {
        "pipeline_blocked": known_sum(deal["amount"] for deal in blocked),
        "pipeline_blocked_weighted": known_sum(deal["amount_weighted"] for deal in blocked),
        "lost_to_gap_12m": known_sum(deal["amount"] for deal in lost if deal["close_date"] > since),
        "survival_rate": sum(deal["is_won"] for deal in named) / len(named) if named else None,
    }


def _gaps(gaps: list[Row]) -> Row:
    return {"open_gaps": len(gaps), "money_at_stake": money_at_stake(gaps)}
