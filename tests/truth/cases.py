"""What a stream's table must hold, and how to make its records come, change and go: one case per stream of every tool.

Here belongs the form. The cases stand beside it, one file per tool, by other code than any connector's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.sandbox.world import World

Key = tuple[Any, ...]
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One stream.

    `rows`: what the vendor shows alive, by key: every declared column as Python sees it (JSON as the object it means,
    timestamps in UTC, amounts as Decimal).
    `make`: brings so many more records of it to life, with the parents that they need. None: nobody can.
    `change`, `delete`, `undelete`: do so to one living (or the last deleted) record of it. None: that never happens.
    """

    rows: Callable[[World], dict[Key, Row]]
    make: Callable[[World, int], None] | None = None
    change: Callable[[World], None] | None = None
    delete: Callable[[World], None] | None = None
    undelete: Callable[[World], None] | None = None
