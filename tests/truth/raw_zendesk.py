"""What Zendesk's raw tables must hold, from the world's own records.

Here belongs no connector's code: rows are put together from tickets, updates and settings as the invented company keeps them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from html.parser import HTMLParser
from typing import Any

from connectors.sandbox import product
from connectors.sandbox.world import Record, World
from connectors.sandbox.zendesk_exports import API, SITE
from tests.truth.calendar import moment
from tests.truth.cases import Case, Key, Row

_MINUTES = (
    "reply_time", "first_resolution_time", "full_resolution_time", "agent_wait_time", "requester_wait_time", "on_hold_time",
)  # fmt: skip
_TAGGED_WITHIN = timedelta(days=60)


def _picked(record: Record, columns: str) -> Row:
    return {name: record[name] for name in columns.split()}


def _moments(record: Record, columns: str = "created_at updated_at") -> Row:
    return {name: moment(record[name]) for name in columns.split()}


# tickets and what hangs on them ---------------------------------------------------------------------------------------


def tickets(world: World) -> dict[Key, Row]:
    same = (
        "id subject description status custom_status_id type priority organization_id requester_id submitter_id assignee_id "
        "group_id brand_id ticket_form_id external_id tags custom_fields generated_timestamp"
    )
    return {
        (ticket["id"],): {
            **_picked(ticket, same),
            **_moments(ticket, "due_at created_at updated_at"),
            "channel": ticket["via"]["channel"],
            "satisfaction_score": ticket["satisfaction_rating"]["score"],
            "solved_at": moment(ticket["metric_set"]["solved_at"]),
            "feature": None,
        }
        for ticket in world.alive("ticket")
    }


def ticket_metrics(world: World) -> dict[Key, Row]:
    return {(ticket["id"],): _metrics(ticket, ticket["metric_set"]) for ticket in world.alive("ticket")}


def _metrics(ticket: Record, metrics: Record) -> Row:
    minutes = {
        f"{name}_in_minutes_{kind}": metrics[f"{name}_in_minutes"][kind]
        for name in _MINUTES
        for kind in ("calendar", "business")
    }
    stamps = (
        "initially_assigned_at assigned_at solved_at status_updated_at assignee_updated_at requester_updated_at "
        "latest_comment_added_at created_at updated_at"
    )
    return {
        **_picked(metrics, "id ticket_id reopens replies group_stations assignee_stations"),
        **minutes,
        **_moments(metrics, stamps),
        "reply_time_in_seconds": None,
        "ticket_status": ticket["status"],
        "ticket_created_at": moment(ticket["created_at"]),
        "generated_timestamp": ticket["generated_timestamp"],
    }


def _audits(world: World) -> Iterator[Record]:
    return (each for each in world.store("ticket_audit").values() if "_deleted_at" not in world.tickets[each["ticket_id"]])


def ticket_events(world: World) -> dict[Key, Row]:
    return {(event["id"],): _event(audit, event) for audit in _audits(world) for event in audit["events"]}


def _event(audit: Record, event: Record) -> Row:
    before, after = event.get("previous_value"), event.get("value")
    retagged = event.get("field_name") == "tags" and event["type"] == "Change"
    return {
        "id": event["id"],
        "ticket_id": audit["ticket_id"],
        "audit_id": audit["id"],
        "event_type": event["type"],
        "field_name": event.get("field_name"),
        "value": _text(after),
        "previous_value": None if retagged else _text(before),
        "added_tags": [tag for tag in after if tag not in before] if retagged else None,
        "removed_tags": [tag for tag in before if tag not in after] if retagged else None,
        "updater_id": audit["author_id"],
        "created_at": moment(audit["created_at"]),
    }


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def comments(world: World) -> dict[Key, Row]:
    every = (world.store("ticket_comment")[audit["_comment"]] for audit in _audits(world) if audit["_comment"])
    return {
        (comment["id"],): {
            **_picked(comment, "id audit_id author_id public body html_body plain_body attachments"),
            "ticket_id": comment["_ticket_id"],
            "channel": comment["via"]["channel"],
            "created_at": moment(comment["created_at"]),
        }
        for comment in every
    }


def ticket_metric_events(world: World) -> dict[Key, Row]:
    return {
        (event["id"],): {
            **_picked(event, "id ticket_id metric instance_id type deleted"),
            "time": moment(event["time"]),
            **{name: event.get(name) for name in ("status", "sla", "group_sla")},
        }
        for event in world.alive("ticket_metric_event")
    }


def satisfaction_ratings(world: World) -> dict[Key, Row]:
    same = "id ticket_id score comment reason reason_id requester_id assignee_id group_id"
    return {(each["id"],): {**_picked(each, same), **_moments(each)} for each in world.alive("satisfaction_rating")}


def tags(world: World) -> dict[Key, Row]:
    lately = [each for each in world.alive("ticket") if (moment(each["updated_at"]) or world.now) >= world.now - _TAGGED_WITHIN]
    used = Counter(tag for ticket in lately for tag in ticket["tags"])
    return {(tag,): {"name": tag, "count": count} for tag, count in used.items()}


# people and companies -------------------------------------------------------------------------------------------------


def users(world: World) -> dict[Key, Row]:
    same = (
        "id name email alias phone role custom_role_id default_group_id organization_id external_id active suspended verified "
        "time_zone locale tags user_fields"
    )
    return {
        (user["id"],): {**_picked(user, same), **_moments(user, "last_login_at created_at updated_at")}
        for user in world.alive("zendesk_user")
    }


def organizations(world: World) -> dict[Key, Row]:
    same = "id name external_id domain_names group_id details notes shared_tickets tags organization_fields"
    return {
        (each["id"],): {**_picked(each, same), **_moments(each, "created_at updated_at deleted_at"), "salesforce_id": None}
        for each in world.alive("organization")
    }


def organization_memberships(world: World) -> dict[Key, Row]:
    return {
        (each["id"],): {
            **_picked(each, "id user_id organization_id default view_tickets"),
            **_moments(each),
            "organization_name": world.organizations[each["organization_id"]]["name"],
        }
        for each in world.alive("organization_membership")
    }


# what is set up -------------------------------------------------------------------------------------------------------


def _listed(kind: str, columns: str) -> Callable[[World], dict[Key, Row]]:
    def rows(world: World) -> dict[Key, Row]:
        return {(each["id"],): {**_picked(each, columns), **_moments(each)} for each in world.alive(kind)}

    return rows


_FIELD = "id type title description active position tag custom_field_options regexp_for_validation "


def holidays(world: World) -> dict[Key, Row]:
    return {
        (each["id"],): {
            **_picked(each, "id schedule_id name"),
            **{name: date.fromisoformat(each[name]) for name in ("start_date", "end_date")},
        }
        for each in world.alive("holiday")
    }


def jira_links(world: World) -> dict[Key, Row]:
    return {
        (link["id"],): {
            **_picked(link, "id issue_id issue_key"),
            **_moments(link),
            "integration": None,
            "ticket_id": int(link["ticket_id"]),
            "url": f"{SITE}{API}/jira/links/{link['id']}.json",
        }
        for link in world.alive("jira_link")
    }


class _Lines(HTMLParser):
    """The text of HTML by lines."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.lines = [""]
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.lines[-1] += data

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "br":
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h1", "p", "li", "ul"):
            self.lines.append("")


