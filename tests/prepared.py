"""DuckDB files with the declared tables and nothing in them, which thousands of tests begin with: made once, then copied."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from warehouse import migrate
from warehouse.engine import Warehouse


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Goes when the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="prepared-")
    migrate.prepare(Warehouse(f"duckdb:///{folder.name}/w.duckdb", Path(folder.name)), [])
    return folder


def file(path: Path) -> str:
    """Puts such a file there; returns its URL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for made in Path(_folder().name).glob("w.duckdb*"):  # its log may lie beside it
        shutil.copy(made, path.with_name(made.name.replace("w.duckdb", path.name)))
    return f"duckdb:///{path}"
