"""What can befall a database, and how it is told: in one line that says what to do and never holds a password.

Here belong the signs by which drivers' errors are known. Not here: where errors are caught.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import adbc_driver_manager
import duckdb
import sqlalchemy as sa
from sqlalchemy.engine import URL


class WarehouseError(Exception):
    """What keeps the warehouse from being used, in one line that says what to do; never holds a password. `transient`: trying
    again can help."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


def shown(url: URL) -> str:
    """A database's address as it may be shown: no password, and nothing of what stands behind a question mark."""
    return url.set(query={}).render_as_string(hide_password=True)


@dataclass(frozen=True)
class _Trouble:
    """What can befall any database at any moment: how the drivers tell it, and what helps."""

    sign: re.Pattern[str]
    what: str
    advice: str
    transient: bool = False


# Not what drivers raise for a statement or a value, which they quote.
BEFALLEN = (
    sa.exc.OperationalError,
    sa.exc.InternalError,
    sa.exc.InterfaceError,
    duckdb.OperationalError,
    duckdb.InternalError,
    duckdb.FatalException,
    adbc_driver_manager.OperationalError,
    adbc_driver_manager.InternalError,
)
_TROUBLES = (
    _Trouble(
        re.compile(
            "No space left|File too large|Disk quota|could not extend file|failed to offload|max_temp_directory_size", re.I
        ),
        "has no room left",
        "Make room, and run this again: what had been committed stands.",
    ),
    _Trouble(
        re.compile("Out of Memory|out of memory|out of shared memory"),
        "needs more memory",
        "End what else runs beside it, and run this again: what had been committed stands.",
    ),
    _Trouble(
        re.compile(
            "connection.*(closed|reset|refused|lost|terminat|abort)|(closed|terminating|no|lost).*connection|EOF detected|"
            "database system is (shutting down|starting up|in recovery|not yet)|Broken pipe|receive data",
            re.I,
        ),
        "has ended the connection",
        "Look whether the database runs, and run this again: what had been committed stands.",
        transient=True,
    ),
    _Trouble(
        re.compile("lock timeout"),
        "is held by another program's transaction",
        "End that program, or the session that pg_stat_activity shows as idle in transaction, and run this again.",
        transient=True,
    ),
    _Trouble(
        re.compile("read-only|Permission denied|Operation not permitted", re.I),
        "cannot be written",
        "Give this user the right to write it, or name another place (FULLPICTURE_HOME, WAREHOUSE_URL).",
    ),
    _Trouble(
        re.compile(
            "not a valid DuckDB|corrupt|checksum|Serialization|invalid page|could not read block|has been invalidated", re.I
        ),
        "is damaged",
        "End every process that uses it and try once more; if it stays so, move it away and bring back the last backup with "
        "fullpicture restore.",
    ),
)


def _first_line(url: URL, error: Exception) -> str:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if url.password:
        first = first.replace(str(url.password), "***")
    return re.sub(r"^\(\S+\)\s*", "", first).rstrip(".")  # SQLAlchemy puts the driver's class in front


def cannot_open(url: URL, error: Exception) -> WarehouseError:
    said, trouble = _looked_up(url, error)
    advice = trouble.advice if trouble and not trouble.transient else "Check WAREHOUSE_URL and that the database runs."
    transient = trouble is not None and trouble.transient
    return WarehouseError(f"The warehouse {shown(url)} cannot be opened: {said}. {advice}", transient=transient)


def befell(url: URL, error: Exception) -> WarehouseError | None:
    """What befell the database; None if nothing did that is known."""
    said, trouble = _looked_up(url, error)
    if trouble is None:
        return None
    return WarehouseError(f"The warehouse {shown(url)} {trouble.what}: {said}. {trouble.advice}", transient=trouble.transient)


def _looked_up(url: URL, error: Exception) -> tuple[str, _Trouble | None]:
    said = _first_line(url, error)
    return said, next((each for each in _TROUBLES if each.sign.search(said)), None)
