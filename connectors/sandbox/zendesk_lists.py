"""What the stand-in for Zendesk lists, counts and finds: by cursor, by page number up to a depth, or all at once.

Here belong the small lists, both kinds of links to Jira, counts and search. Not here: exports, logins or limits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from connectors.sandbox import zendesk_desk
from connectors.sandbox.desk_settings import EXTERNAL_ID
from connectors.sandbox.server import RefusedError, Reply
from connectors.sandbox.world import Record
from connectors.sandbox.zendesk_exports import Exports, failure

_DEPTH = 10_000  # records that paging by number comes to
_TAGGED_WITHIN = timedelta(days=60)
_ARCHIVED_AFTER = timedelta(days=120)  # a closed ticket is then found by exports and search only
_KINDS = {  # name of a list → kind of its records
    "groups": "group",
    "brands": "brand",
    "ticket_fields": "ticket_field",
    "user_fields": "user_field",
    "organization_fields": "organization_field",
    "ticket_forms": "ticket_form",
    "custom_statuses": "custom_status",
    "sla_policies": "sla_policy",
    "schedules": "schedule",
    "satisfaction_ratings": "satisfaction_rating",
    "organization_memberships": "organization_membership",
    "tickets": "ticket",
    "users": "zendesk_user",
    "organizations": "organization",
}
_SEARCHED = {"ticket": "ticket", "user": "zendesk_user", "organization": "organization"}
_CLAUSE = re.compile(r"(created|updated)(<=|>=|<|>)(\S+)")


class Lists(Exports):
    search_lag = 0.0  # seconds until search finds a record, or loses it; the vendor's index is some minutes late
    exact_up_to = 100_000  # the endpoints made for counting say no more than this while they count anew

    def listed(self, request: Request) -> Reply:
        name = _name(request)
        return self.paged(request, name, self._of(name, request))

    def _of(self, name: str, request: Request | None = None) -> list[Record]:
        if name == "tags":
            return self._tags()
        records = self.world.store(_KINDS[name]).values()
        every: Iterable[Record] = (record for record in records if "_deleted_at" not in record)
        if name == "tickets":
            every = (ticket for ticket in every if not self._archived(ticket))
        if name == "groups" and request is not None and request.query_params.get("exclude_deleted") == "false":
            every = records
        if name == "satisfaction_ratings" and request is not None:
            start = int(request.query_params.get("start_time", 0))
            every = (each for each in every if zendesk_desk.moment(each["created_at"]).timestamp() >= start)
        path = {"sla_policies": "slas/policies", "schedules": "business_hours/schedules"}.get(name, name)
        shown = [self.ticket(record, False) if name == "tickets" else self.shown(path, record) for record in every]
        if name == "organization_memberships":
            for membership in shown:
                membership["organization_name"] = self.world.organizations[membership["organization_id"]]["name"]
        return sorted(shown, key=lambda record: (record["name"], record["id"])) if name == "brands" else shown

    def _archived(self, ticket: Record) -> bool:
        old = zendesk_desk.moment(ticket["updated_at"]) < self.world.now - _ARCHIVED_AFTER
        return bool(ticket["status"] == "closed" and old)

    def _tags(self) -> list[Record]:
        """By how often tickets of the last sixty days carry them."""
        since = zendesk_desk.time(self.world.now - _TAGGED_WITHIN)
        lately = (ticket for ticket in self.world.alive("ticket") if ticket["updated_at"] >= since)
        used = Counter(tag for ticket in lately for tag in ticket["tags"])
        return [{"name": tag, "count": count} for tag, count in sorted(used.items(), key=lambda each: (-each[1], each[0]))]

    def ticket_metrics(self, request: Request) -> Reply:
        lately = [ticket for ticket in self.world.alive("ticket") if not self._archived(ticket)]
        return self.paged(
            request, "ticket_metrics", [self.shown("ticket_metrics", each["metric_set"]) for each in reversed(lately)]
        )

    def unpaged(self, request: Request) -> Reply:
        name = _name(request)
        return Reply({name: self._of(name), "url": f"{self.base_url}{request.url.path}"})

    def numbered(self, request: Request) -> Reply:
        """Lists that know no cursor."""
        name = _name(request)
        return self._numbered(request, name, self._of(name))

    def articles(self, request: Request) -> Reply:
        """By number; the last changed first, if that is asked for."""
        by = request.query_params.get("sort_by", "position")
        down = request.query_params.get("sort_order", "asc") == "desc"
        every = sorted(self.world.alive("article"), key=lambda article: article[by], reverse=down)
        return self._numbered(request, "articles", [self.article(each) for each in every])

    def holidays(self, request: Request) -> Reply:
        schedule = self.world.store("schedule").get(int(request.path_params["schedule_id"]))
        if schedule is None or "_deleted_at" in schedule:
            raise failure(404, "RecordNotFound", "Not found")
        every = [each for each in self.world.alive("holiday") if each["schedule_id"] == schedule["id"]]
        shown = [{name: each[name] for name in each if name[0] != "_" and name != "schedule_id"} for each in every]
        return Reply({"holidays": shown, "url": f"{self.base_url}{request.url.path}"})

    def paged(self, request: Request, name: str, every: list[Record]) -> Reply:
        """By cursor if a page size is asked for, else by number. All ticket fields come at once unless a size is asked for."""
        asked = request.query_params.get("page[size]")
        if asked is None and name == "ticket_fields":
            return Reply({name: every, "count": len(every), "next_page": None, "previous_page": None})
        if asked is None:
            return self._numbered(request, name, every)
        if not asked.isdigit() or not 1 <= int(asked) <= 100:
            raise RefusedError(400, _wrong("InvalidPaginationParameter", "page[size] must be between 1 and 100"))
        start = _place(request.query_params.get("page[after]"))
        size = self.page(int(asked))
        page, more = every[start : start + size], start + size < len(every)
        rest = {key: value for key, value in request.query_params.items() if key != "page[after]"}
        after = f"{request.url.path}?{urlencode({**rest, 'page[after]': _token(start + size)})}"
        return Reply(
            {
                name: page,
                "meta": {"has_more": more, "after_cursor": _token(start + size), "before_cursor": _token(start)},
                "links": {"next": f"{self.base_url}{after}" if more else None, "prev": None},
            }
        )

    def _numbered(self, request: Request, name: str, every: list[Record]) -> Reply:
        number = int(request.query_params.get("page", 1))
        asked = min(100, int(request.query_params.get("per_page", 100)))
        if number * asked > _DEPTH:
            raise RefusedError(400, _wrong("InvalidPaginationDepth", "Number of records exceeds the limit of 10000"))
        size = self.page(asked)
        page = every[(number - 1) * size : number * size]
        rest = {key: value for key, value in request.query_params.items() if key != "page"}
        following = f"{self.base_url}{request.url.path}?{urlencode({**rest, 'page': number + 1})}"
        more = number * size < len(every)
        return Reply({name: page, "count": len(every), "next_page": following if more else None, "previous_page": None})

    # links to Jira --------------------------------------------------------------------------------------------------

    def jira_links(self, request: Request) -> Reply:
        """Newest last; `since_id` and `before_id` are exclusive. Removed links are just not there."""
        parameters = request.query_params
        every = (self.world.jira_links[record_id] for _, record_id in self.world.in_order("jira_link"))
        links = [link for link in every if "_deleted_at" not in link]
        for name in ("ticket_id", "issue_id", "issue_key"):
            if wanted := parameters.get(f"filter[{name}]"):
                links = [link for link in links if link[name] == wanted]
        total, size = len(links), self.page(1000)
        if since := parameters.get("since_id"):
            links = [link for link in links if int(link["id"]) > int(since)]
        if before := parameters.get("before_id"):
            links = [link for link in links if int(link["id"]) < int(before)][-size:]
        return Reply({"links": [self.shown("jira/links", link) for link in links[:size]], "total": total})

    def integration_links(self, request: Request) -> Reply:
        """Of the newer integration: pairs without id or date."""
        if request.path_params["external_id"] != EXTERNAL_ID:
            raise RefusedError(404, _wrong("NotFound", "Integration not found"))
        every = [
            {name: link[name] for name in ("ticket_id", "issue_id", "issue_key")}
            for link in self.world.alive("integration_link")
        ]
        start = _place(request.query_params.get("page[after]"))
        size = self.page(min(100, int(request.query_params.get("page[size]", 100))))
        page, more = every[start : start + size], start + size < len(every)
        meta = {"after": _token(start + size) if more else "", "before": "", "has_more": more}
        return Reply({"links": page, "count": len(page), "meta": meta})

    # counts ---------------------------------------------------------------------------------------------------------

    def count(self, request: Request) -> Reply:
        """Living records, archived tickets not among them."""
        value = len(self._of(request.url.path.split("/")[3]))
        if value > self.exact_up_to:
            return Reply({"count": {"value": self.exact_up_to, "refreshed_at": None}})
        return Reply({"count": {"value": value, "refreshed_at": zendesk_desk.time(self.world.now)}})

    def search_count(self, request: Request) -> Reply:
        """Of living records, archived tickets too, as far as they are indexed."""
        query = request.query_params.get("query", "")
        kind = _SEARCHED.get(next((word[5:] for word in query.split() if word.startswith("type:")), ""), "")
        if not kind:
            raise failure(422, "RecordInvalid", "The query lacks a type")
        bounds = _CLAUSE.findall(query)
        found = (record for record in self.world.store(kind).values() if self._indexed(record))
        return Reply({"count": sum(all(_within(record, bound) for bound in bounds) for record in found)})

    def _indexed(self, record: Record) -> bool:
        then = self.world.now - timedelta(seconds=self.search_lag)
        gone = record.get("_deleted_at")
        return zendesk_desk.moment(record["created_at"]) <= then and (not gone or datetime.fromisoformat(gone) > then)


def _name(request: Request) -> str:
    last = request.url.path.rpartition("/")[2].removesuffix(".json")
    return "sla_policies" if last == "policies" else last


def _within(record: Record, bound: tuple[str, str, str]) -> bool:
    name, sign, text = bound
    value, limit = record[f"{name}_at"], zendesk_desk.time(datetime.fromisoformat(text))
    return bool({"<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit}[sign])


def _wrong(code: str, title: str) -> Any:
    return {"errors": [{"code": code, "title": title}]}


def _token(place: int) -> str:
    return f"p{place}"


def _place(token: str | None) -> int:
    if not token:
        return 0
    if not re.fullmatch(r"p\d+", token):
        raise RefusedError(400, _wrong("InvalidPaginationParameter", "page[after] is not valid"))
    return int(token[1:])
