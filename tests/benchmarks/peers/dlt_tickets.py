"""dlt reads the ticket export into DuckDB, as its documentation sets up a REST API with cursor pages.

Runs in an environment of its own. `nesting`: max_table_nesting, or "default" for dlt as it comes.
"""

import sys
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator


class Export(JSONLinkPaginator):
    """The last page of an export has a link to the next one, too."""

    def update_state(self, response: Any, data: list[Any] | None = None) -> None:
        reply = response.json()
        self._next_reference = None if reply["end_of_stream"] else reply["after_url"]


def main(url: str, database: str, nesting: str) -> None:
    client = RESTClient(base_url=url, paginator=Export(), data_selector="tickets")

    @dlt.resource(
        name="tickets",
        primary_key="id",
        write_disposition="merge",
        max_table_nesting=None if nesting == "default" else int(nesting),
    )
    def tickets() -> Iterator[Any]:
        parameters = {"start_time": 0, "include": "metric_sets"}
        yield from client.paginate("/api/v2/incremental/tickets/cursor.json", params=parameters)

    pipeline = dlt.pipeline("tickets", destination=dlt.destinations.duckdb(database), dataset_name="zendesk")
    pipeline.run(tickets())


if __name__ == "__main__":
    main(*sys.argv[1:])
