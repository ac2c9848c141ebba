"""The floor: downloads the ticket pages, parses them with the standard library, makes Arrow, inserts ten columns.

What anybody would write in half an hour, and what loses the other columns. Not here: anything of ours.
"""

from __future__ import annotations

import json
import sys

import duckdb
import pyarrow as pa
import requests

COLUMNS = [
    "id", "subject", "status", "priority", "type", "organization_id", "requester_id", "assignee_id", "created_at", "updated_at",
]  # fmt: skip


def main(url: str, database: str) -> None:
    connection = duckdb.connect(database)
    connection.execute(
        "create table tickets (id bigint, subject text, status text, priority text, type text, organization_id bigint, "
        "requester_id bigint, assignee_id bigint, created_at timestamptz, updated_at timestamptz)"
    )
    session = requests.Session()
    address = f"{url}/api/v2/incremental/tickets/cursor.json"
    place = {"start_time": "0"}
    while True:
        export = json.loads(session.get(address, params={"include": "metric_sets", **place}, timeout=60).content)
        page = pa.table({name: [ticket[name] for ticket in export["tickets"]] for name in COLUMNS})
        connection.register("page", page)
        connection.execute("insert into tickets select * from page")
        if export["end_of_stream"]:
            break
        place = {"cursor": export["after_cursor"]}
    connection.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
