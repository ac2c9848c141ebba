"""How rightly records are put together: on invented companies that are hard to tell apart, and step by step on a few."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests import prepared
from tests.truth.hard_cases import generate
from tests.truth.scores import rates, sum_of, tally
from tests.warehouse.resolving import put, resolved
from warehouse import matching
from warehouse.engine import Warehouse
from warehouse.matching import Matches

RANKS = {"salesforce": 0, "zendesk": 1, "pendo": 2, "jira": 3}


def test_hard_cases_are_told_apart_and_put_together(tmp_path: Path) -> None:
    tallies = []
    for seed in (11, 12):
        cases = generate(1500, seed)
        warehouse = Warehouse(prepared.file(tmp_path / f"{seed}.duckdb"), tmp_path)
        put(warehouse, cases)
        tallies.append(tally(cases, *resolved(warehouse)))
    found = rates(sum_of(tallies)).loc["all"]
    assert found["precision_by_arr"] >= 0.99
    assert found["precision"] >= 0.985
    assert found["recall"] >= 0.95
    assert found["review_share"] <= 0.05


# step by step -------------------------------------------------------------------------------------------------------


def match(*records: dict[str, Any], contacts: tuple[tuple[int, str | None, int], ...] = (), **words: Any) -> Matches:
    columns = ("tool", "record_type", "record_id", "name", "country", "parent_id", "declared_tool", "declared_id", "domain")
    rows = [{"rank": RANKS[record["tool"]], "record_type": "account", **record} for record in records]
    table = pd.DataFrame([{**dict.fromkeys(columns), **row} for row in rows])
    return matching.match(table, pd.DataFrame(contacts, columns=["record", "domain", "people"]), **words)


def account(id_: str, name: str, domain: str | None = None, **more: Any) -> dict[str, Any]:
    return {"tool": "salesforce", "record_id": id_, "name": name, "domain": domain, **more}


def organization(id_: str, name: str, domain: str | None = None, **more: Any) -> dict[str, Any]:
    return {"tool": "zendesk", "record_id": id_, "name": name, "domain": domain, **more}


def joined(found: Matches) -> list[tuple[int, int, str]]:
    return [(int(r), int(t), str(m)) for r, t, m in found.links[["record", "target", "method"]].itertuples(index=False)]


ACME = account("001A0000007qHgkIAE", "Acme Robotics Ltd", "acme.com")


@pytest.mark.parametrize("declared", ["001A0000007qHgkIAE", "001A0000007qHgk", " 001A0000007qHgkIAE ", "001a0000007qhgkiae"])
def test_a_declared_id_joins_in_each_of_its_forms(declared: str) -> None:
    other = organization("7", "Quite another name", declared_tool="salesforce", declared_id=declared)
    assert joined(match(ACME, other)) == [(1, 0, "declared_id")]


def test_an_id_of_15_characters_tells_capitals() -> None:
    other = organization("7", "Quite another name", declared_tool="salesforce", declared_id="001a0000007qhgk")
    assert joined(match(ACME, other)) == []


def test_what_names_one_company_by_id_and_is_another_by_domain_and_name_is_the_other() -> None:
    beta = account("001B", "Beta Foods", "beta.com")
    wrong = organization("7", "Beta Foods", "beta.com", declared_tool="salesforce", declared_id=ACME["record_id"])
    assert joined(match(ACME, beta, wrong)) == [(2, 1, "domain")]


def test_a_domain_joins_whatever_the_name_but_of_several_there_the_name_decides() -> None:
    france = account("001C", "Acme Robotics France", "acme.com", parent_id=ACME["record_id"])
    assert joined(match(ACME, organization("7", "Renamed", "acme.com"))) == [(1, 0, "domain")]
    assert joined(match(ACME, france, organization("7", "Acme Robotics France", "acme.com"))) == [(2, 1, "domain")]
    found = match(ACME, france, organization("7", "Renamed", "acme.com"))
    assert joined(found) == []
    assert found.ambiguous.to_dict("records") == [{"record": 2, "method": "domain"}]


def test_people_tell_the_domain_if_they_are_two_and_most() -> None:
    unnamed = organization("7", "Somebody")
    assert joined(match(ACME, unnamed, contacts=((1, "acme.com", 2), (1, None, 1)))) == [(1, 0, "contact_domain")]
    assert joined(match(ACME, unnamed, contacts=((1, "acme.com", 1),))) == []
    assert joined(match(ACME, unnamed, contacts=((1, "acme.com", 2), (1, "beta.com", 2)))) == []


def test_a_name_joins_where_no_country_and_no_domain_speaks_against_it() -> None:
    same = "ACME ROBOTICS, Limited"
    assert joined(match(ACME | {"country": "United Kingdom"}, organization("7", same, country="UK"))) == [(1, 0, "name")]
    assert joined(match(ACME | {"country": "United Kingdom"}, organization("7", same, country="France"))) == []
    found = match(ACME, organization("7", same, "other.com"))
    assert joined(found) == []
    assert found.candidates[["record", "target"]].to_numpy().tolist() == [[1, 0]]


def test_two_of_one_name_are_ambiguous_for_a_third() -> None:
    germany, france = ACME | {"country": "DE"}, account("001D", "Acme Robotics SAS", "acme.fr", country="FR")
    found = match(germany, france, organization("7", "Acme Robotics"))
    assert joined(found) == []
    assert found.ambiguous["record"].tolist() == [2]


def test_one_company_that_a_tool_holds_twice_is_one() -> None:
    twice = account("001E", "Acme Robotics", "acme.com")
    assert joined(match(ACME, twice, organization("7", "x", "acme.com"))) == [(1, 0, "domain"), (2, 0, "domain")]


def test_a_persons_word_wins_over_every_rule() -> None:
    other = organization("7", "Quite another name", "other.com")
    assert joined(match(ACME, other, always=[(0, 1)])) == [(1, 0, "override")]
    same = organization("7", "Acme Robotics", "acme.com")
    assert joined(match(ACME, same, never=[(1, 0)])) == []
    twin = account("001F", "Acme Robotics", "acme.com")
    assert joined(match(ACME, twin)) == [(1, 0, "domain")]
    assert joined(match(ACME, twin, never=[(0, 1)])) == []
    declared = organization("7", "x", declared_tool="salesforce", declared_id="001F")
    assert joined(match(ACME, twin, declared, never=[(2, 0)])) == [(1, 0, "domain")]  # nor by way of another
