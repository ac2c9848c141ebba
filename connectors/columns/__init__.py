"""Reads the declarations beside it: for each tool, its streams with their columns, types and meaning.

Here belongs the way from YAML to `Stream`. Not here: any stream's content, which is data, or how a vendor is asked.
"""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from connectors.base import Column, Stream

# The pure Python loader costs 0.1 s on every load of the code location.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def streams(tool: str) -> dict[str, Stream]:
    """The streams of a tool by name, in the order of its file. A mapped column has no source: the settings name it."""
    declared = yaml.load(Path(__file__).with_name(f"{tool}.yaml").read_text("utf-8"), _Loader)  # noqa: S506  (both are safe)
    return {name: _stream(tool, name, dict(spec)) for name, spec in declared.items()}


def _stream(tool: str, name: str, spec: dict[str, Any]) -> Stream:
    columns = tuple(_column(column, dict(said)) for column, said in spec.pop("columns").items())
    return Stream(tool=tool, name=name, key=tuple(spec.pop("key")), columns=columns, **spec)


def _column(name: str, spec: dict[str, Any]) -> Column:
    return Column(name, spec.pop("type"), spec.pop("means"), source=spec.pop("from", ""), **spec)
