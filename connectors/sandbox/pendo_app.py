"""How a Pendo subscription keeps its records: ids, stamps in milliseconds, what a deletion takes along.

Here belongs what Pendo does by itself when a record is made or changed. Not here: pipelines and endpoints, what visitors
do all day, or why anything changes.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

STORES = {  # kind → where the world keeps its records
    "pendo_account": "pendo_accounts",
    "visitor": "visitors",
    "pendo_feature": "pendo_features",
    "pendo_page": "pendo_pages",
    "guide": "guides",
    "action": "actions",
}
IDS: Mapping[str, str] = {"pendo_account": "accountId", "visitor": "visitorId", "action": "_id"}

ZONE = "America/New_York"  # the subscription's time zone, in which its days are cut; only whole hours are possible
WEB, MOBILE = -323232, 5241873609187328  # the application that every subscription has, and one more
ANONYMOUS = "_PENDO_T_"  # how the id of a visitor begins whom the application does not name
LATEST = timedelta(hours=6)  # after so long every event has arrived, also from who was offline
TRACK_TYPE = "fDqEdpKaV-exportRun"

_OF_ACTIONS = {  # what an action hangs on, by the name of its field
    "pendo_account": "accountId",
    "visitor": "visitorId",
    "pendo_feature": "featureId",
    "pendo_page": "pageId",
    "guide": "guideId",
}
_AUTHOR = {"id": "5636318331666432", "username": "pm@quillmere-software.com", "first": "Pia", "last": "Mahler", "role": 8}


def millis(at: datetime) -> int:
    return int(at.timestamp()) * 1000 + at.microsecond // 1000


def moment(stamp: int) -> datetime:
    return datetime.fromtimestamp(stamp / 1000, UTC)


def stamp(kind: str, record: Record) -> int:
    if kind == "action":
        return millis(record["_at"])
    return int(record["lastUpdatedAt"] if "lastUpdatedAt" in record else record["metadata"]["auto"]["firstvisit"])


def create(world: World, kind: str, at: datetime, fields: dict[str, Any]) -> Record:
    make = {
        "pendo_account": _account,
        "visitor": _visitor,
        "pendo_feature": _feature,
        "pendo_page": _page,
        "guide": _guide,
        "action": _action,
    }[kind]
    return make(world, at, fields)


def _id(world: World, kind: str) -> str:
    """27 letters that mean nothing, as the vendor's."""
    digest = hashlib.sha1(f"{world.seed}/{kind}/{world.number(kind)}".encode()).digest()
    return urlsafe_b64encode(digest).decode()[:27]


