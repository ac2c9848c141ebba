"""What the stand-in for Zendesk exports: by cursor, or by time alone with the last second of each page repeated.

Here belong the incremental exports and the history of one ticket. Not here: lists, counts, logins or limits.
"""

from __future__ import annotations

import base64
import time
from abc import abstractmethod
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from connectors.sandbox import zendesk_desk
from connectors.sandbox.server import RefusedError, Reply, Server
from connectors.sandbox.world import Record

API = "/api/v2"
SITE = "https://quillmere.zendesk.com"  # what records name as their address
_SETTLED = 60  # the exports leave the last minute out


def failure(status: int, error: Any, description: str, headers: Mapping[str, str] | None = None) -> RefusedError:
    return RefusedError(status, {"error": error, "description": description}, headers)


class Exports(Server):
    crowded_seconds = False  # whether a page of the help center's export ends where it is full, be it within a second
    empty_pages = True  # long exports have an empty page in their middle, as the vendor's sometimes do

    def export_tickets(self, request: Request) -> Reply:
        metrics = "metric_sets" in request.query_params.get("include", "").split(",")
        ids, reply = self._by_cursor(request, "ticket")
        return Reply({"tickets": [self.ticket(self.world.tickets[record_id], metrics) for record_id in ids], **reply})

    def export_users(self, request: Request) -> Reply:
        ids, reply = self._by_cursor(request, "zendesk_user")
        return Reply({"users": [self.shown("users", self.world.zendesk_users[record_id]) for record_id in ids], **reply})

    def _by_cursor(self, request: Request, kind: str) -> tuple[list[int], Record]:
        """The ids of a page, and what the reply says about the next one. A cursor holds the last stamp and id."""
        parameters = request.query_params
        size = self.page(min(1000, max(1, int(parameters.get("per_page", 1000)))))
        if cursor := parameters.get("cursor"):
            place, empty = _read_cursor(cursor)
        else:
            place, empty = (self._start_time(parameters), 0), False
        order = self._settled(kind)
        start = bisect_right(order, self._stamped(kind, place))
        page = [] if empty else order[start : start + size]
        last = (self._seconds(page[-1][0]), page[-1][1]) if page else place
        ended = not empty and start + size >= len(order)
        follows_empty = self.empty_pages and not ended and not cursor
        after = _cursor(last, follows_empty)
        rest = {name: value for name, value in parameters.items() if name not in ("cursor", "start_time")}
        url = f"{self.base_url}{request.url.path}?{urlencode({**rest, 'cursor': after})}"
        return [record_id for _, record_id in page], {
            "after_url": url,
            "after_cursor": after,
            "before_url": None,
            "before_cursor": None,
            "end_of_stream": ended,
        }

    def export_organizations(self, request: Request) -> Reply:
        return self._by_time(request, "organization", "organizations", lambda each: self.shown("organizations", each))

    def export_ticket_events(self, request: Request) -> Reply:
        """Every update of every ticket that was not forgotten for good, deleted ones included."""
        comments = "comment_events" in request.query_params.get("include", "").split(",")

        def remembered(audit: Record) -> bool:
            return bool(self.world.tickets[audit["ticket_id"]]["subject"] != "SCRUBBED")

        return self._by_time(
            request, "ticket_audit", "ticket_events", lambda audit: self._ticket_event(audit, comments), remembered
        )

    def export_metric_events(self, request: Request) -> Reply:
        """By when they were written down or taken back, if changes are asked for; else by time, without the latter."""
        changes = request.query_params.get("include_changes") == "true"
        return self._by_time(
            request,
            "ticket_metric_event",
            "ticket_metric_events",
            lambda event: {key: value for key, value in event.items() if key[0] != "_"},
            lambda event: changes or not event["deleted"],
        )

    def export_articles(self, request: Request) -> Reply:
        """The help center's own export: no word of its end but a missing next page, and none of what was deleted. Only here
        a page may end within a second; the rest of that is on the pages after it, by number."""
        if self.crowded_seconds:
            return self._articles_by_number(request)
        reply = self._by_time(request, "article", "articles", self.article, lambda article: "_deleted_at" not in article)
        ended = reply.body.pop("end_of_stream")
        return Reply({**reply.body, "next_page": None if ended else reply.body["next_page"]})

    def _articles_by_number(self, request: Request) -> Reply:
        start_time, number = self._start_time(request.query_params), int(request.query_params.get("page", 1))
        store = self.world.store("article")
        order = [entry for entry in self._settled("article") if "_deleted_at" not in store[entry[1]]]
        order = order[bisect_left(order, self._stamped("article", (start_time, 0))[0], key=_stamp) :]
        size = self.page(1000)
        page = order[(number - 1) * size : number * size]
        end_time = self._seconds(page[-1][0]) if page else start_time
        more = number * size < len(order)
        return Reply({
            "articles": [self.article(store[record_id]) for _, record_id in page],
            "count": len(page),
            "end_time": end_time,
            "next_page": f"{self.base_url}{request.url.path}?start_time={end_time}" if more else None,
        })  # fmt: skip

    def article(self, article: Record) -> Record:
        return self.shown("help_center/en-us/articles", article) | {"name": article["title"]}

    def _by_time(
        self,
        request: Request,
        kind: str,
        name: str,
        show: Callable[[Record], Record],
        wanted: Callable[[Record], bool] = lambda _: True,
    ) -> Reply:
        """By time alone: a page begins with the last second of the one before, and never ends within a second."""
        size = self.page(min(1000, int(request.query_params.get("per_page", 1000))))
        start_time = self._start_time(request.query_params)
        store = self.world.store(kind)
        order = [entry for entry in self._settled(kind) if wanted(store[entry[1]])]
        first_second = self._stamped(kind, (start_time, 0))[0]
        start = bisect_left(order, first_second, key=_stamp)
        full = max(start + size, bisect_right(order, first_second, key=_stamp) + 1)  # a crowded second stops no export
        end = bisect_right(order, order[full - 1][0], key=_stamp) if full < len(order) else len(order)
        page = order[start:end]
        end_time = self._seconds(page[-1][0]) if page else start_time
        rest = {name: value for name, value in request.query_params.items() if name != "start_time"}
        url = f"{self.base_url}{request.url.path}?{urlencode({**rest, 'start_time': end_time})}"
        return Reply(
            {
                name: [show(store[record_id]) for _, record_id in page],
                "next_page": url,
                "count": len(page),
                "end_time": end_time,
                "end_of_stream": end == len(order),
            }
        )

    def _start_time(self, parameters: Mapping[str, str]) -> int:
        text = parameters.get("start_time", "")
        if not text.isdigit():
            raise failure(400, "BadRequest", "start_time is a required parameter and must be a Unix epoch time")
        if int(text) > self.world.now.timestamp() - _SETTLED:
            raise failure(400, "StartTimeTooRecent", "Too recent start_time. Use a start_time older than 60 seconds")
        return int(text)

    def _settled(self, kind: str) -> list[tuple[Any, Any]]:
        """What the exports may show: everything that did not change in the last minute."""
        order = self.world.in_order(kind)
        newest = self._stamped(kind, (int(self.world.now.timestamp()) - _SETTLED, 0))[0]
        return order[: bisect_right(order, newest, key=_stamp)]

    def _stamped(self, kind: str, place: tuple[int, int]) -> tuple[Any, int]:
        """A place in seconds since 1970, as it stands in the world's order."""
        seconds, record_id = place
        return (seconds if kind == "ticket" else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))), record_id

    def _seconds(self, stamp: int | str) -> int:
        return stamp if isinstance(stamp, int) else int(zendesk_desk.moment(stamp).timestamp())

    # what they show -------------------------------------------------------------------------------------------------

    def ticket(self, ticket: Record, metrics: bool) -> Record:
        shown = self.shown("tickets", ticket)
        shown["fields"] = shown["custom_fields"]
        if metrics:
            shown["metric_set"] = self.shown("ticket_metrics", ticket["metric_set"])
        else:
            del shown["metric_set"]
        return shown

    def shown(self, path: str, record: Record) -> Record:
        shown = {key: value for key, value in record.items() if key[0] != "_"}
        return {"url": f"{SITE}{API}/{path}/{record['id']}.json", **shown}

    def _ticket_event(self, audit: Record, comments: bool) -> Record:
        """An update as the export tells it: a changed field stands under its own name."""
        children = [_child(event) for event in audit["events"]]
        if audit["_comment"]:
            comment = _own(self.world.store("ticket_comment")[audit["_comment"]])
            plain = {"id": comment["id"], "via": "Mail", "comment_present": True, "comment_public": comment["public"]}
            child = {**comment, "via_reference_id": None} if comments else plain
            children.append({**child, "event_type": "Comment"})
        return {
            "id": audit["id"],
            "ticket_id": audit["ticket_id"],
            "timestamp": self._seconds(audit["created_at"]),
            "created_at": audit["created_at"],
            "updater_id": audit["author_id"],
            "via": {"web": "Web form", "email": "Mail"}.get(audit["via"]["channel"], "Web service"),
            "system": audit["metadata"]["system"],
            "metadata": {},
            "event_type": "Audit",
            "child_events": children,
        }

    def audits(self, request: Request) -> Reply:
        """The history of one ticket, in other words than the export's. A deleted ticket has none."""
        ticket = self.world.tickets.get(int(request.path_params["ticket_id"]))
        if ticket is None or "_deleted_at" in ticket:
            raise failure(404, "RecordNotFound", "Not found")
        every = [self._audit(self.world.store("ticket_audit")[each]) for each in sorted(ticket.get("_audits", []))]
        return self.paged(request, "audits", every)

    def _audit(self, audit: Record) -> Record:
        comment = [_own(self.world.store("ticket_comment")[audit["_comment"]])] if audit["_comment"] else []
        events = [{**event, "via": audit["via"]} | _in_words(event) for event in audit["events"]]
        bare = [{name: each[name] for name in each if name not in ("created_at", "via")} for each in comment]
        return {**_own(audit), "events": [*bare, *events]}

    @abstractmethod
    def paged(self, request: Request, name: str, every: list[Record]) -> Reply:
        """One page of a list."""