def articles(world: World) -> dict[Key, Row]:
    same = (
        "id title body author_id section_id locale draft promoted outdated position label_names content_tag_ids "
        "user_segment_id permission_group_id vote_sum vote_count html_url"
    )
    return {
        (each["id"],): {
            **_picked(each, same),
            **_moments(each, "created_at updated_at edited_at"),
            "plain_body": "\n".join(filter(None, (" ".join(line.split()) for line in _Lines(each["body"]).lines))),
        }
        for each in world.alive("article")
    }


# how they come, change and go -----------------------------------------------------------------------------------------


def _ticket(world: World, **fields: Any) -> Record:
    asker = next(world.alive("zendesk_user"))["id"]
    return world.create("ticket", requester_id=asker, subject="It fails", description="It <always> fails & stops.", **fields)


def _last(world: World, kind: str) -> Record:
    return list(world.alive(kind))[-1]


def make_tickets(world: World, number: int) -> None:
    for place in range(number):
        _ticket(world, tags=[f"tag{place}"], priority="high")


def _a_ticket(world: World) -> Record:
    return _last(world, "ticket") if any(world.alive("ticket")) else _ticket(world)


def make_events(world: World, number: int) -> None:
    for place in range(number):
        ticket = _a_ticket(world)
        world.change("ticket", ticket["id"], priority=("low", "high")[ticket["priority"] == "low"], tags=[f"tag{place}"])
        world.tick(place % 2)


def make_comments(world: World, number: int) -> None:
    for place in range(number):
        if not any(world.alive("ticket")):
            _ticket(world)
            continue
        world.create("ticket_comment", ticket_id=_a_ticket(world)["id"], body=f"Number {place}", public=place % 2 == 0)


def make_metric_events(world: World, number: int) -> None:
    for _ in range(number):
        ticket = _a_ticket(world)["id"]
        world.create("ticket_metric_event", ticket_id=ticket, metric="reply_time", instance_id=1, type="measure")


def make_ratings(world: World, number: int) -> None:
    for _ in range(number):
        _ticket(world, satisfaction_rating={"score": "offered"})


def make_tags(world: World, number: int) -> None:
    _ticket(world, tags=[f"word{world.number('made tag')}" for _ in range(number)])


def _redact(world: World) -> None:
    comment = next(iter(comments(world).values()))
    world.change("ticket_comment", comment["id"], body="▇▇▇")


def _rate(world: World) -> None:
    world.change("ticket", _last(world, "satisfaction_rating")["ticket_id"], satisfaction_rating={"score": "good"})


