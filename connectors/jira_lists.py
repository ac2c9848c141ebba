"""How Jira's lists are read: whole each time, and what they do not hold any more is gone.

Here belongs what is small enough for that: projects with their parts, what administrators keep, people, boards. Not here:
issues, or what hangs on them.

Requests: projects ceil(P / 100), and one for each of the P projects for its components and versions; statuses, issue types
and fields 1; priorities and resolutions one for each 50; users one for each 1,000 and one more, which finds nobody new: pages
before the last may be short; boards one for each 50, and for each board that may have sprints one for each 50 of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import rows
from connectors.base import Batch, Count, Present, Read, SourceError, Stream
from connectors.jira_asking import STREAMS, Asking, Placed, answered
from connectors.jira_parts import within

PROJECTS = 100  # of a page
_USERS = 1000
LISTED = 50  # of any other page
_AS_A_WHOLE = ("statuses", "issue_types", "fields")

_Together = Mapping[str, list[rows.Page]]  # pages by stream that make one batch


class _Page(msgspec.Struct, rename="camel"):
    values: Raw
    total: int | None = None
    is_last: bool | None = None


class _Parts(msgspec.Struct):
    components: Raw = Raw(b"[]")
    versions: Raw = Raw(b"[]")


class Lists(Asking):
    """The reads of lists."""

    def listed(self, read: Read) -> Iterator[Batch]:
        """A list that fills one table."""
        (stream,) = read.streams
        decoder, lacking = self.decoder(stream), Counter[str]()
        if stream.name in _AS_A_WHOLE:
            response = self.get(stream.source)
            pages = [self.page(decoder, response.content, response)]
        else:
            pages = self._by_place(decoder, stream.source, {}, LISTED, lacking)
        yield from self._all_of(read, ({stream.name: [page]} for page in pages), lacking)

    def users(self, read: Read) -> Iterator[Batch]:
        """Who may not be seen is left out of the page, which is then short: only one that brings nobody new is the end."""
        (stream,) = read.streams
        decoder = self.decoder(stream)

        def pages() -> Iterator[_Together]:
            start, known, grows = 0, frozenset[Any](), True
            while grows:
                response = self.get(stream.source, {"startAt": start, "maxResults": _USERS}, of=stream)
                page = self.page(decoder, response.content, response)
                records = _records_of(page, "account_id")
                grows = not records <= known
                known |= records
                start += len(records)
                yield {stream.name: [page]}

        yield from self._all_of(read, pages(), Counter())

    def projects(self, read: Read) -> Iterator[Batch]:
        """Only a project by itself tells its components and versions."""
        wanted, lacking = {stream.name: self.decoder(stream) for stream in read.streams}, Counter[str]()
        asked = {"expand": "description,lead,url", "status": ["live", "archived"]}
        found = self._by_place(self.decoder(STREAMS["projects"]), "project/search", asked, PROJECTS, lacking)

        def pages() -> Iterator[_Together]:
            for page in found:
                together = {"projects": [page]} if "projects" in wanted else {}
                yield {**together, **self._parts(wanted, page.table["id"].to_pylist())}

        yield from self._all_of(read, pages(), lacking)

    def _parts(self, wanted: Mapping[str, rows.Decoder], ids: Sequence[str]) -> _Together:
        decoders = {name: wanted[name] for name in ("components", "versions") if name in wanted}
        pages: dict[str, list[rows.Page]] = {name: [] for name in decoders}
        if decoders:
            with self.side_by_side() as pool:
                for project_id, response in zip(ids, pool.map(self._project, ids), strict=True):
                    if response is not None:
                        parts = self.decoded(response, _Parts)
                        for name, decoder in decoders.items():
                            told = {"projectId": project_id}
                            pages[name].append(self._inside(decoder, getattr(parts, name), told, response))
        return pages

    def _project(self, project_id: str) -> Response | None:
        """None if it was deleted since the list of projects named it."""
        try:
            return self.get(f"project/{project_id}")
        except SourceError as error:
            if answered(error, 404):
                return None
            raise

    def _inside(self, decoder: rows.Decoder, records: Raw, more: Mapping[str, Any], response: Response) -> rows.Page:
        try:
            return decoder.page(within(records, more))
        except msgspec.DecodeError:
            raise self.surprise(response, f"no list of {decoder.stream.name}") from None

    def boards(self, read: Read) -> Iterator[Batch]:
        """Sprints are shown board by board; several boards can show the same one."""
        wanted, lacking = {stream.name: self.decoder(stream) for stream in read.streams}, Counter[str]()
        boards = STREAMS["boards"]
        found = self._by_place(self.decoder(boards), boards.source, {}, LISTED, lacking, of=boards)

        def pages() -> Iterator[_Together]:
            for page in found:
                together = {"boards": [page]} if "boards" in wanted else {}
                if "sprints" in wanted:
                    scrum = page.table.filter(pc.not_equal(pc.fill_null(page.table["type"], ""), "kanban"))
                    together["sprints"] = self._sprints(wanted["sprints"], scrum["id"].to_pylist(), lacking)
                yield together

        yield from self._all_of(read, pages(), lacking)

    def _sprints(self, decoder: rows.Decoder, boards: Sequence[int], lacking: Counter[str]) -> list[rows.Page]:
        short = [Counter[str]() for _ in boards]  # one for each thread: none loses what another adds
        with self.side_by_side() as pool:
            pages = [page for found in pool.map(partial(self._sprints_of, decoder), short, boards) for page in found]
        for each in short:
            lacking.update(each)
        return pages

    def _sprints_of(self, decoder: rows.Decoder, lacking: Counter[str], board: int) -> list[rows.Page]:
        """Nothing where the board has no sprints, which Jira says in the user's language, or was deleted meanwhile."""
        try:
            return self._by_place(decoder, f"agile/1.0/board/{board}/sprint", {}, LISTED, lacking)
        except SourceError as error:
            if answered(error, 400, 404):
                return []
            raise

    def _by_place(
        self,
        decoder: rows.Decoder,
        path: str,
        asked: Mapping[str, Any],
        size: int,
        lacking: Counter[str],
        *,
        of: Stream | None = None,
    ) -> list[rows.Page]:
        """The pages of a list; what it is short of Jira's own count is noted in `lacking`, by stream."""

        def ask(start: int) -> Placed[rows.Page]:
            response = self.get(path, {**asked, "startAt": start, "maxResults": size}, of=of)
            found = self.decoded(response, _Page)
            page = self.page(decoder, found.values, response)
            return Placed(response, page, _records_of(page, "id"), found.total, found.is_last)

        pages, short = self.by_place(ask)
        lacking.update({decoder.stream.name: short} if short else {})
        return pages

    def _all_of(self, read: Read, pages: Iterator[_Together], lacking: Counter[str]) -> Iterator[Batch]:
        """What was asked together as batches, and at the end what exists: all of it. Where Jira counts more than it lists,
        nothing is taken for gone, and the count is told: the difference is for somebody to look at."""
        seen = {stream.name: [rows.table_of(stream, {key: [] for key in stream.key})] for stream in read.streams}
        until = None
        for found in pages:
            until = until or self.gate.clock
            tables = {name: pa.concat_tables(page.table for page in together) for name, together in found.items() if together}
            for name, table in tables.items():
                seen[name].append(table.select(STREAMS[name].key))
            yield Batch({}, tables, tuple(reject for pages in found.values() for page in pages for reject in page.rejects))
        known = {name: pa.concat_tables(keys) for name, keys in seen.items()}
        if lacking:
            shown = {name: keys.group_by(keys.column_names).aggregate([]).num_rows for name, keys in known.items()}
            counted = {name: Count(shown[name] + number) for name, number in lacking.items() if name in shown}
            yield Batch({}, counted=counted, covered_until=until)
        else:
            yield Batch({}, present={name: Present(keys) for name, keys in known.items()}, covered_until=until)


def _records_of(page: rows.Page, key: str) -> frozenset[Any]:
    """The ids of a page's records; those that have none count as well."""
    nameless = [reject.original for reject in page.rejects if reject.record_id is None]
    return frozenset([*page.table[key].to_pylist(), *nameless])
