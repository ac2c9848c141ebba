"""Which tables readers may rely on, with what a row is and what its columns mean: the models, the ledgers, what was kept.

Here stands what is declared of them. Not here: any rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from warehouse import history, models
from warehouse.schema import DECISIONS, LEDGERS, PAIR, Column

_KEYS = {
    "customer_links": ("tool", "record_type", "record_id", "valid_from"),
    "customer_merges": ("customer_id", "valid_from"),
    "gaps": ("gap_id",),
    "gap_events": ("gap_id", "event", "happened_at"),
    "gap_decisions": ("gap_id", "decided_at"),
    "match_candidates": PAIR,
    "match_overrides": (*PAIR, "decided_at"),
    "tables": ("table_name",),
}


@dataclass(frozen=True)
class Entry:
    """A table of schema `unified`. `source`: the model whose lineage its columns share; none if Python writes them. `by`: the
    columns by which it is built anew in parts."""

    name: str
    kind: Literal["model", "ledger", "history"]
    description: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    source: str | None = None
    by: tuple[str, ...] = ()


def catalog() -> list[Entry]:
    """Every table of schema `unified`, by name."""
    library = models.library()
    entries = [Entry(m.name, "model", m.description, m.key, m.columns, m.name, m.by) for m in library]
    declared = [table for table in (*LEDGERS, *DECISIONS) if table.schema == "unified"]
    entries += [Entry(t.name, "ledger", t.description, _KEYS[t.name], t.columns) for t in declared]
    for kept in history.ledgers():
        entries.append(
            Entry(kept.name, "history", kept.table.description, kept.ledger_key, kept.table.columns, source=kept.model)
        )
    return sorted(entries, key=lambda entry: entry.name)
