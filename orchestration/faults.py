"""What is told and kept of an error: one line, in which nobody's data stands.

Here belongs the way from an exception to that line and to Dagster's failure. Not here: what is tried again or recorded.
"""

from __future__ import annotations

import re

import dagster as dg

from connectors.base import SourceError
from orchestration.settings import SettingsError
from warehouse.engine import WarehouseError

EXPECTED = (SettingsError, SourceError, WarehouseError)  # they say in one line what to do, and quote no data
LONGEST = 200
# Database drivers quote the row that they choke on. What looks like the name of a table or a column may stay.
_QUOTED = re.compile(r"""(["'])(?![a-z0-9_.]+\1).*\1""")


class Fault(Exception):
    """Stands in for an error nobody foresaw: its place in the code, and only the line that may be shown."""


def line(error: Exception) -> str:
    if isinstance(error, EXPECTED):
        return str(error)
    # SQLAlchemy puts the statement and its parameters behind the driver's own words.
    error = getattr(error, "orig", None) or error
    first = next((said.strip() for said in str(error).splitlines() if said.strip()), "")
    return f"{type(error).__name__}: {_QUOTED.sub('…', first)[:LONGEST]}"


def failure(error: Exception, *, allow_retries: bool = False) -> dg.Failure:
    """To be raised from `cause(error)`: Dagster keeps the words of every exception in the chain."""
    hint = "" if isinstance(error, EXPECTED) else " (a fault in fullpicture: --verbose shows where)"
    return dg.Failure(line(error) + hint, allow_retries=allow_retries)


def cause(error: Exception) -> Fault | None:
    return None if isinstance(error, EXPECTED) else Fault(line(error)).with_traceback(error.__traceback__)
