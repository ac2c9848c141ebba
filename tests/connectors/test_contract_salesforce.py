"""The contract of every stream of Salesforce, one of them of a custom object."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from contract import Contract, Stream, stream

from tests.night import Company
from tests.truth.raw_salesforce import CASES


@pytest.fixture
def one(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stream]:
    database, name = request.param
    url = request.getfixturevalue("new_database")() if database == "postgresql" else None
    if name.endswith("__c"):
        monkeypatch.setattr(Company, "_config", with_custom_objects(Company._config))
    with stream("salesforce", name, CASES[name], tmp_path, url) as made:
        made.ours.running.salesforce.multi_currency = name in ("currency_types", "dated_conversion_rates")
        yield made


def with_custom_objects(config: Callable[[Company], Path]) -> Callable[[Company], Path]:
    def write(ours: Company) -> Path:
        path = config(ours)
        chosen = yaml.safe_load(path.read_text(encoding="utf-8"))
        chosen["salesforce"]["objects"] = ["Product_Request__c"]
        path.write_text(yaml.safe_dump(chosen), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("one", [("duckdb", name) for name in CASES], ids=CASES, indirect=True)
class TestSalesforce(Contract):
    tool = "salesforce"
    cases = CASES
