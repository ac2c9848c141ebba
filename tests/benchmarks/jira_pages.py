"""A Jira site of any number of issues of about 4 KB with six entries of history each, made from a few patterns.

Here belongs the shape of what a reader of issues asks for: ids, bodies in bulk, changelogs in bulk. Not here: changes,
limits or faults, which the stand-in of the invented company has.
"""

from __future__ import annotations

import json
import random
import sys
from functools import partial
from typing import Any

from tests.benchmarks.stand_in import Answer, serve

IDS = 5000  # of a page
FIRST = 10_000  # the id before the first
HISTORY = 6  # entries of each issue
_PATTERNS = 60
_ID, _NUMBER = "@ID@", "@NUMBER@"
_WORDS = ["export", "login", "sync", "board", "empty", "slow", "page", "after", "update", "filter", "wrong", "again", "report"]
_SIZES = ("48x48", "24x24", "16x16", "32x32")
_STATUSES = [("10000", "To Do", "new"), ("10001", "In Progress", "indeterminate"), ("10002", "Done", "done")]


def text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))


def person(number: int, url: str) -> dict[str, Any]:
    account = f"712020:{number:08}"
    return {
        "self": f"{url}/rest/api/3/user?accountId={account}",
        "accountId": account,
        "emailAddress": f"person{number}@example.com",
        "avatarUrls": {
            size: f"https://avatars.example.com/{number}/{size}.png" for size in ("48x48", "24x24", "16x16", "32x32")
        },
        "displayName": f"Person {number}",
        "active": True,
        "timeZone": "Europe/Copenhagen",
        "accountType": "atlassian",
    }


def document(chance: random.Random) -> dict[str, Any]:
    paragraphs = [{"type": "paragraph", "content": [{"type": "text", "text": text(chance, 12)}]} for _ in range(3)]
    return {"type": "doc", "version": 1, "content": paragraphs}


def moment(chance: random.Random) -> str:
    return f"2026-{chance.randrange(1, 11):02}-{chance.randrange(1, 28):02}T{chance.randrange(24):02}:15:09.123+0100"


def issue(pattern: int, url: str) -> bytes:
    chance = random.Random(pattern)
    status, name, category = chance.choice(_STATUSES)
    fields: dict[str, Any] = {
        "summary": f"{text(chance, 6)} {_NUMBER}",
        "description": document(chance),
        "statuscategorychangedate": moment(chance),
        "status": {
            "self": f"{url}/rest/api/3/status/{status}",
            "id": status,
            "name": name,
            "statusCategory": {"id": 4, "key": category, "colorName": "yellow", "name": name},
        },
        "issuetype": {"id": "10004", "name": "Story", "subtask": False, "hierarchyLevel": 0},
        "priority": {"id": "3", "name": "Medium", "iconUrl": f"{url}/images/medium.svg"},
        "project": {"id": "10000", "key": "BENCH", "name": "Bench", "projectTypeKey": "software", "simplified": False},
        "resolution": None,
        "resolutiondate": None,
        "assignee": person(chance.randrange(40), url),
        "reporter": person(chance.randrange(40), url),
        "creator": person(chance.randrange(40), url),
        "labels": ["bench", chance.choice(_WORDS)],
        "components": [{"self": f"{url}/rest/api/3/component/10010", "id": "10010", "name": "Core"}],
        "fixVersions": [],
        "versions": [],
        "issuelinks": [],
        "subtasks": [],
        "attachment": [],
        "created": moment(chance),
        "updated": moment(chance),
        "duedate": None,
        "timetracking": {},
        "watches": {"watchCount": 1, "isWatching": False},
        "votes": {"votes": 0, "hasVoted": False},
        "comment": {"comments": [], "maxResults": 0, "total": 0, "startAt": 0},
        "customfield_10019": "0|i00007:",
        "customfield_10020": [{"id": 5, "name": "Sprint 5", "state": "active", "boardId": 1, "goal": ""}],
        "customfield_10016": float(chance.randrange(13)),
        **{f"customfield_{10030 + place}": text(chance, 3) if place % 4 == 0 else None for place in range(30)},
    }
    record = {"expand": "names,schema", "id": _ID, "self": f"{url}/rest/api/3/issue/{_ID}", "key": f"BENCH-{_NUMBER}"}
    return json.dumps({**record, "fields": fields}, separators=(",", ":")).encode()


def history(pattern: int, url: str) -> bytes:
    chance = random.Random(-1 - pattern)
    entries = [
        {
            "id": f"{_ID}{entry}",
            "author": person(chance.randrange(40), url),
            "created": 1_770_000_000_000 + pattern * 100_000 + entry,
            "items": [
                {
                    "field": "status",
                    "fieldtype": "jira",
                    "fieldId": "status",
                    "from": _STATUSES[entry % 3][0],
                    "fromString": _STATUSES[entry % 3][1],
                    "to": _STATUSES[(entry + 1) % 3][0],
                    "toString": _STATUSES[(entry + 1) % 3][1],
                }
            ],
        }
        for entry in range(HISTORY)
    ]
    return json.dumps({"issueId": _ID, "changeHistories": entries}, separators=(",", ":")).encode()


def answer(issues: int, url: str) -> Answer:
    bodies = [issue(pattern, url) for pattern in range(_PATTERNS)]
    histories = [history(pattern, url) for pattern in range(_PATTERNS)]

    me = {"accountId": "712020:0", "timeZone": "UTC"}
    others: dict[str, Any] = {"myself": me, "field": [], "search/approximate-count": {"count": issues}}

    def filled(patterns: list[bytes], issue_id: int) -> bytes:
        made = patterns[issue_id % _PATTERNS].replace(_ID.encode(), b"%d" % issue_id)
        return made.replace(_NUMBER.encode(), b"%d" % (issue_id - FIRST))

    def found(asked: dict[str, Any]) -> bytes:
        start = int(asked.get("nextPageToken") or 0)
        end = min(issues, start + IDS)
        reply: dict[str, Any] = {
            "issues": [{"id": str(FIRST + 1 + place)} for place in range(start, end)],
            "isLast": end == issues,
        }
        return json.dumps(reply | ({} if end == issues else {"nextPageToken": str(end)})).encode()

    def reply(path: str, query: dict[str, str], sent: bytes) -> bytes | None:
        name, asked = path.removeprefix("/rest/api/3/"), json.loads(sent) if sent else query
        if name == "issue/bulkfetch":
            records = b",".join(filled(bodies, int(each)) for each in asked["issueIdsOrKeys"])
            return b'{"expand":"names","issues":[' + records + b'],"issueErrors":[]}'
        if name == "changelog/bulkfetch":
            return b'{"issueChangeLogs":[' + b",".join(filled(histories, int(each)) for each in asked["issueIdsOrKeys"]) + b"]}"
        if name == "search/jql":
            return found(asked)
        return json.dumps(others[name]).encode() if name in others else None

    return reply


if __name__ == "__main__":
    serve(partial(answer, int(sys.argv[1])), latency=float(sys.argv[2]))
