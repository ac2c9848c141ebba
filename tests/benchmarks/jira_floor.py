"""The floor: asks Jira for ids, then for bodies and changelogs in bulk, eight at a time, and parses every reply.

What the best plain client would do, without keeping a single row. Not here: anything of ours.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any

import requests

BODIES, HISTORIES, AT_A_TIME = 100, 1000, 8
_mine = local()


def main(url: str) -> None:
    def post(path: str, body: dict[str, Any]) -> Any:
        if not hasattr(_mine, "session"):
            _mine.session = requests.Session()
        return json.loads(_mine.session.post(f"{url}/rest/api/3/{path}", json=body, timeout=60).content)

    ids: list[str] = []
    token = None
    while True:
        found = post("search/jql", {"jql": "id > 0", "fields": ["id"], "maxResults": 5000, "nextPageToken": token})
        ids += [issue["id"] for issue in found["issues"]]
        token = found.get("nextPageToken")
        if token is None:
            break

    def fetched(path: str, asked: list[str]) -> int:
        return len(post(path, {"issueIdsOrKeys": asked}).get("issues", ()))

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        replies = [
            pool.submit(fetched, path, ids[start : start + size])
            for path, size in (("changelog/bulkfetch", HISTORIES), ("issue/bulkfetch", BODIES))
            for start in range(0, len(ids), size)
        ]
        print(sum(reply.result() for reply in replies))


if __name__ == "__main__":
    main(*sys.argv[1:])
