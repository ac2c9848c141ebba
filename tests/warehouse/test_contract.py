"""What readers rely on: no column vanishes or changes its type unannounced, and none is left out of the promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from warehouse.publish.catalog import Entry, catalog

Contract = Mapping[str, Mapping[str, Any]]
PROMISED: Contract = yaml.safe_load((Path(__file__).parents[2] / "warehouse" / "contract.yaml").read_text(encoding="utf-8"))


def broken(promised: Contract, entries: list[Entry], today: date) -> list[str]:
    """Every promise that the tables do not keep, and everything that is not promised."""
    tables = {entry.name: entry for entry in entries}
    found = [f"{name} is not in contract.yaml" for name in tables if name not in promised]
    for name, promise in promised.items():
        entry = tables.get(name)
        if entry and tuple(promise["key"]) != entry.key:
            found.append(f"{name} has another key")
        columns = {column.name: column for column in entry.columns} if entry else {}
        for column, said in promise["columns"].items():
            kind, until = (said["type"], said["until"]) if isinstance(said, dict) else (said, None)
            if column not in columns:
                if until is None or until > today:
                    found.append(f"{name}.{column} has gone unannounced")
            elif columns[column].type != kind:
                found.append(f"{name}.{column} is {columns[column].type}, not {kind}")
            elif until and not columns[column].description.startswith("Deprecated:"):
                found.append(f"{name}.{column} is to go, and its description does not say so")
        found += [f"{name}.{column} is not in contract.yaml" for column in columns if column not in promise["columns"]]
    return found


def test_the_tables_are_as_promised() -> None:
    assert broken(PROMISED, catalog(), date.today()) == []


def test_what_breaks_the_promise_is_found() -> None:
    gaps = next(entry for entry in catalog() if entry.name == "gaps")
    first, second, *rest = gaps.columns
    today = date(2026, 6, 1)
    only = {"gaps": PROMISED["gaps"]}

    def after(*columns: Any, promised: Any = only) -> list[str]:
        return broken(promised, [replace(gaps, columns=columns)], today)

    def announced(until: date) -> Any:
        columns = PROMISED["gaps"]["columns"] | {second.name: {"type": second.type, "until": until}}
        return {"gaps": PROMISED["gaps"] | {"columns": columns}}

    assert after(*gaps.columns) == []
    assert after(first, *rest) == [f"gaps.{second.name} has gone unannounced"]
    assert after(first, replace(second, type="integer"), *rest) == [f"gaps.{second.name} is integer, not text"]
    assert after(*gaps.columns, replace(first, name="fresh")) == ["gaps.fresh is not in contract.yaml"]
    assert broken(only, [replace(gaps, key=("rule",))], today) == ["gaps has another key"]
    assert broken(only, [], today)[0] == f"gaps.{first.name} has gone unannounced"
    assert broken({}, [gaps], today) == ["gaps is not in contract.yaml"]

    assert after(*gaps.columns, promised=announced(date(2026, 7, 1))) == [
        f"gaps.{second.name} is to go, and its description does not say so"
    ]
    assert after(first, *rest, promised=announced(date(2026, 7, 1))) == [f"gaps.{second.name} has gone unannounced"]
    assert after(first, *rest, promised=announced(today)) == []
