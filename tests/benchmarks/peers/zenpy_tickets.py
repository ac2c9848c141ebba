"""zenpy's objects, turned to dictionaries, into DuckDB with pandas' to_sql.

Runs in an environment of its own. Lists and objects are written as JSON, which to_sql cannot do by itself.
"""

import json
import os
import sys
from urllib.parse import urlsplit

import pandas as pd
import sqlalchemy as sa


def main(url: str, database: str) -> None:
    os.environ |= {"ZENPY_FORCE_SCHEME": "http", "ZENPY_FORCE_NETLOC": urlsplit(url).netloc}
    from zenpy import Zenpy

    client = Zenpy(subdomain="bench", oauth_token="bench")
    tickets = pd.DataFrame([ticket.to_dict() for ticket in client.tickets.incremental(start_time=0, include=["metric_sets"])])
    for name in tickets.columns:
        if tickets[name].map(lambda value: isinstance(value, dict | list)).any():
            tickets[name] = tickets[name].map(json.dumps)
    tickets.to_sql("tickets", sa.create_engine(f"duckdb:///{database}"), index=False, chunksize=10_000)


if __name__ == "__main__":
    main(*sys.argv[1:])
