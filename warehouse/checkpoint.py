"""Writes DuckDB's log into its file, when it has grown long, so that a kill in the middle costs nothing.

At a checkpoint DuckDB writes the blocks that say where everything lies over themselves; killed then, it leaves a file that no
longer opens. So those blocks are put beside it first, as they are, and put back if the checkpoint was not to end: until it
ends the log is whole. Nothing else writes checkpoints: `SETTINGS` keep DuckDB from doing so when it likes.

Here belongs what knows DuckDB's file. Not here: when it is opened and by whom.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import duckdb

SETTINGS = {
    "checkpoint_threshold": "1000TB",
    "auto_checkpoint_skip_wal_threshold": str(2**62),  # else what is large goes to the file without the log
    "checkpoint_on_detach": "ENABLED",  # another file, which is made anew if it breaks
}
START = "pragma disable_checkpoint_on_shutdown"
# How long a log may be when the file is closed, and while it is open, as DuckDB would have it. A checkpoint takes as long as
# reading so short a log some times; after each of a night's many small loads it would give each of them blocks of its own.
_CLOSED, _OPEN = 32 << 10, 16 << 20
_HEADERS = 3 * 4096  # the file's own, and two of which a checkpoint ends by writing the older
_BLOCK = 256 << 10


class Guarded:
    """DuckDB's file while it is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = path.with_name(f"{path.name}.wal")
        self._kept = path.with_name(f"{path.name}.kept")
        self._file: BinaryIO | None = None

    def put_right(self) -> None:
        """Puts back what a killed checkpoint has torn, before DuckDB opens the file. Raises OSError."""
        if not self._path.exists():
            self._kept.unlink(missing_ok=True)
        elif self._kept.exists():
            with suppress(BlockingIOError):  # somebody else has opened the file, so it is whole
                self._put_back()

    def close(self) -> None:
        """To be called after DuckDB has closed the file, not before: when a process closes a file, the system takes all its
        locks on it away, DuckDB's as well."""
        if self._file:
            self._file.close()
            self._file = None

    def checkpoint(self, connection: duckdb.DuckDBPyConnection, *, closing: bool) -> None:
        """Writes the log into the file if it has grown long. Nobody else may be in a transaction.

        Raises duckdb.IOException, and what is committed stands in the log; DuckDB itself is of no use until it opens anew.
        """
        if not self._log.exists() or self._log.stat().st_size < (_CLOSED if closing else _OPEN):
            return
        try:
            self._keep([number for number, *_ in connection.execute("pragma metadata_info").fetchall()])
            connection.execute("checkpoint")
            self._kept.unlink()
        except OSError as error:
            raise duckdb.IOException(f'Could not write file "{self._path}": {error.strerror}') from None
        except duckdb.Error as error:
            raise duckdb.IOException(str(error).rpartition("because of error: ")[2]) from None

    def _keep(self, blocks: list[int]) -> None:
        self._file = self._file or self._path.open("rb", buffering=0)
        new = self._kept.with_name(f"{self._kept.name}.new")
        with new.open("wb") as kept:
            self._file.seek(0)
            kept.write(self._file.read(_HEADERS))
            for number in blocks:
                self._file.seek(_HEADERS + number * _BLOCK)
                if len(block := self._file.read(_BLOCK)) == _BLOCK:  # one that was never written has nothing to lose
                    kept.write(number.to_bytes(8, "little") + block)
            kept.flush()
            os.fsync(kept.fileno())
        os.replace(new, self._kept)

    def _put_back(self) -> None:
        with self._kept.open("rb") as kept, self._path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.read(_HEADERS) == kept.read(_HEADERS):  # the checkpoint did not end
                while number := kept.read(8):
                    file.seek(_HEADERS + int.from_bytes(number, "little") * _BLOCK)
                    file.write(kept.read(_BLOCK))
                file.flush()
                os.fsync(file.fileno())
        self._kept.unlink()
