"""Stands in for the Zendesk Support API: which addresses there are, who may ask and how often, how it says no.

Here belong Zendesk's paths, logins, errors and headers. Not here: what an export (`zendesk_exports`) or a list
(`zendesk_lists`) answers, or how tickets, people and organizations change.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request

from connectors.sandbox import zendesk_desk
from connectors.sandbox.server import Paths, RateLimit, RefusedError, Reply
from connectors.sandbox.world import World
from connectors.sandbox.zendesk_exports import API
from connectors.sandbox.zendesk_lists import Lists

CLIENT_ID = "fullpicture_sandbox"
CLIENT_SECRET = "sandbox-zendesk-secret"
EMAIL = "fullpicture@quillmere-software.com"
API_TOKEN = "sandbox-zendesk-token"


class Zendesk(Lists):
    token_lifetime = 1800.0  # seconds of real time
    forbidden: frozenset[str] = frozenset()  # paths that the plan or the scope does not allow

    def __init__(self, world: World) -> None:
        self.exports = RateLimit(None)  # a real account has 10 a minute
        self.requests = RateLimit(None)  # 200 to 2,500, by plan
        self._tokens: dict[str, float] = {}
        self._granted = 0
        super().__init__(world)

    def paths(self) -> Paths:
        by_cursor = ("groups", "brands", "ticket_fields", "user_fields", "organization_fields", "satisfaction_ratings", "tags",
                     "organization_memberships", "tickets")  # fmt: skip
        counted = ("tickets", "users", "organizations", "groups", "ticket_fields", "satisfaction_ratings", "tags")
        plain = (
            ("/incremental/tickets/cursor", self.export_tickets),
            ("/incremental/users/cursor", self.export_users),
            ("/incremental/organizations", self.export_organizations),
            ("/incremental/ticket_events", self.export_ticket_events),
            ("/incremental/ticket_metric_events", self.export_metric_events),
            ("/help_center/incremental/articles", self.export_articles),
            ("/help_center/articles", self.articles),
            ("/tickets/{ticket_id:int}/audits", self.audits),
            *((f"/{name}", self.listed) for name in by_cursor),
            ("/ticket_metrics", self.ticket_metrics),
            ("/ticket_forms", self.numbered),
            ("/slas/policies", self.numbered),
            ("/custom_statuses", self.unpaged),
            ("/business_hours/schedules", self.unpaged),
            ("/business_hours/schedules/{schedule_id:int}/holidays", self.holidays),
            ("/jira/links", self.jira_links),
            ("/integrations/jira/{external_id}/links", self.integration_links),
            *((f"/{name}/count", self.count) for name in counted),
            ("/search/count", self.search_count),
            ("/users/me", self.me),
            ("/account/settings", self.settings),
        )
        return (
            ("POST", "/oauth/tokens", self.token),
            *(("GET", f"{API}{path}{end}", handler) for path, handler in plain for end in ("", ".json")),
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
        if not scheme and "/users/me" in request.url.path:
            return  # nobody in particular is answered, too
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
        limit, left, reset = str(self.requests.shown), str(self.requests.remaining), str(self.requests.resets)
        said = {
            "X-Rate-Limit": limit,
            "X-Rate-Limit-Remaining": left,
            "ratelimit-limit": limit,
            "ratelimit-remaining": left,
            "ratelimit-reset": reset,
        }
        if not wait and path.startswith(f"{API}/incremental/"):
            wait = self.exports.wait()
            said["Zendesk-RateLimit-incremental-exports"] = (
                f"total={self.exports.shown}; remaining={self.exports.remaining}; resets={self.exports.resets}"
            )
        if wait:
            raise RefusedError(429, self.error(429), {**said, "Retry-After": str(int(wait) + 1)})
        return said

    def rate_limited(self, path: str = "", *, times: int = 1, retry_after: int = 1) -> None:
        """The next matching requests are too many."""
        self.faults.answer(429, path, times=times, headers={"Retry-After": str(retry_after), "X-Rate-Limit-Remaining": "0"})

    # who it is ------------------------------------------------------------------------------------------------------

    def me(self, request: Request) -> Reply:
        if "authorization" not in request.headers:
            return Reply({"user": {"id": None, "name": "Anonymous user", "email": "invalid@example.com", "role": "end-user"}})
        admin = next(user for user in self.world.zendesk_users.values() if user["role"] == "admin")
        return Reply({"user": {**self.shown("users", admin), "email": EMAIL, "name": "Fullpicture"}})

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