def _account(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    """Takes accountId and, of metadata, name and custom."""
    account_id = fields.get("accountId") or f"account-{world.number('pendo_account')}"
    return {
        "accountId": account_id,
        "metadata": {
            "agent": {"name": fields.get("name")},
            "auto": {"id": account_id, "idhash": crc32(account_id.encode()), "firstvisit": millis(at)},
            "custom": dict(fields.get("custom", {})),
        },
    }


def _visitor(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    """Takes visitorId and, of metadata, email, full_name, role, accountids and custom."""
    visitor_id = fields.get("visitorId") or f"visitor-{world.number('visitor')}"
    accounts = list(fields.get("accountids", ()))
    browser, system = _browser(visitor_id)
    return {
        "visitorId": visitor_id,
        "metadata": {
            "agent": {name: fields[name] for name in ("email", "full_name", "role", "language") if name in fields},
            "auto": {
                "id": visitor_id,
                "idhash": crc32(visitor_id.encode()),
                "accountid": accounts[-1] if accounts else None,
                "accountids": accounts,
                "firstvisit": millis(at),
                "lastbrowsername": browser,
                "lastbrowserversion": "141.0.0",
                "lastoperatingsystem": system,
                "lastservername": "app.quillmere-software.com",
                "lastuseragent": user_agent(visitor_id),
            },
            f"auto__{MOBILE}": {"firstvisit": 0},  # never there
            "custom": dict(fields.get("custom", {})),
        },
        "_memberships": [[account_id, at, None] for account_id in accounts],  # with since when, and until when
    }


def _browser(visitor_id: str) -> tuple[str, str]:
    chosen = crc32(visitor_id.encode())
    return ("Chrome", "Firefox", "Edge")[chosen % 3], ("Windows", "Mac OS X")[chosen // 3 % 2]


def user_agent(visitor_id: str) -> str:
    browser, system = _browser(visitor_id)
    return f"Mozilla/5.0 ({system}) {browser}/141.0.0"


def _tagged(world: World, kind: str, at: datetime, fields: dict[str, Any]) -> Record:
    app = fields.get("appId", WEB)
    return {
        "id": _id(world, kind),
        "appId": app,
        "appIds": [app],
        "createdByUser": dict(_AUTHOR),
        "createdAt": millis(at),
        "lastUpdatedByUser": dict(_AUTHOR),
        "lastUpdatedAt": millis(at),
        "kind": {"pendo_feature": "Feature", "pendo_page": "Page", "guide": "Guide"}[kind],
        "rootVersionId": f"root-{kind}",
        "stableVersionId": f"stable-{kind}-{millis(at)}",
        "name": None,
        "dirty": False,
    }


def _feature(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    """`_used_since` (default: when it was tagged): a tag finds what was done before it was made, too."""
    used = fields.pop("_used_since", at)
    return {
        **_tagged(world, "pendo_feature", at, fields),
        "pageId": "__noPage__",
        "group": {"id": "_PENDO_DEFAULT_GROUP_", "name": "Default", "color": "gray"},
        "isCoreEvent": False,
        "appWide": False,
        "elementPathRules": ["#export"],
        "eventPropertyConfigurations": [],
        "validThrough": millis(world.now),
        **fields,
        "_used_since": used,
    }


def _page(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    return {
        **_tagged(world, "pendo_page", at, fields),
        "group": {"id": "_PENDO_DEFAULT_GROUP_", "name": "Default", "color": "gray"},
        "isCoreEvent": False,
        "rules": [{"rule": "//*/home", "designerHint": "", "parsedRule": "^https?://[^/]*/home$"}],
        **fields,
    }


def _guide(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    """With so many `_steps` (default 1) and, if `_nps`, the two polls that ask for a score and its reason."""
    steps, nps = fields.pop("_steps", 1), fields.pop("_nps", False)
    record = _tagged(world, "guide", at, fields)
    return {
        **record,
        "state": "public",
        "launchMethod": "auto",
        "isMultiStep": steps > 1,
        "isTraining": False,
        "attributes": {"type": "building-block", "device": {"type": "desktop"}},
        "steps": [_step(world, record["id"], rank, at) for rank in range(steps)],
        "polls": _nps_polls(world, at) if nps else [],
        "audience": [{"source": {"visitors": None}}, {"select": {"visitorId": "visitorId"}}],
        "publishedAt": millis(at),
        "resetAt": millis(at),
        **fields,
    }


def _step(world: World, guide_id: str, rank: int, at: datetime) -> Record:
    return {
        "id": _id(world, "guide_step"),
        "guideId": guide_id,
        "type": "tooltip" if rank else "lightbox",
        "rank": rank,
        "advanceMethod": "button",
        "lastUpdatedAt": millis(at),
    }


def _nps_polls(world: World, at: datetime) -> list[Record]:
    return [
        {
            "id": f"z7y94y{world.number('poll', 620):05d}",
            "question": question,
            "attributes": {"type": kind, "display": display, "followUp": follow_up},
            "resetAt": millis(at),
        }
        for kind, question, display, follow_up in (
            ("NPSRating", "How likely are you to recommend us to a colleague?", "All", True),
            ("FreeForm", "What is the main reason for your score?", "All", False),
        )
    ]


def _action(world: World, at: datetime, fields: dict[str, Any]) -> Record:
    """Something that one visitor did, of a `source` such as featureEvents. `clicks`: how often; `late`: after how long
    Pendo got to know it."""
    late = fields.pop("late", timedelta(minutes=1))
    visitor = world.store("visitor")[fields["visitorId"]]
    accounts = list(visitor["metadata"]["auto"]["accountids"])
    single = {"accountIds": accounts} if fields["source"] in ("guideEvents", "pollEvents") else {}
    return {
        "_id": world.number("action"),
        "accountId": accounts[-1] if accounts else "",
        "clicks": 1,
        **single,
        **fields,
        "_at": at,
        "_received": at + late,
    }


def change(_: World, kind: str, record: Record, at: datetime, fields: dict[str, Any]) -> None:
    """Accounts and visitors take names of their metadata, everything else its own fields."""
    for name, value in fields.items():
        holder = _holder(record, name) if kind in ("pendo_account", "visitor") else record
        if name not in holder:
            raise KeyError(f"{kind} has no field {name}")
        holder[name] = value
        if name == "accountids":
            holder["accountid"] = value[-1] if value else None
            _move(record["_memberships"], value, at)
    if "lastUpdatedAt" in record:
        record["lastUpdatedAt"] = millis(at)


def _move(memberships: list[Any], accounts: list[str], at: datetime) -> None:
    """What was done for an account that is left stays done for it."""
    for membership in memberships:
        if membership[2] is None and membership[0] not in accounts:
            membership[2] = at
    current = {account_id for account_id, _, until in memberships if until is None}
    memberships += [[account_id, at, None] for account_id in accounts if account_id not in current]


def _holder(record: Record, name: str) -> Record:
    metadata: Record = record["metadata"]
    return next((group for group in (metadata, metadata["agent"], metadata["auto"]) if name in group), metadata)


def delete(world: World, kind: str, record: Record, at: datetime) -> None:
    """What was done by a visitor, for an account or with a feature goes along: Pendo shows it no more, on any day."""
    if kind == "action":
        return
    record_id, name = record[IDS.get(kind, "id")], _OF_ACTIONS[kind]
    for action in world.alive("action"):
        if action.get(name) == record_id:
            action["_deleted_at"] = at.isoformat()
    if kind == "pendo_account":
        for visitor in world.alive("visitor"):
            accounts = visitor["metadata"]["auto"]["accountids"]
            if record_id in accounts:
                change(world, "visitor", visitor, at, {"accountids": [each for each in accounts if each != record_id]})


def undelete(_: World, kind: str, record: Record, at: datetime) -> None:
    """Who comes again after a deletion begins anew."""
    if kind not in ("pendo_account", "visitor"):
        raise KeyError(f"Pendo brings no {kind} back")
    record["metadata"]["auto"]["firstvisit"] = millis(at)
