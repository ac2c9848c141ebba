"""Stands in for the Zendesk Support API: OAuth, incremental exports, links to Jira, counts and small lists.

Here belong Zendesk's paths, paging, errors and headers. Not here: how tickets, people and organizations change.
"""

from __future__ import annotations

import base64
import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

import msgspec
from starlette.requests import Request

from connectors.sandbox import names, zendesk_desk
from connectors.sandbox.server import Paths, RateLimit, RefusedError, Reply, Server
from connectors.sandbox.world import Record, World

CLIENT_ID = "fullpicture_sandbox"
CLIENT_SECRET = "sandbox-zendesk-secret"
EMAIL = "fullpicture@quillmere-software.com"
API_TOKEN = "sandbox-zendesk-token"
_API = "/api/v2"
_SETTLED = 60  # the exports leave the last minute out


def failure(status: int, error: Any, description: str, headers: Mapping[str, str] | None = None) -> RefusedError:
    return RefusedError(status, {"error": error, "description": description}, headers)


class Zendesk(Server):
    token_lifetime = 1800.0  # seconds of real time
    empty_pages = True  # long exports have an empty page in their middle, as the vendor's sometimes do
    forbidden: frozenset[str] = frozenset()  # paths that the plan or the scope does not allow

    def __init__(self, world: World) -> None:
        self.exports = RateLimit(None)  # a real account has 10 a minute
        self.requests = RateLimit(None)  # 200 to 2,500, by plan
        self._tokens: dict[str, float] = {}
        self._granted = 0
        super().__init__(world)

    def paths(self) -> Paths:
        plain = (
            ("GET", "/incremental/tickets/cursor", self.export_tickets),
            ("GET", "/incremental/users/cursor", self.export_users),
            ("GET", "/incremental/organizations", self.export_organizations),
            ("GET", "/jira/links", self.jira_links),
            ("GET", "/users/me", self.me),
            ("GET", "/account/settings", self.settings),
            ("GET", "/groups", self.groups),
            ("GET", "/ticket_fields", self.ticket_fields),
            ("GET", "/tickets/count", self.count),
            ("GET", "/users/count", self.count),
            ("GET", "/organizations/count", self.count),
        )
        return (
            ("POST", "/oauth/tokens", self.token),
            *((method, f"{_API}{path}{end}", handler) for method, path, handler in plain for end in ("", ".json")),
        )

    def error(self, status: int) -> Any:
        if status == 401:
            return {"error": "Couldn't authenticate you"}
        if status == 429:
            return {
                "error": "APIRateLimitExceeded",
                "description": "Number of allowed API requests per minute exceeded",
            }
        words = {
            403: (
                "Forbidden",
                "You do not have access to this page. Please contact the account owner of this help desk for help.",
            ),
            404: ("InvalidEndpoint", "Not found"),
            503: ("ServiceUnavailable", "Please try again in a moment"),
        }
        error, description = words.get(status, ("InternalError", "Something went wrong"))
        return {"error": error, "description": description}

    # who asks, and how often ----------------------------------------------------------------------------------------

    def expire_tokens(self) -> None:
        self._tokens.clear()

    def token(self, request: Request) -> Reply:
        body = request.state.body
        form = body if isinstance(body, dict) else {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if form.get("grant_type") != "client_credentials":
            raise RefusedError(
                400,
                {
                    "error": "unsupported_grant_type",
                    "error_description": "The authorization grant type is not supported by the authorization server.",
                },
            )
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise RefusedError(
                401,
                {
                    "error": "invalid_client",
                    "error_description": "Client authentication failed due to unknown client, no client "
                    "authentication included, or unsupported authentication method.",
                },
            )
        self._granted += 1
        token = f"sandbox{self.world.seed:04d}{self._granted:056d}"
        lifetime = float(form.get("expires_in") or self.token_lifetime)
        self._tokens[token] = time.monotonic() + min(lifetime, self.token_lifetime)
        return Reply(
            {
                "access_token": token,
                "token_type": "bearer",
                "scope": form.get("scope", "read"),
                "expires_in": int(lifetime),
            }
        )

    def authenticate(self, request: Request) -> None:
        if request.url.path == "/oauth/tokens":
            return
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic" and secret == base64.b64encode(f"{EMAIL}/token:{API_TOKEN}".encode()).decode():
            return
        if scheme.lower() == "bearer" and self._tokens.get(secret, 0) > time.monotonic():
            return
        if scheme.lower() == "bearer":
            said = {
                "error": "invalid_token",
                "error_description": "The access token provided is expired, revoked, malformed or invalid for other reasons.",
            }
            raise RefusedError(401, said, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        raise RefusedError(401, self.error(401), {"WWW-Authenticate": 'Basic realm="Web Password"'})

    def meter(self, request: Request, /) -> Mapping[str, str]:
        path = request.url.path.removesuffix(".json")
        if path == "/oauth/tokens":
            return {}
        if path in self.forbidden:
            raise RefusedError(403, self.error(403))
        wait = self.requests.wait()
        limit, left, reset = str(self.requests.shown), str(self.requests.remaining), str(int(wait) + 1)
        said = {
            "X-Rate-Limit": limit,
            "X-Rate-Limit-Remaining": left,
            "ratelimit-limit": limit,
            "ratelimit-remaining": left,
            "ratelimit-reset": reset,
        }
        if not wait and path.startswith(f"{_API}/incremental/"):
            wait = self.exports.wait()
            said["Zendesk-RateLimit-incremental-exports"] = (
                f"total={self.exports.shown}; remaining={self.exports.remaining}; resets={int(wait) + 1}"
            )
        if wait:
            raise RefusedError(429, self.error(429), {**said, "Retry-After": str(int(wait) + 1)})
        return said

    def rate_limited(self, path: str = "", *, times: int = 1, retry_after: int = 1) -> None:
        """The next matching requests are too many."""
        self.faults.answer(429, path, times=times, headers={"Retry-After": str(retry_after), "X-Rate-Limit-Remaining": "0"})

    # exports --------------------------------------------------------------------------------------------------------

    def export_tickets(self, request: Request) -> Reply:
        metrics = "metric_sets" in request.query_params.get("include", "").split(",")
        ids, reply = self._by_cursor(request, "ticket")
        return Reply({"tickets": [self._ticket(self.world.tickets[record_id], metrics) for record_id in ids], **reply})

    def export_users(self, request: Request) -> Reply:
        ids, reply = self._by_cursor(request, "zendesk_user")
        return Reply({"users": [self._shown("users", self.world.zendesk_users[record_id]) for record_id in ids], **reply})

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
        """By time alone: a page begins with the last second of the one before, and never ends within a second."""
        size = self.page(min(1000, int(request.query_params.get("per_page", 1000))))
        start_time = self._start_time(request.query_params)
        order = self._settled("organization")
        first_second = self._stamped("organization", (start_time, 0))[0]
        start = bisect_left(order, first_second, key=_stamp)
        full = max(start + size, bisect_right(order, first_second, key=_stamp) + 1)  # a crowded second stops no export
        end = bisect_right(order, order[full - 1][0], key=_stamp) if full < len(order) else len(order)
        page = order[start:end]
        end_time = self._seconds(page[-1][0]) if page else start_time
        shown = [self._shown("organizations", self.world.organizations[record_id]) for _, record_id in page]
        rest = {name: value for name, value in request.query_params.items() if name != "start_time"}
        url = f"{self.base_url}{request.url.path}?{urlencode({**rest, 'start_time': end_time})}"
        return Reply(
            {
                "organizations": shown,
                "next_page": url,
                "count": len(shown),
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

    def _ticket(self, ticket: Record, metrics: bool) -> Record:
        shown = self._shown("tickets", ticket)
        shown["fields"] = shown["custom_fields"]
        if metrics:
            shown["metric_set"] = {
                "url": f"{self.base_url}{_API}/ticket_metrics/{ticket['metric_set']['id']}.json",
                **ticket["metric_set"],
            }
        else:
            del shown["metric_set"]
        return shown

    def _shown(self, path: str, record: Record) -> Record:
        shown = {key: value for key, value in record.items() if key[0] != "_"}
        shown["url"] = f"{self.base_url}{_API}/{path}/{record['id']}.json"
        return shown

    # links and lists ------------------------------------------------------------------------------------------------

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
        return Reply({"links": [self._shown("jira/links", link) for link in links[:size]], "total": total})

    def me(self, _: Request) -> Reply:
        admin = next(user for user in self.world.zendesk_users.values() if user["role"] == "admin")
        return Reply({"user": {**self._shown("users", admin), "email": EMAIL, "name": "Fullpicture"}})

    def settings(self, _: Request) -> Reply:
        return Reply(
            {
                "settings": {
                    "branding": {"header_color": "1A00C3"},
                    "active_features": {"customer_satisfaction": True},
                    "api": {"accepted_api_agreement": True, "api_password_access": "false", "api_token_access": "true"},
                    "brands": {"default_brand_id": zendesk_desk.BRAND},
                    "limits": {"attachment_size": 52428800},
                }
            }
        )

    def groups(self, _: Request) -> Reply:
        shown = [self._shown("groups", group) for group in self.world.alive("group")]
        return Reply({"groups": shown, "count": len(shown), "next_page": None, "previous_page": None})

    def ticket_fields(self, _: Request) -> Reply:
        created = zendesk_desk.time(self.world.now)
        options = [
            {"id": 22100001 + place, "name": area, "value": area.lower()} for place, area in enumerate(names.PRODUCT_AREAS)
        ]
        area = {
            "id": zendesk_desk.AREA_FIELD,
            "type": "tagger",
            "title": "Product area",
            "active": True,
            "custom_field_options": options,
        }
        severity = {"id": zendesk_desk.SEVERITY_FIELD, "type": "text", "title": "Severity", "active": True}
        shown = [
            self._shown("ticket_fields", {**field, "created_at": created, "updated_at": created}) for field in (area, severity)
        ]
        return Reply({"ticket_fields": shown, "count": len(shown), "next_page": None, "previous_page": None})

    def count(self, request: Request) -> Reply:
        """Living records; closed tickets count until they are archived, which here they never are."""
        kind = {"tickets": "ticket", "users": "zendesk_user", "organizations": "organization"}[request.url.path.split("/")[3]]
        return Reply(
            {
                "count": {
                    "value": sum(1 for _ in self.world.alive(kind)),
                    "refreshed_at": zendesk_desk.time(self.world.now),
                }
            }
        )


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
