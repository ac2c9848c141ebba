"""Keeps people who were erased out of what the tools send.

Here belongs the way of a batch past what must not be known any more. Not here: what is redacted (warehouse), or the
commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from connectors.base import Batch, Present, Reject
from orchestration.settings import Settings
from warehouse import privacy
from warehouse.engine import Warehouse
from warehouse.privacy import Erased
from warehouse.schema import RawTable

Guard = Callable[[Iterable[Batch]], Iterator[Batch]]


def guard(warehouse: Warehouse, settings: Settings, tables: Mapping[str, RawTable]) -> Guard:
    """What batches have to pass on their way to these tables, by stream."""
    known = privacy.guarded(warehouse, settings.privacy_key)
    return lambda batches: (_redacted(batch, known, tables) for batch in batches)


def _redacted(batch: Batch, known: Erased, tables: Mapping[str, RawTable]) -> Batch:
    if not known.hashes:
        return batch
    return replace(
        batch,
        rows={stream: known.redacted(tables[stream], rows) for stream, rows in batch.rows.items()},
        rejects=tuple(_reject(reject, known) for reject in batch.rejects),
        present={stream: _present(present, known) for stream, present in batch.present.items()},
    )


def _reject(reject: Reject, known: Erased) -> Reject:
    return replace(reject, original=known.text(reject.original), record_id=reject.record_id and known.text(reject.record_id))


def _present(present: Present, known: Erased) -> Present:
    return replace(present, keys=known.texts(present.keys), within=present.within and known.texts(present.within))
