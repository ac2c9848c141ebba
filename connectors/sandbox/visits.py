"""What visitors do in the product on every day of their lives, and when Pendo gets to know it.

Most of it follows from the seed, the visitor, the feature and the day, so that years of it need no memory; what a story
or a test lets happen stands beside it, as actions. Not here: how Pendo adds it up, or who the visitors are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zlib import crc32

from connectors.sandbox import pendo_app

if TYPE_CHECKING:
    from connectors.sandbox.world import Record, World

_HABITUAL = ("featureEvents", "pageEvents", "trackEvents")
_REMEMBERED = timedelta(days=60)  # how far back Pendo is asked when somebody was last there


@dataclass(frozen=True)
class Deed:
    """`clicks` times the same at one moment. `fields` are the vendor's: who did it, with what, from where."""

    at: datetime
    fields: Record
    clicks: int


def deeds(world: World, source: str, first: datetime, end: datetime) -> Iterator[Deed]:
    """What a source such as featureEvents knows by now of a stretch of time."""
    yield from _told(world, source, first, end)
    if source in _HABITUAL:
        # One day more: what begins before midnight may end after it.
        for day in _days(first.date() - timedelta(days=1), end.date()):
            for deed in _habits(world, source, day):
                if first <= deed.at < end:
                    yield deed


def last_seen(world: World) -> tuple[dict[str, datetime], dict[str, datetime]]:
    """When each visitor, and somebody of each account, last used a feature; who did not for long is left out."""
    visitors: dict[str, datetime] = {}
    accounts: dict[str, datetime] = {}
    for deed in deeds(world, "featureEvents", world.now - _REMEMBERED, world.now):
        for seen, name in ((visitors, "visitorId"), (accounts, "accountId")):
            who = deed.fields[name]
            seen[who] = max(deed.at, seen.get(who, deed.at))
    return visitors, accounts


def _told(world: World, source: str, first: datetime, end: datetime) -> Iterator[Deed]:
    for action in world.alive("action"):
        if action["source"] == source and first <= action["_at"] < end and action["_received"] <= world.now:
            known = {name: value for name, value in action.items() if name[0] != "_" and name not in ("source", "clicks")}
            yield Deed(action["_at"], {**_place(source, action["visitorId"], 0), **known}, action["clicks"])


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=days) for days in range((last - first).days + 1))


def _habits(world: World, source: str, day: date) -> Iterator[Deed]:
    features = [feature for feature in world.alive("pendo_feature") if feature["_used_since"].date() <= day]
    busy = 100 if day.weekday() < 5 else 25
    for visitor in world.alive("visitor"):
        visitor_id = visitor["visitorId"]
        mood = crc32(f"{world.seed}/{visitor_id}/{day}".encode())
        diligence = 15 + crc32(visitor_id.encode()) % 40
        if mood % 100 * 100 >= diligence * busy or pendo_app.moment(visitor["metadata"]["auto"]["firstvisit"]).date() >= day:
            continue
        account = _account_on(world, visitor, day)
        if account is not None:
            yield from _uses(world, source, day, visitor, account, features)


def _account_on(world: World, visitor: Record, day: date) -> str | None:
    """For whom the visitor works that day; nobody's are the anonymous, and None's are those whose account is gone."""
    accounts = [
        account_id
        for account_id, since, until in visitor["_memberships"]
        if since.date() <= day and (until is None or until.date() > day)
    ]
    if not accounts:
        return ""
    account_id = max(accounts, key=lambda each: crc32(f"{each}/{day}".encode()))
    return None if "_deleted_at" in world.store("pendo_account")[account_id] else account_id


def _uses(world: World, source: str, day: date, visitor: Record, account_id: str, features: Iterable[Record]) -> Iterator[Deed]:
    midnight = datetime.combine(day, time(), UTC)
    for feature in features:
        luck = crc32(f"{world.seed}/{visitor['visitorId']}/{feature['id']}/{day}".encode())
        if luck % 3:
            continue
        about = _about(world, source, feature, luck)
        if about is None:
            continue
        fields = {**_place(source, visitor["visitorId"], luck), **about}
        fields |= {"appId": feature["appId"], "visitorId": visitor["visitorId"], "accountId": account_id}
        late = timedelta(minutes=15 if luck >> 20 & 15 else 60 + (luck >> 24))
        for minutes in (0, 97) if luck % 7 == 0 else (0,):
            at = midnight + timedelta(minutes=luck // 8 % 1440 + minutes, milliseconds=luck % 60_000)
            if at + late <= world.now:
                yield Deed(at, fields, 1 + luck // 64 % 6)


def _about(world: World, source: str, feature: Record, luck: int) -> Record | None:
    """What of the use of a feature a source notes; None if it notes nothing."""
    if source == "featureEvents":
        return {"featureId": feature["id"], **({"parameters": {"tab": "week"}} if luck % 5 == 0 else {})}
    if source == "trackEvents":
        return {"trackTypeId": pendo_app.TRACK_TYPE, "properties": {"format": "csv"}} if luck % 5 == 1 else None
    page = world.store("pendo_page").get(feature["pageId"])
    return {"pageId": page["id"]} if page and "_deleted_at" not in page else None


def _place(source: str, visitor_id: str, luck: int) -> Record:
    """From where, and with what. Sources of single events say more than those that add up."""
    network = "198.51.100" if luck % 9 == 0 else "203.0.113"
    server, address = "app.quillmere-software.com", f"{network}.{crc32(visitor_id.encode()) % 250}"
    place: Record = {"appId": pendo_app.WEB, "remoteIp": address, "userAgent": pendo_app.user_agent(visitor_id)}
    if source in _HABITUAL:
        return {**place, "server": server}
    where = {"country": "DE", "region": "hh", "latitude": 53.55, "longitude": 9.99}
    return {**place, **where, "serverName": server, "loadTime": 0}
