"""A Zendesk account with any number of tickets of about 5 KB, each made when its page is asked for, always the same.

Here belongs the shape of the ticket export with metric sets, and the little around it that clients ask for before they
read. Not here: changes, limits or faults, which the stand-in of the invented company has.
"""

from __future__ import annotations

import json
import random
import re
import sys
from functools import lru_cache, partial

from tests.benchmarks.stand_in import Answer, serve

PAGE = 1000
BEGIN = 1_730_000_000  # seconds since 1970 of the first ticket; one follows every minute
FIELDS = 38
_WORDS = re.findall(
    r"\w+",
    "export report invoice login webhook dashboard customer fails since Tuesday cannot open slow again after update page "
    "empty column missing filter number wrong please help we need the file before month end thanks error when saving",
)
_KINDS = ("text", "tagger", "integer", "checkbox", "date", "multiselect", "decimal", "regexp")
_STATUS = ("new", "open", "pending", "hold", "solved", "closed")


def moment(seconds: int) -> str:
    day, rest = divmod(seconds - BEGIN, 86_400)
    month, day = divmod(day, 28)
    year, month = divmod(month, 12)
    return f"{2025 + year}-{month + 1:02}-{day + 1:02}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def field_id(place: int) -> int:
    return 360_000_000_001 + place * 1_000_003


def field_value(place: int, chance: random.Random) -> object:
    """One of the kinds of custom fields; a third of the values is empty, as in life."""
    if chance.random() < 0.33:
        return None
    number = chance.randrange(10_000)
    return {
        "text": f"{_WORDS[number % len(_WORDS)]} {_WORDS[number // 7 % len(_WORDS)]} {number}",
        "tagger": f"choice_{number % 12}",
        "integer": str(number),
        "checkbox": number % 2 == 0,
        "date": moment(BEGIN + number * 5000)[:10],
        "multiselect": [f"area_{number % 9}", f"area_{number % 5}"],
        "decimal": f"{number / 100:.2f}",
        "regexp": f"REF-{number:06}",
    }[_KINDS[place % len(_KINDS)]]


def ticket(number: int, url: str) -> dict[str, object]:
    chance = random.Random(number)
    at = BEGIN + number * 60
    created, updated = moment(at), moment(at + chance.randrange(30))
    subject = " ".join(chance.choices(_WORDS, k=6)) + f" {number}"
    custom_fields = [{"id": field_id(place), "value": field_value(place, chance)} for place in range(FIELDS)]
    person = 1_900_000_000_001 + chance.randrange(5000)

    def minutes() -> dict[str, int]:
        return {"calendar": chance.randrange(100_000), "business": chance.randrange(30_000)}

    return {
        "url": f"{url}/api/v2/tickets/{number}.json",
        "id": number,
        "external_id": None,
        "via": {
            "channel": "email",
            "source": {"from": {"address": f"p{person}@example.com", "name": "P"}, "to": {}, "rel": None},
        },
        "created_at": created,
        "updated_at": updated,
        "generated_timestamp": at,
        "type": chance.choice(("incident", "question", "problem", None)),
        "subject": subject,
        "raw_subject": subject,
        "description": " ".join(chance.choices(_WORDS, k=36)),
        "priority": chance.choice(("low", "normal", "high", "urgent", None)),
        "status": _STATUS[number % 6],
        "recipient": "support@example.com",
        "requester_id": person,
        "submitter_id": person,
        "assignee_id": 1_900_000_900_001 + chance.randrange(40),
        "organization_id": 2_000_000_001 + chance.randrange(900),
        "group_id": 3_000_001 + chance.randrange(8),
        "collaborator_ids": [],
        "follower_ids": [person + 1],
        "email_cc_ids": [],
        "forum_topic_id": None,
        "problem_id": None,
        "has_incidents": False,
        "is_public": True,
        "due_at": None,
        "tags": [f"choice_{chance.randrange(12)}", f"area_{chance.randrange(9)}", "vip"],
        "custom_fields": custom_fields,
        "satisfaction_rating": {"score": "unoffered"},
        "sharing_agreement_ids": [],
        "custom_status_id": 21_001 + number % 6,
        "encoded_id": f"{number:06X}-{person % 9973:04X}",
        "fields": custom_fields,
        "followup_ids": [],
        "ticket_form_id": 24_000_001,
        "brand_id": 23_000_001,
        "allow_channelback": False,
        "allow_attachments": True,
        "from_messaging_channel": False,
        "metric_set": {
            "url": f"{url}/api/v2/ticket_metrics/{25_000_000 + number}.json",
            "id": 25_000_000 + number,
            "ticket_id": number,
            "created_at": created,
            "updated_at": updated,
            "group_stations": 1,
            "assignee_stations": 1,
            "reopens": number % 3,
            "replies": number % 7,
            "assignee_updated_at": updated,
            "requester_updated_at": updated,
            "status_updated_at": updated,
            "initially_assigned_at": created,
            "assigned_at": created,
            "solved_at": updated if number % 6 > 3 else None,
            "latest_comment_added_at": updated,
            "reply_time_in_minutes": minutes(),
            "first_resolution_time_in_minutes": minutes(),
            "full_resolution_time_in_minutes": minutes(),
            "agent_wait_time_in_minutes": minutes(),
            "requester_wait_time_in_minutes": minutes(),
            "on_hold_time_in_minutes": minutes(),
        },
    }


@lru_cache(maxsize=40)  # what is read several times is made once
def page(start: int, tickets: int, url: str) -> bytes:
    """The export from ticket number `start` + 1 on; the cursor is how many tickets came before."""
    end = min(start + PAGE, tickets)
    reply = {
        "tickets": [ticket(number, url) for number in range(start + 1, end + 1)],
        "after_url": f"{url}/api/v2/incremental/tickets/cursor.json?cursor={end}&include=metric_sets",
        "after_cursor": str(end),
        "before_url": None,
        "before_cursor": None,
        "end_of_stream": end == tickets,
    }
    return json.dumps(reply, separators=(",", ":")).encode()


def answer(tickets: int, url: str) -> Answer:
    fields = [
        {
            "id": field_id(place),
            "type": _KINDS[place % len(_KINDS)],
            "title": f"Field {place}",
            "active": True,
            "removable": True,
        }
        for place in range(FIELDS)
    ]
    lists = {"ticket_fields": fields, "user_fields": [], "organization_fields": []}

    def reply(path: str, query: dict[str, str], _: bytes) -> bytes | None:
        name = path.removeprefix("/api/v2/").removesuffix(".json")
        if name in ("incremental/tickets/cursor", "incremental/tickets"):
            if "cursor" in query:
                return page(int(query["cursor"]), tickets, url)
            return page(min(tickets, max(0, (int(float(query["start_time"])) - BEGIN) // 60)), tickets, url)
        if name == "/oauth/tokens":
            return b'{"access_token": "bench", "token_type": "bearer", "scope": "read", "expires_in": 1800}'
        if name == "search/count":  # of all that was created before now
            return json.dumps({"count": tickets}).encode()
        if name.endswith("/count"):
            return json.dumps({"count": {"value": tickets, "refreshed_at": moment(BEGIN)}}).encode()
        if name in lists:
            return json.dumps({name: lists[name], "count": len(lists[name]), "next_page": None}).encode()
        return None

    return reply


if __name__ == "__main__":
    serve(partial(answer, int(sys.argv[1])))
