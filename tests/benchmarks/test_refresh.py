"""What a refresh of a large company takes on DuckDB: from nothing, after a night, and when nothing has changed.

Not in it: Dagster's start. What is published counts: the copy, Parquet and the dictionary.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.benchmarks.measure import Cost, cost, module

pytestmark = pytest.mark.bench
Keep = Callable[[str, dict[str, dict[str, object]]], None]


@dataclass(frozen=True)
class Refresh:
    seconds: float
    memory: float
    built: int


def life(home: Path, share: float) -> dict[str, Refresh]:
    def step(what: str, nights: int) -> Cost:
        return cost(module("refresh_once", what, home, share, nights))

    def refreshed(nights: int) -> Refresh:
        spent = step("refresh", nights)
        told = json.loads(spent.said.splitlines()[-1])
        return Refresh(told["seconds"], spent.memory, told["models"] - told["unchanged"])

    step("found", 0)
    whole = refreshed(0)
    step("night", 1)
    return {"whole": whole, "nightly": refreshed(1), "nothing changed": refreshed(1)}


def test_a_refresh_of_a_large_company(tmp_path: Path, keep: Keep) -> None:
    tenth, full = life(tmp_path / "tenth", 0.1), life(tmp_path / "full", 1.0)
    keep("refresh of 1 million tickets, 300,000 issues, 100,000 accounts, 20 million usage rows", {
        name: {"s": each.seconds, "at a tenth": tenth[name].seconds, "MB": each.memory, "built": each.built}
        for name, each in full.items()
    })  # fmt: skip
    assert full["nothing changed"].built == 0
    assert full["whole"].seconds <= 300
    assert full["nightly"].seconds <= 60
    assert full["nothing changed"].seconds < 10
    assert all(full[name].seconds <= 12 * tenth[name].seconds for name in ("whole", "nightly"))
    assert max(each.memory for each in full.values()) <= 4096
