"""Holds the stand-ins for Jira and Zendesk to the vendors' own API descriptions: what is asked of them and what they answer.

The descriptions lie beside the repository, in `shared/specs`; where they are absent these tests are skipped. Each place
where the stand-in follows the vendor's behaviour against its description is listed in DIFFERENCES with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest
import yaml
from asking import jira_of, zendesk_of
from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from connectors.base import Connector
from connectors.sandbox.serve import Running, serve
from connectors.sandbox.server import Entry
from connectors.sandbox.world import World

SPECS = Path(__file__).parents[3] / "shared" / "specs"
FILES = {"jira": "jira-cloud-v3.json", "zendesk": "zendesk-support.yaml"}
pytestmark = pytest.mark.skipif(not SPECS.is_dir(), reason="the vendors' API descriptions are not beside the repository")


class Asked(NamedTuple):
    tool: str
    path: str  # as the description writes it
    method: str = "get"
    parameters: Mapping[str, Any] = {}
    body: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


AGILE = ("board", *(f"board/{number}/sprint" for number in (1, 3, 4, 5)))  # of the first day's boards
BOUNDED = 'updated >= "2000-01-01 00:00" ORDER BY updated'
ASKED = (
    Asked("jira", "/rest/api/3/search/jql", parameters={"jql": BOUNDED, "fields": "id", "maxResults": 5000}),
    Asked("jira", "/rest/api/3/search/jql", "post", body={"jql": BOUNDED, "fields": ["*all"], "maxResults": 100}),
    Asked("jira", "/rest/api/3/search/approximate-count", "post", body={"jql": "project = CORE"}),
    Asked("jira", "/rest/api/3/issue/bulkfetch", "post", body={"issueIdsOrKeys": ["10001", "10002", "9"], "fields": ["*all"]}),
    Asked("jira", "/rest/api/3/changelog/bulkfetch", "post", body={"issueIdsOrKeys": ["10001", "10002"], "maxResults": 10000}),
    Asked("jira", "/rest/api/3/issue/{issueIdOrKey}"),
    Asked("jira", "/rest/api/3/issue/{issueIdOrKey}/comment", parameters={"startAt": 0, "maxResults": 100}),
    Asked("jira", "/rest/api/3/issue/{issueIdOrKey}/remotelink"),
    Asked("jira", "/rest/api/3/project/search", parameters={"startAt": 0, "maxResults": 50, "expand": "lead"}),
    Asked("jira", "/rest/api/3/project/{projectIdOrKey}"),
    Asked("jira", "/rest/api/3/field"),
    Asked("jira", "/rest/api/3/status"),
    Asked("jira", "/rest/api/3/issuetype"),
    Asked("jira", "/rest/api/3/priority/search", parameters={"startAt": 0, "maxResults": 50}),
    Asked("jira", "/rest/api/3/resolution/search", parameters={"startAt": 0, "maxResults": 50}),
    Asked("jira", "/rest/api/3/users/search", parameters={"startAt": 0, "maxResults": 1000}),
    Asked("jira", "/rest/api/3/worklog/updated", parameters={"since": 0}),
    Asked("jira", "/rest/api/3/worklog/deleted", parameters={"since": 0}),
    Asked("jira", "/rest/api/3/worklog/list", "post", body={"ids": [50001, 50002]}),
    Asked("jira", "/rest/api/3/myself"),
    Asked("jira", "/rest/api/3/serverInfo"),
    Asked("jira", "/rest/api/3/mypermissions", parameters={"permissions": "BROWSE_PROJECTS"}),
    Asked("zendesk", "/api/v2/incremental/tickets/cursor", parameters={"start_time": 0, "include": "metric_sets"}),
    Asked("zendesk", "/api/v2/incremental/users/cursor", parameters={"start_time": 0, "per_page": 100}),
    Asked("zendesk", "/api/v2/incremental/organizations", parameters={"start_time": 0}),
    Asked("zendesk", "/api/v2/incremental/ticket_events", parameters={"start_time": 0, "include": "comment_events"}),
    Asked("zendesk", "/api/v2/incremental/ticket_metric_events", parameters={"start_time": 0, "include_changes": "true"}),
    Asked("zendesk", "/api/v2/tickets/{ticket_id}/audits", parameters={"page[size]": 100}),
    Asked("zendesk", "/api/v2/tickets"),
    Asked("zendesk", "/api/v2/ticket_metrics"),
    Asked("zendesk", "/api/v2/organization_memberships", parameters={"page[size]": 100}),
    Asked("zendesk", "/api/v2/brands", parameters={"page[size]": 100}),
    Asked("zendesk", "/api/v2/user_fields", parameters={"page[size]": 100}),
    Asked("zendesk", "/api/v2/organization_fields", parameters={"page[size]": 100}),
    Asked("zendesk", "/api/v2/ticket_forms"),
    Asked("zendesk", "/api/v2/custom_statuses"),
    Asked("zendesk", "/api/v2/satisfaction_ratings", parameters={"page[size]": 100}),
    Asked("zendesk", "/api/v2/satisfaction_ratings/count"),
    Asked("zendesk", "/api/v2/tags"),
    Asked("zendesk", "/api/v2/tags/count"),
    Asked("zendesk", "/api/v2/slas/policies"),
    Asked("zendesk", "/api/v2/search/count", parameters={"query": "type:ticket created<2027-01-01T00:00:00Z"}),
    Asked("zendesk", "/api/v2/groups/count"),
    Asked("zendesk", "/api/v2/ticket_fields/count"),
    Asked("zendesk", "/api/v2/users/me"),
    Asked("zendesk", "/api/v2/account/settings"),
    Asked("zendesk", "/api/v2/groups"),
    Asked("zendesk", "/api/v2/ticket_fields"),
    Asked("zendesk", "/api/v2/tickets/count"),
    Asked("zendesk", "/api/v2/users/count"),
    Asked("zendesk", "/api/v2/organizations/count"),
)

UNSET = "null while it is unset, as in the vendor's own examples; the description forgets to say so"
IS_LAST = {
    " additionalProperties": "isLast: the real reply has it, and a reader needs it; the description knows only the token"
}
USER = ("default_group_id", "last_login_at", "organization_id", "phone", "photo", "shared_phone_number", "signature")
TICKET = ("assignee_id", "custom_fields.*.value", "external_id", "forum_topic_id", "problem_id", "recipient")
METRICS = (
    "assigned_at", "assignee_updated_at", "initially_assigned_at", "solved_at",
    *(f"{name}_in_minutes.{kind}" for name in ("agent_wait_time", "first_resolution_time", "full_resolution_time",
      "reply_time", "requester_wait_time") for kind in ("calendar", "business")),
)  # fmt: skip
DIFFERENCES: dict[str, dict[str, str]] = {
    "get /rest/api/3/search/jql": IS_LAST,
    "post /rest/api/3/search/jql": IS_LAST,
    "post /rest/api/3/changelog/bulkfetch": {
        "issueChangeLogs.*.changeHistories.*.created type": "milliseconds: so people found it, against the description",
        **{f"issueChangeLogs.*.changeHistories.*.items.*.{name} type": UNSET for name in ("from", "fromString")},
    },
    "get /rest/api/3/issue/{issueIdOrKey}/remotelink": {" type": "a list, as the vendor's own example; described as one link"},
    "get /api/v2/incremental/tickets/cursor": {
        **{f"tickets.*.{name} type": UNSET for name in TICKET},
        "tickets.*.status enum": "deleted: the exports show deleted tickets, which other endpoints hide",
    },
    "get /api/v2/incremental/users/cursor": {f"users.*.{name} type": UNSET for name in USER},
    "get /api/v2/incremental/organizations": {"organizations.*.organization_fields.support_plan type": UNSET},
    "get /api/v2/tickets": {f"tickets.*.{name} type": UNSET for name in TICKET},
    "get /api/v2/ticket_metrics": {f"ticket_metrics.*.{name} type": UNSET for name in METRICS},
    "get /api/v2/brands": {f"brands.*.{name} type": UNSET for name in ("host_mapping", "logo")},
    "get /api/v2/user_fields": {"user_fields.*.tag type": UNSET},
    "get /api/v2/organization_fields": {"organization_fields.*.tag type": UNSET},
    "get /api/v2/satisfaction_ratings": {f"satisfaction_ratings.*.{name} type": UNSET for name in ("comment", "reason_id")},
    "get /api/v2/users/me": {f"user.{name} type": UNSET for name in USER},
}


@cache
def described(tool: str) -> tuple[dict[str, Any], Registry[Any]]:
    text = (SPECS / FILES[tool]).read_text(encoding="utf-8")
    spec = json.loads(text) if FILES[tool].endswith("json") else yaml.load(text, yaml.CSafeLoader)
    return spec, Registry().with_resource("urn:spec", Resource(spec, DRAFT4))


def resolved(tool: str, part: dict[str, Any]) -> dict[str, Any]:
    spec, _ = described(tool)
    while "$ref" in part:
        found: Any = spec
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def wrong(tool: str, kind: Any, schema: dict[str, Any], value: Any) -> Iterator[str]:
    """Every place where `value` is no instance of `schema`: its path with * for list places, and the keyword."""
    _, registry = described(tool)
    absolute = json.loads(json.dumps(schema).replace('"#/', '"urn:spec#/'))
    pending = list(kind(absolute, registry=registry).iter_errors(value))
    while pending:
        error = pending.pop()
        if error.context:  # none of several alternatives fits: say why not
            pending += error.context
            continue
        if error.validator == "nullable":
            continue  # said twice, the other time as a wrong type
        yield ".".join("*" if isinstance(step, int) else str(step) for step in error.absolute_path) + f" {error.validator}"


@pytest.fixture(scope="module")
def site() -> Iterator[Running]:
    with serve(World()) as running:
        yield running


def send(site: Running, asked: Asked) -> Any:
    asker = {"jira": jira_of, "zendesk": zendesk_of}[asked.tool](site)
    path = asked.path.replace("{issueIdOrKey}", "10001").replace("{ticket_id}", "1001")
    path = path.replace("{projectIdOrKey}", "10000")
    reply = asker.get(path, **asked.parameters) if asked.method == "get" else asker.post(path, asked.body)
    assert reply.status_code == 200
    return reply.json()


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_answers_are_what_the_vendor_describes(site: Running, asked: Asked) -> None:
    spec, _ = described(asked.tool)
    operation = spec["paths"][asked.path][asked.method]
    schema = resolved(asked.tool, operation["responses"]["200"])["content"]["application/json"]["schema"]
    found = set(wrong(asked.tool, OAS30ReadValidator, schema, send(site, asked)))
    assert found == DIFFERENCES.get(str(asked), {}).keys()


def invalid(tool: str, entry: Entry) -> set[str]:
    """What of a request the description does not know: its path, a parameter, its body."""
    spec, _ = described(tool)
    parts = urlsplit(entry.target)
    path = parts.path.removesuffix(".json")
    template = next((known for known in spec["paths"] if fits(known, path)), None)
    if template is None or entry.method.lower() not in spec["paths"][template]:
        return {f"{entry.method} {path} is not described"}
    operation = spec["paths"][template][entry.method.lower()]
    declared = [resolved(tool, p) for p in (*spec["paths"][template].get("parameters", ()), *operation.get("parameters", ()))]
    known = {parameter["name"] for parameter in declared if parameter["in"] == "query"}
    needed = {parameter["name"] for parameter in declared if parameter["in"] == "query" and parameter.get("required")}
    given = {name for name, _ in parse_qsl(parts.query)}
    found = {f"{path}?{name}" for name in given - known} | {f"{path} without {name}" for name in needed - given}
    if "requestBody" in operation and entry.body:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        found |= {f"{path} {error}" for error in wrong(tool, OAS30WriteValidator, schema, json.loads(entry.body))}
    return found


def fits(template: str, path: str) -> bool:
    steps, given = template.split("/"), path.split("/")
    return len(steps) == len(given) and all(a == b or a.startswith("{") for a, b in zip(steps, given, strict=True))


UNDESCRIBED = {
    **{f"GET /rest/agile/1.0/{path} is not described": "the description lacks the agile API" for path in AGILE},
    "/api/v2/incremental/tickets/cursor?include": "side-loading is described in the vendor's prose only",
    "/api/v2/incremental/tickets/cursor?per_page": "described for users; the vendor's prose gives it for every export",
    "/api/v2/incremental/organizations?per_page": "declared there by a reference that says nothing of organizations",
    "/api/v2/incremental/tickets/cursor without start_time": "required, says the description; a cursor takes its place",
    "/api/v2/incremental/users/cursor without start_time": "required, says the description; a cursor takes its place",
    "POST /oauth/tokens is not described": "the description lacks the token endpoint",
    "GET /api/v2/jira/links is not described": "the description lacks the Jira links",
    "GET /api/v2/business_hours/schedules is not described": "the description lacks schedules",
    "GET /api/v2/business_hours/schedules/22500001/holidays is not described": "the description lacks schedules",
    "GET /api/v2/help_center/incremental/articles is not described": "the help center has a description of its own",
    "/api/v2/incremental/ticket_events?include": "side-loading is described in the vendor's prose only",
    **{
        f"/api/v2/incremental/{export}?support_type_scope": "in the vendor's later description: tickets of AI agents too"
        for export in ("tickets/cursor", "ticket_events")
    },
    **{
        f"/api/v2/{name}?page[{parameter}]": "paging by cursor is described in the vendor's prose only"
        for name in (
            "brands",
            "groups",
            "organization_fields",
            "organization_memberships",
            "satisfaction_ratings",
            "tags",
            "ticket_fields",
            "user_fields",
        )
        for parameter in ("size", "after")
    },
}


@pytest.mark.parametrize("tool", FILES)
def test_requests_of_the_connectors_are_what_the_vendor_describes(
    running: Running, connect: Callable[..., Connector], tool: str
) -> None:
    connector = connect(tool)
    for read in connector.reads:
        assert list(connector.batches(read, None))
    assert all(finding.ok for finding in connector.check())
    log = getattr(running, tool).log
    assert len(log) > len(connector.reads)
    assert set().union(*(invalid(tool, entry) for entry in log)) <= UNDESCRIBED.keys()
