"""What Pendo's raw tables must hold, from the world's own records and deeds.

Here belongs no connector's code: rows are put together from what happened, and days are cut by the calendar of the zone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from connectors.sandbox import pendo_app, visits
from connectors.sandbox.visits import Deed
from connectors.sandbox.world import NOW, Record, World
from tests.truth.cases import Case, Key, Row

_FIRST_DAY = NOW.date() - timedelta(days=90)  # where a first read on the world's first day begins
_FIGURES = ("num_events", "num_minutes")
_BROWSER = {"server": "server", "remote_ip": "remoteIp", "user_agent": "userAgent"}
_SINGLE = {
    "account_id": "accountId", "account_ids": "accountIds", "app_id": "appId", "country": "country", "region": "region",
    "server_name": "serverName", "remote_ip": "remoteIp", "user_agent": "userAgent",
}  # fmt: skip


def moment(stamp: int | None) -> datetime | None:
    return pendo_app.moment(stamp) if stamp else None


# who and what there is --------------------------------------------------------------------------------------------


def accounts(world: World) -> dict[Key, Row]:
    _, seen = visits.last_seen(world)
    rows = {}
    for account in world.alive("pendo_account"):
        agent, auto, custom = (account["metadata"][group] for group in ("agent", "auto", "custom"))
        first = pendo_app.moment(auto["firstvisit"])
        rows[(account["accountId"],)] = {
            "account_id": account["accountId"],
            "name": agent["name"],
            "first_visit": first,
            "last_visit": _to_the_millisecond(seen.get(account["accountId"], first)),
            "last_updated": _last_updated(world, first),
            "custom": custom,
            "salesforce_id": None,
        }
    return rows


def visitors(world: World) -> dict[Key, Row]:
    seen, _ = visits.last_seen(world)
    rows = {}
    for visitor in filter(_is_named, world.alive("visitor")):
        agent, auto, custom = (visitor["metadata"][group] for group in ("agent", "auto", "custom"))
        first = pendo_app.moment(auto["firstvisit"])
        rows[(visitor["visitorId"],)] = {
            "visitor_id": visitor["visitorId"],
            "email": agent.get("email"),
            "full_name": agent.get("full_name"),
            "role": agent.get("role"),
            "language": agent.get("language"),
            "account_id": auto["accountids"][-1] if auto["accountids"] else None,
            "account_ids": auto["accountids"],
            "first_visit": first,
            "last_visit": _to_the_millisecond(seen.get(visitor["visitorId"], first)),
            "last_browser": auto["lastbrowsername"],
            "last_operating_system": auto["lastoperatingsystem"],
            "last_server": auto["lastservername"],
            "last_updated": _last_updated(world, first),
            "custom": custom,
        }
    return rows


def _is_named(record: Record) -> bool:
    return not str(record["visitorId"]).startswith("_PENDO_T_")


def _last_updated(world: World, first: datetime) -> datetime:
    return max(first, datetime.combine(world.now.date(), time(), UTC))


def _to_the_millisecond(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def _tagged(record: Record) -> Row:
    return {
        "id": record["id"],
        "name": record["name"],
        "app_id": record["appId"],
        "created_by": "pm@quillmere-software.com",
        "created_at": moment(record["createdAt"]),
        "last_updated_at": moment(record["lastUpdatedAt"]),
    }


def features(world: World) -> dict[Key, Row]:
    return {
        (feature["id"],): {
            **_tagged(feature),
            "page_id": feature["pageId"],
            "group_id": feature["group"]["id"],
            "group_name": feature["group"]["name"],
            "is_core_event": feature["isCoreEvent"],
            "app_wide": feature["appWide"],
            "element_path_rules": feature["elementPathRules"],
        }
        for feature in world.alive("pendo_feature")
    }


def pages(world: World) -> dict[Key, Row]:
    return {
        (page["id"],): {
            **_tagged(page),
            "group_id": page["group"]["id"],
            "group_name": page["group"]["name"],
            "is_core_event": page["isCoreEvent"],
            "rules": page["rules"],
        }
        for page in world.alive("pendo_page")
    }


def guides(world: World) -> dict[Key, Row]:
    return {
        (guide["id"],): {
            **_tagged(guide),
            "state": guide["state"],
            "type": guide["attributes"]["type"],
            "launch_method": guide["launchMethod"],
            "is_multi_step": guide["isMultiStep"],
            "is_training": guide["isTraining"],
            "steps": guide["steps"],
            "polls": guide["polls"],
            "audience": guide["audience"],
            "published_at": moment(guide["publishedAt"]),
            "reset_at": moment(guide["resetAt"]),
        }
        for guide in world.alive("guide")
    }


def polls(world: World) -> dict[Key, Row]:
    return {
        (guide["id"], poll["id"]): {
            "guide_id": guide["id"],
            "id": poll["id"],
            "type": poll["attributes"]["type"],
            "question": poll["question"],
            "display": poll["attributes"]["display"],
            "follow_up": poll["attributes"]["followUp"],
            "reset_at": moment(poll["resetAt"]),
        }
        for guide in world.alive("guide")
        for poll in guide["polls"]
    }


_KNOWN_FIELDS = {
    "visitor": {
        "auto": "accountid accountids firstvisit id lastbrowsername lastbrowserversion lastoperatingsystem lastservername "
        "lastupdated lastvisit",
        "agent": "email full_name language role",
    },
    "account": {"auto": "firstvisit id lastupdated lastvisit", "agent": "name"},
}


def metadata(world: World) -> dict[Key, Row]:
    rows = {}
    for kind, store in (("visitor", "visitor"), ("account", "pendo_account")):
        custom = {name for record in world.store(store).values() for name in record["metadata"]["custom"]}
        groups = {group: set(names.split()) for group, names in _KNOWN_FIELDS[kind].items()} | {"custom": custom}
        for group, name in ((group, name) for group, names in groups.items() for name in names):
            moments = ("firstvisit", "lastvisit", "lastupdated")
            rows[(kind, group, name)] = {
                "kind": kind,
                "group_name": group,
                "name": name,
                "display_name": name.replace("_", " ").capitalize(),
                "type": "time" if name in moments else "list" if name == "accountids" else "string",
                "element_type": "string" if name == "accountids" else "",
                "element_format": "",
                **dict.fromkeys(("is_hidden", "is_deleted", "is_calculated", "is_per_app"), False),
            }
    return rows


# events -----------------------------------------------------------------------------------------------------------


def _deeds(world: World, source: str) -> Iterator[Deed]:
    begin = datetime.combine(_FIRST_DAY, time(), UTC) - timedelta(days=1)
    return (deed for deed in visits.deeds(world, source, begin, world.now) if _is_named(deed.fields))


def _added_up(source: str, what: dict[str, str]) -> Callable[[World], dict[Key, Row]]:
    """Rows by the day of the subscription's zone. `what`: columns and fields after the day, in the table's order."""

    def rows(world: World) -> dict[Key, Row]:
        zone = ZoneInfo(pendo_app.ZONE)
        found: dict[Key, Row] = {}
        for deed in _deeds(world, source):
            day = deed.at.astimezone(zone).date()
            if day >= _FIRST_DAY:
                row: Row = {"day": day, **{name: deed.fields.get(field) for name, field in what.items()}}
                row = found.setdefault((_id(row),), {"id": _id(row), **row, "num_events": 0, "num_minutes": 0})
                row["num_events"] += deed.clicks
                row["num_minutes"] += 1
        return found

    return rows


def _single(source: str, what: dict[str, str]) -> Callable[[World], dict[Key, Row]]:
    def rows(world: World) -> dict[Key, Row]:
        found: dict[Key, Row] = {}
        for deed in _deeds(world, source):
            if deed.at.date() >= _FIRST_DAY:
                row: Row = {"browser_time": _to_the_millisecond(deed.at)}
                row |= {name: deed.fields.get(field) for name, field in what.items()}
                if "poll_response" in row:
                    row["poll_response"] = str(row["poll_response"])
                found[(_id(row),)] = {"id": _id(row), **row}
        return found

    return rows


def _id(row: Row) -> str:
    """Of everything that tells one row from another: the first half of a SHA-256."""
    return hashlib.sha256(repr(tuple(map(_told, row.values()))).encode()).hexdigest()[:32]


def _told(value: Any) -> Any:
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000) * 1000
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


# how they come, change and go ---------------------------------------------------------------------------------------


def _makes(kind: str, **fields: Any) -> Callable[[World, int], None]:
    def make(world: World, number: int) -> None:
        for place in range(number):
            world.create(kind, name=f"number {place}", **fields)

    return make


def _last(world: World, kind: str) -> Record:
    return list(world.alive(kind))[-1]


def _changes(kind: str, id_name: str, **fields: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.change(kind, _last(world, kind)[id_name], **fields)

    return change


def _deletes(kind: str, id_name: str) -> Callable[[World], None]:
    def delete(world: World) -> None:
        world.delete(kind, _last(world, kind)[id_name])

    return delete


def _undeletes(kind: str, id_name: str) -> Callable[[World], None]:
    def undelete(world: World) -> None:
        gone = [record for record in world.store(kind).values() if "_deleted_at" in record]
        world.undelete(kind, gone[-1][id_name])

    return undelete


def _listed(kind: str, rows: Callable[[World], dict[Key, Row]], **changed: Any) -> Case:
    return Case(rows, _makes(kind), _changes(kind, "id", **changed), _deletes(kind, "id"))


def _people(kind: str, id_name: str, rows: Callable[[World], dict[Key, Row]], **changed: Any) -> Case:
    make = _makes(kind, **{name: None for name in changed if name != "name"})
    return Case(rows, make, _changes(kind, id_name, **changed), _deletes(kind, id_name), _undeletes(kind, id_name))


def _make_polls(world: World, number: int) -> None:
    for _ in range(number):
        guide = world.create("guide", name="How are we doing?", _nps=True)
        world.change("guide", guide["id"], polls=guide["polls"][:1])


def _asking(world: World) -> Record:
    """The last guide that asks something."""
    return [guide for guide in world.alive("guide") if guide["polls"]][-1]


def _change_poll(world: World) -> None:
    guide = _asking(world)
    world.change("guide", guide["id"], polls=[{**guide["polls"][0], "question": "Would you?"}])


def _delete_poll(world: World) -> None:
    world.change("guide", _asking(world)["id"], polls=[])


def _make_fields(world: World, number: int) -> None:
    names = [f"field_{world.number('made field')}" for _ in range(number)]
    world.create("pendo_account", custom=dict.fromkeys(names, "x"))


def _events(source: str, rows: Callable[[World], dict[Key, Row]], **what: Any) -> Case:
    """Each event by a visitor of its own, some of them on the days before."""
    single = source in ("guideEvents", "pollEvents")

    def make(world: World, number: int) -> None:
        for place in range(number):
            account, visitor = world.create("pendo_account"), world.create("visitor")
            at = world.now - timedelta(hours=2 + 9 * place)
            about = {"visitorId": visitor["visitorId"], "accountId": account["accountId"], **what}
            world.create("action", at=at, source=source, clicks=2, **about)

    def again(world: World) -> None:
        action = _last(world, "action")
        known = {name: value for name, value in action.items() if name[0] != "_"}
        world.create("action", at=action["_at"] + timedelta(minutes=1), **known)

    def delete(world: World) -> None:
        world.delete("visitor", _last(world, "action")["visitorId"])

    return Case(rows, make, None if single else again, delete)


def first_day() -> date:
    return _FIRST_DAY


_COMMON = {"visitor_id": "visitorId", "account_id": "accountId", "app_id": "appId"}

CASES: dict[str, Case] = {
    "accounts": _people("pendo_account", "accountId", accounts, name="Renamed Ltd"),
    "visitors": _people("visitor", "visitorId", visitors, full_name="Somebody Else"),
    "features": _listed("pendo_feature", features, name="Renamed"),
    "pages": _listed("pendo_page", pages, name="Renamed"),
    "guides": _listed("guide", guides, state="disabled"),
    "polls": Case(polls, _make_polls, _change_poll, _delete_poll),
    "feature_events": _events(
        "featureEvents",
        _added_up("featureEvents", {"feature_id": "featureId", **_COMMON, "parameters": "parameters", **_BROWSER}),
        featureId="a feature",
    ),
    "page_events": _events(
        "pageEvents",
        _added_up("pageEvents", {"page_id": "pageId", **_COMMON, "parameters": "parameters", **_BROWSER}),
        pageId="a page",
        parameters={"site": "12"},
    ),
    "track_events": _events(
        "trackEvents",
        _added_up("trackEvents", {"track_type_id": "trackTypeId", **_COMMON, "properties": "properties", **_BROWSER}),
        trackTypeId="a type",
        properties={"format": "csv"},
    ),
    "guide_events": _events(
        "guideEvents",
        _single(
            "guideEvents",
            {
                "type": "type",
                "guide_id": "guideId",
                "guide_step_id": "guideStepId",
                "visitor_id": "visitorId",
                **{name: _SINGLE[name] for name in ("account_id", "account_ids", "app_id")},
                "url": "url",
                **_SINGLE,
            },
        ),
        type="guideSeen",
        guideId="a guide",
        guideStepId="a step",
        url="https://app.quillmere-software.com/home",
    ),
    "poll_events": _events(
        "pollEvents",
        _single(
            "pollEvents",
            {
                "guide_id": "guideId",
                "poll_id": "pollId",
                "poll_response": "pollResponse",
                "type": "type",
                "visitor_id": "visitorId",
                **_SINGLE,
            },
        ),
        type="pollResponse",
        guideId="a guide",
        pollId="a poll",
        pollResponse=9,
    ),
    "metadata": Case(metadata, _make_fields),
}
