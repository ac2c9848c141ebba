"""Which records' formulas have changed, told by what a few fields of all records hash to, block by block of ids.

Here belong blocks, their borders and their hashes. Not here: how records are asked for, or how often.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

from connectors.rows import Record

BLOCK = 2_000  # records, as many as a page of them has

_records = msgspec.json.Decoder(list[Record])
_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass
class Block:
    """Records with ids from `first` to `last`."""

    border: str
    first: str = ""
    last: str = ""
    rows: int = 0
    changed: bool = True
    _hash: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=8))

    def add(self, record_id: str, values: bytes) -> None:
        self.first, self.last = self.first or record_id, record_id
        self.rows += 1
        self._hash.update(record_id.encode() + values)

    @property
    def digest(self) -> str:
        found: str = self._hash.hexdigest()
        return found


class Blocks:
    """Takes all records in the order of their ids, and cuts them where they were cut the time before: so a record that
    comes or goes changes the hash of its own block alone. `known`: the border of each block and its last hash."""

    def __init__(self, known: Sequence[Sequence[str | None]]) -> None:
        self.known = [(str(border), digest) for border, digest in known]
        self._open: Block | None = None

    def add(self, records: Raw | bytes, *but: str) -> Iterator[Block]:
        """The blocks that are complete with this page. `but`: fields that do not count."""
        page: dict[str, bytes] = {}
        for record in _records.decode(records):
            for name in ("attributes", *but):
                record.pop(name, None)
            page[msgspec.json.decode(record.pop("Id"))] = _encode(record)
        for record_id in sorted(page):
            if self._open and self._begins(record_id, self._open):
                yield self._closed(self._open)
            if self._open is None:
                self._open = Block(self._border(record_id))
            self._open.add(record_id, page[record_id])

    def rest(self) -> Iterator[Block]:
        if self._open:
            yield self._closed(self._open)

    def _begins(self, record_id: str, block: Block) -> bool:
        """Whether another block begins with this record: a known one, or, past the last border, where one is full."""
        if self._border(record_id) != block.border:
            return True
        full = block.rows >= BLOCK and block.border == self.known[-1][0]
        if full:
            self.known.append((record_id, None))
        return full

    def _border(self, record_id: str) -> str:
        if not self.known:
            self.known.append(("", None))
        return self.known[bisect_right(self.known, record_id, key=lambda each: each[0]) - 1][0]

    def _closed(self, block: Block) -> Block:
        place = bisect_right(self.known, block.border, key=lambda each: each[0]) - 1
        block.changed = self.known[place][1] != block.digest
        self.known[place] = (block.border, block.digest)
        self._open = None
        return block