def _own(record: Record) -> Record:
    return {key: value for key, value in record.items() if key[0] != "_"}


def _in_words(event: Record) -> Record:
    """The audits write ids as text."""
    return {name: str(event[name]) for name in ("value", "previous_value") if isinstance(event.get(name), int | float)}


def _child(event: Record) -> Record:
    rest = {name: event[name] for name in event if name not in ("type", "field_name", "value", "previous_value")}
    child = {"via": "Web form", "via_reference_id": None, **rest, "event_type": event["type"]}
    if "field_name" not in event:
        return child
    field, value, previous = event["field_name"], event["value"], event.get("previous_value")
    if field.isdigit():
        child["custom_ticket_fields"] = {field: value}
    else:
        child[field] = value
    if field == "tags" and event["type"] == "Change":
        child["added_tags"] = [tag for tag in value or [] if tag not in (previous or [])]
        child["removed_tags"] = [tag for tag in previous or [] if tag not in (value or [])]
    elif event["type"] == "Change":
        child["previous_value"] = previous
    return child


def _stamp(entry: tuple[Any, Any]) -> Any:
    return entry[0]


def _cursor(place: tuple[int, int], follows_empty: bool) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([*place, follows_empty])).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[tuple[int, int], bool]:
    try:
        seconds, record_id, empty = msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        raise failure(400, "InvalidCursor", "cursor is not valid") from None
    return (seconds, record_id), empty