def _untag(world: World) -> None:
    ticket = next(ticket for ticket in world.alive("ticket") if ticket["tags"])
    world.change("ticket", ticket["id"], tags=ticket["tags"][:-1])


def _solve(world: World) -> None:
    world.change("ticket", _last(world, "ticket")["id"], status="solved")


def _delete_ticket(world: World) -> None:
    world.delete("ticket", next(world.alive("ticket"))["id"])


def _undelete_ticket(world: World) -> None:
    world.undelete("ticket", [each["id"] for each in world.tickets.values() if "_deleted_at" in each][-1])


def make_memberships(world: World, number: int) -> None:
    for place in range(number):
        organization = world.create("organization", name=f"Company {place}")
        user = next(world.alive("zendesk_user"))
        world.create("organization_membership", user_id=user["id"], organization_id=organization["id"])


def make_links(world: World, number: int) -> None:
    for _ in range(number):
        issue = product.issue(world, "Bug", "It fails", "CORE", "To Do", "Access")
        world.create("jira_link", ticket_id=_a_ticket(world)["id"], issue_id=issue["id"])


def make_holidays(world: World, number: int) -> None:
    for place in range(number):
        schedules = list(world.alive("schedule")) or [world.create("schedule", name="Office")]
        world.create("holiday", schedule_id=schedules[-1]["id"], name=f"Day {place}")


def _making(kind: str, **fields: Any) -> Callable[[World, int], None]:
    def make(world: World, number: int) -> None:
        for place in range(number):
            given = {name: value.format(place) if isinstance(value, str) else value for name, value in fields.items()}
            world.create(kind, **given)

    return make


def _changing(kind: str, **fields: Any) -> Callable[[World], None]:
    return lambda world: world.change(kind, _last(world, kind)["id"], **fields) and None


def _deleting(kind: str) -> Callable[[World], None]:
    return lambda world: world.delete(kind, _last(world, kind)["id"]) and None


def _set_up(kind: str, columns: str, name: str = "name", **more: Any) -> Case:
    make = _making(kind, **{name: "Number {}"}, **more)
    return Case(_listed(kind, columns), make, _changing(kind, **{name: "Renamed"}), _deleting(kind))


CASES: dict[str, Case] = {
    "tickets": Case(tickets, make_tickets, _changing("ticket", priority="urgent"), _delete_ticket, _undelete_ticket),
    "ticket_metrics": Case(ticket_metrics, make_tickets, _solve, _delete_ticket, _undelete_ticket),
    "ticket_events": Case(ticket_events, make_events, None, _delete_ticket, _undelete_ticket),
    "comments": Case(comments, make_comments, _redact, _delete_ticket, _undelete_ticket),
    "ticket_metric_events": Case(ticket_metric_events, make_metric_events, None, _delete_ticket, _undelete_ticket),
    "users": Case(
        users, _making("zendesk_user", name="Person {}"), _changing("zendesk_user", phone="+45 1"), _deleting("zendesk_user")
    ),
    "organizations": Case(
        organizations, _making("organization", name="Company {}"), _changing("organization", details="Big"),
        _deleting("organization"),
    ),
    "organization_memberships": Case(
        organization_memberships, make_memberships, _changing("organization_membership", view_tickets=False),
        _deleting("organization_membership"),
    ),
    "groups": _set_up("group", "id name description default is_public deleted"),
    "brands": _set_up(
        "brand", "id name subdomain brand_url host_mapping active default is_deleted has_help_center help_center_state "
        "ticket_form_ids",
    ),
    "ticket_fields": _set_up(
        "ticket_field", _FIELD + "title_in_portal required visible_in_portal removable system_field_options", "title"
    ),
    "user_fields": _set_up("user_field", _FIELD + "key system", "title", key="key_{}"),
    "organization_fields": _set_up("organization_field", _FIELD + "key system", "title", key="key_{}"),
    "ticket_forms": _set_up(
        "ticket_form", "id name display_name active default end_user_visible in_all_brands restricted_brand_ids position "
        "ticket_field_ids agent_conditions end_user_conditions",
    ),
    "custom_statuses": _set_up(
        "custom_status", "id status_category agent_label end_user_label description end_user_description active default",
        "agent_label",
    ),
    "satisfaction_ratings": Case(satisfaction_ratings, make_ratings, _rate, _deleting("satisfaction_rating")),
    "tags": Case(tags, make_tags, lambda world: _ticket(world, tags=["word0"]) and None, _untag),
    "sla_policies": _set_up("sla_policy", "id title description position filter policy_metrics", "title"),
    "schedules": _set_up("schedule", "id name time_zone intervals"),
    "holidays": Case(holidays, make_holidays, _changing("holiday", end_date="2026-12-28"), _deleting("holiday")),
    "jira_links": Case(jira_links, make_links, None, _deleting("jira_link")),
    "articles": Case(
        articles, _making("article", title="Number {}", body="<p>How to</p><p>do &amp; not do</p>"),
        _changing("article", body="<p>Changed<br>and longer</p>"), _deleting("article"),
    ),
}  # fmt: skip
