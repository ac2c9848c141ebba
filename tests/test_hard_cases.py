"""That the world of hard cases keeps its promises, and that the scores are what their formulas say, by hand.

Here belongs what the yardstick is held to. Not here: any matcher.
"""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from tests.truth import hard_kinds
from tests.truth.company_names import FREE_MAIL, bare
from tests.truth.hard_cases import KINDS, LEAST, HardCases, generate
from tests.truth.hard_draft import with_check
from tests.truth.scores import PLACE, rates, sum_of, tally

LEFT, RIGHT = (["left_tool", "left_type", "left_id"], ["right_tool", "right_type", "right_id"])


@pytest.fixture(scope="module")
def cases() -> HardCases:
    return generate(companies=3000, seed=1)


@pytest.fixture(scope="module")
def known(cases: HardCases) -> pd.DataFrame:
    """The living records with what is true of them."""
    return cases.records.merge(cases.truth, on=PLACE).merge(cases.companies, on="company_id")


def test_every_kind_comes_as_often_as_it_should(cases: HardCases) -> None:
    assert len(cases.companies) == 3000
    found = cases.companies["kind"].value_counts() / 30
    assert set(found.index) == set(KINDS)
    for make, share in hard_kinds.SHARES.items():
        assert found[make.__name__] == pytest.approx(share, abs=0.2)


def test_even_the_least_world_has_every_kind() -> None:
    assert set(generate(LEAST, seed=3).companies["kind"]) == set(KINDS)
    with pytest.raises(ValueError, match="too few"):
        generate(LEAST - 1, seed=3)


def test_the_same_seed_makes_the_same_world_and_another_seed_another() -> None:
    one, same, other = (generate(LEAST, seed) for seed in (1, 1, 2))
    for table in ("records", "contact_domains", "truth", "companies", "undecidable"):
        pd.testing.assert_frame_equal(getattr(one, table), getattr(same, table))
    assert set(one.records["record_id"]).isdisjoint(other.records["record_id"])
    assert len(set(one.records["name"]) & set(other.records["name"])) < 0.02 * len(one.records)


def test_the_rows_have_the_form_of_the_unions(cases: HardCases) -> None:
    kinds = set(zip(cases.records["tool"], cases.records["record_type"], strict=True))
    assert kinds == {("salesforce", "account"), ("zendesk", "organization"), ("pendo", "account"), ("jira", "value")}
    assert not cases.records[[*PLACE, "name", "deleted", "created_at"]].isna().any(axis=None)
    assert (cases.records["declared_tool"].isna() == cases.records["declared_id"].isna()).all()
    assert (cases.records["host"].dropna() == cases.records["host"].dropna().str.lower()).all()
    assert cases.records["created_at"].dtype == "datetime64[us, UTC]"
    by_tool = cases.records["tool"].value_counts()
    assert by_tool["salesforce"] == pytest.approx(3000, rel=0.1)
    assert by_tool["zendesk"] == pytest.approx(3000, rel=0.1)
    only_text = cases.records[cases.records["tool"] == "jira"]
    assert only_text[["host", "country", "parent_id"]].isna().all(axis=None)


def test_ids_are_unique_and_point_to_something(cases: HardCases) -> None:
    assert not cases.records.duplicated(PLACE).any()
    assert not cases.contact_domains.duplicated(["tool", "person_id"]).any()
    accounts = set(cases.records["record_id"][cases.records["tool"] == "salesforce"])
    assert all(with_check(id_[:15]) == id_ for id_ in accounts)
    assert set(cases.records["parent_id"].dropna()) <= accounts
    shortened = {id_[:15] for id_ in accounts}
    in_any_case = {id_.lower() for id_ in accounts}
    for declared in cases.records["declared_id"].dropna().str.strip():
        assert declared in shortened if len(declared) == 15 else declared.lower() in in_any_case
    living = cases.records[~cases.records["deleted"]]
    assert cases.contact_domains[PLACE].drop_duplicates().merge(living, on=PLACE).shape[0] == len(
        cases.contact_domains[PLACE].drop_duplicates()
    )


def test_an_id_has_the_check_characters_that_salesforce_gives_it() -> None:
    assert with_check("001D000000IRFma") == "001D000000IRFmaIAH"


def test_the_truth_knows_every_living_record_once_and_every_company_has_one(cases: HardCases) -> None:
    living = cases.records[~cases.records["deleted"]]
    pd.testing.assert_frame_equal(
        cases.truth[PLACE].sort_values(PLACE, ignore_index=True), living[PLACE].sort_values(PLACE, ignore_index=True)
    )
    assert set(cases.truth["company_id"]) == set(cases.companies["company_id"])
    assert cases.companies["company_id"].is_unique


def test_nothing_in_the_rows_tells_the_kind_or_the_company(cases: HardCases, known: pd.DataFrame) -> None:
    texts = cases.records.select_dtypes("str").fillna("").agg(" ".join, axis=1).str.lower()
    for kind in set(KINDS) - {"plain", "agency", "typing", "scripts", "acronym", "dba"}:  # words that a name may have
        assert not texts.str.contains(kind).any(), kind
    position = pd.Series(range(len(known)))
    assert abs(position.corr(known["company_id"])) < 0.05
    assert abs(known["created_at"].astype("int64").corr(known["company_id"])) < 0.05
    numbers = known["record_id"][known["tool"] == "zendesk"].astype("int64")
    assert abs(numbers.corr(known["company_id"])) < 0.05


def test_names_are_many_and_yet_some_companies_share_one(known: pd.DataFrame) -> None:
    plain = known[(known["kind"] == "plain") & (known["tool"] == "salesforce")]
    assert plain["name"].map(bare).nunique() > 0.98 * len(plain)
    large = generate(20_000, seed=5)
    names = large.records["name"][large.records["tool"] == "salesforce"].map(bare)
    assert 0.90 < names.nunique() / len(names) < 0.99


def test_few_customers_bring_most_of_the_money(cases: HardCases) -> None:
    arr = cases.companies["arr"].sort_values(ascending=False)
    assert (arr > 0).all()
    assert 0.35 < arr.head(300).sum() / arr.sum() < 0.65
    assert arr.iloc[0] < 0.1 * arr.sum()


def test_undecidable_pairs_are_few_and_say_what_is_true(cases: HardCases) -> None:
    company = cases.truth.set_index(PLACE)["company_id"]
    left, right = (company[pd.MultiIndex.from_frame(cases.undecidable[side])].to_numpy() for side in (LEFT, RIGHT))
    assert (cases.undecidable["same"] == (left == right)).all()
    assert (cases.undecidable["left_tool"] != cases.undecidable["right_tool"]).all()
    both = [frozenset(((*row[:3],), (*row[3:6],))) for row in cases.undecidable.itertuples(index=False)]
    assert len(set(both)) == len(both)
    wanted = tally(cases, cases.truth.assign(customer_id=""))["wanted"].sum() / 2
    assert 0 < cases.undecidable["same"].sum() < 0.04 * wanted


def hosts_of(rows: pd.DataFrame, tool: str) -> pd.Series:
    return rows.loc[rows["tool"] == tool, "host"]


def at_home(rows: pd.DataFrame) -> pd.Series:
    """Whether a name is in another script than the Latin one."""
    return ~rows["name"].map(lambda name: all(letter < "\u0250" for letter in name if letter.isalpha()))


# Kind → what its living records have in common, whatever else there is about them.
PROMISES: dict[str, Callable[[pd.DataFrame], bool]] = {
    "no_domain": lambda rows: bool(rows["host"].isna().all()),
    "free_mail": lambda rows: bool(hosts_of(rows, "zendesk").dropna().str.removeprefix("www.").isin(_at(FREE_MAIL)).all()),
    "requesters": lambda rows: bool(hosts_of(rows, "zendesk").isna().all()),
    "domain_as_name": lambda rows: bool(rows["name"][rows["tool"] == "zendesk"].str.contains(".", regex=False).all()),
    "scripts": lambda rows: bool(at_home(rows).groupby(rows["company_id"]).nunique().eq(2).all()),
    "subsidiaries": lambda rows: bool(rows["parent_id"].notna().any()),
    "duplicates": lambda rows: bool((rows[rows["tool"] == "salesforce"].groupby("company_id").size() == 2).all()),
    "declared_id": lambda rows: bool(rows["declared_id"][rows["tool"] == "zendesk"].notna().all()),
    "decoys": lambda rows: rows["company_id"].nunique() % 2 == 0,
}


def _at(providers: tuple[str, ...]) -> list[str]:
    return [f"{part}{provider}" for provider in providers for part in ("", "support.", "mail.", "shop.")]


@pytest.mark.parametrize("kind", PROMISES)
def test_a_kind_is_what_it_says(known: pd.DataFrame, kind: str) -> None:
    rows = known[known["kind"] == kind]
    assert len(rows) > 30
    assert PROMISES[kind](rows)


def test_declared_ids_come_in_every_form_that_people_copy(cases: HardCases, known: pd.DataFrame) -> None:
    declared = known["declared_id"][known["kind"] == "declared_id"].dropna()
    assert {len(id_.strip()) for id_ in declared} == {15, 18}
    assert (declared != declared.str.strip()).any()
    assert (declared.str.strip().str.len() == 18).any()
    assert declared.str.islower().any()
    gone = cases.records["record_id"][cases.records["deleted"]]
    dangling = known["declared_id"].isin(gone)
    assert set(known["kind"][dangling]) == {"deleted_id"}
    right = known[known["tool"] == "salesforce"].set_index("record_id")["company_id"]
    pointing = known[known["declared_id"].isin(right.index)]
    elsewhere = right[pointing["declared_id"]].to_numpy() != pointing["company_id"]
    assert set(pointing["kind"][elsewhere]) == {"wrong_id"}


def test_an_organization_of_another_name_has_most_of_its_people_at_the_company(cases: HardCases, known: pd.DataFrame) -> None:
    rows = known[known["kind"] == "requesters"]
    account = rows[rows["tool"] == "salesforce"].set_index("company_id")["host"].str.removeprefix("www.")
    people = cases.contact_domains.merge(rows[rows["tool"] == "zendesk"], on=PLACE, suffixes=("", "_of_record"))
    there = people["host"] == account[people["company_id"]].to_numpy()
    by_record = there.groupby(people["record_id"]).agg(["sum", "mean"])
    assert (by_record["sum"] >= 2).all()
    assert (by_record["mean"] > 0.5).all()


# ---- the scores ----

#                 tool          type            id    company
RECORDS = [
    ("salesforce", "account", "A1", 1),
    ("zendesk", "organization", "Z1", 1),
    ("pendo", "account", "P1", 1),
    ("salesforce", "account", "A2", 2),
    ("zendesk", "organization", "Z2", 2),
]
CUSTOMERS = {"A1": "x", "Z1": "x", "Z2": "x", "P1": "y", "A2": "z"}


def small(*undecidable: tuple[str, str, bool]) -> HardCases:
    """A company of three records that pays 100, one of two that pays 300."""
    pairs = [(*place(left), *place(right), same, "") for left, right, same in undecidable]
    return HardCases(
        records=pd.DataFrame(),
        contact_domains=pd.DataFrame(),
        truth=pd.DataFrame(RECORDS, columns=[*PLACE, "company_id"]),
        companies=pd.DataFrame({"company_id": [1, 2], "kind": ["plain", "typing"], "arr": [100.0, 300.0]}),
        undecidable=pd.DataFrame(pairs, columns=[*LEFT, *RIGHT, "same", "why"]),
    )


def place(id_: str) -> tuple[str, str, str]:
    return next((tool, type_, known) for tool, type_, known, _ in RECORDS if known == id_)


def links(customers: dict[str, str], method: str = "name") -> pd.DataFrame:
    return pd.DataFrame(
        [(*place(id_), customer, method) for id_, customer in customers.items()], columns=[*PLACE, "customer_id", "method"]
    )


def candidates(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame([(*place(left), *place(right)) for left, right in pairs], columns=[*LEFT, *RIGHT])


def test_precision_and_recall_count_pairs_of_different_tools() -> None:
    found = rates(tally(small(), links(CUSTOMERS)))
    # joined: A1-Z1 (right), A1-Z2 (wrong); Z1-Z2 are of one tool. Wanted: A1-Z1, A1-P1, Z1-P1, A2-Z2.
    assert found.loc["all", "precision"] == pytest.approx(1 / 2)
    assert found.loc["all", "recall"] == pytest.approx(1 / 4)
    # The wrong pair lies half in either kind: of plain's 1 + 1/2 pairs one is right, of typing's 1/2 none.
    assert found.loc["plain", "precision"] == pytest.approx(2 / 3)
    assert found.loc["typing", "precision"] == 0
    assert found.loc["plain", "recall"] == pytest.approx(1 / 3)
    assert found.loc["typing", "recall"] == 0


def test_by_arr_a_wrong_pair_weighs_as_the_mean_of_its_two_companies() -> None:
    found = rates(tally(small(), links(CUSTOMERS)))
    assert found.loc["all", "precision_by_arr"] == pytest.approx(100 / (100 + (100 + 300) / 2))
    assert found.loc["all", "recall_by_arr"] == pytest.approx(100 / (3 * 100 + 300))


def test_b_cubed_takes_the_mean_over_records() -> None:
    found = rates(tally(small(), links(CUSTOMERS)))
    precision = (2 / 3 + 2 / 3 + 1 / 3 + 1 + 1) / 5  # A1, Z1, Z2, P1, A2
    recall = (2 / 3 + 2 / 3 + 1 / 2 + 1 / 3 + 1 / 2) / 5
    assert found.loc["all", "b_cubed_f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert found.loc["all", "b_cubed_f1"] == pytest.approx(176 / 285)


def test_the_share_for_review_is_of_the_records_that_look_for_their_company() -> None:
    found = rates(tally(small(), links(CUSTOMERS), candidates(("P1", "A1"), ("P1", "A2"))))
    assert found.loc["all", "review_share"] == pytest.approx(1 / 3)  # P1, of Z1, P1 and Z2
    assert found.loc["all", "review_right"] == pytest.approx(1 / 2)
    assert found.loc["typing", "review_share"] == 0
    assert rates(tally(small(), links(CUSTOMERS))).loc["all", "review_share"] == 0


def test_undecidable_pairs_are_neither_right_nor_wrong_nor_missed() -> None:
    found = rates(tally(small(("A1", "P1", True), ("Z2", "A1", False)), links(CUSTOMERS)))
    assert found.loc["all", "precision"] == 1  # A1-Z2 is left out
    assert found.loc["all", "recall"] == pytest.approx(1 / 3)  # so is A1-P1
    assert found.loc["all", "undecidable"] == 2
    assert found.loc["all", "guessed"] == pytest.approx(1 / 2)
    lucky = rates(tally(small(("A1", "Z1", True)), links(CUSTOMERS)))
    assert lucky.loc["all", "precision"] == 0
    assert lucky.loc["all", "recall"] == 0


def test_a_record_without_a_link_is_alone() -> None:
    found = rates(tally(small(), links({"A2": "z", "Z2": "z"})))
    assert found.loc["all", "precision"] == 1
    assert found.loc["all", "recall"] == pytest.approx(1 / 4)
    assert found.loc["plain", "recall"] == 0
    assert pd.isna(found.loc["plain", "precision"])


def test_counts_of_several_worlds_add_up() -> None:
    right = {"A1": "x", "Z1": "x", "P1": "x", "A2": "z", "Z2": "z"}
    found = rates(sum_of([tally(small(), links(CUSTOMERS)), tally(small(), links(right))]))
    assert found.loc["all", "records"] == 10
    assert found.loc["all", "precision"] == pytest.approx((1 + 4) / (2 + 4))
    assert found.loc["all", "recall"] == pytest.approx((1 + 4) / (4 + 4))


def test_the_methods_of_the_links_can_be_judged_one_by_one() -> None:
    by_name = links({"A1": "x", "Z1": "x"})
    by_domain = links({"A2": "x", "Z2": "z", "P1": "y"}, method="domain")
    found = rates(tally(small(), pd.concat([by_name, by_domain]), by="method"))
    assert list(found.index) == ["all", "domain", "name"]
    assert found.loc["name", "precision"] == pytest.approx(2 / 3)  # A1: Z1; Z1: A1, A2
    assert found.loc["domain", "precision"] == 0  # A2: Z1


@pytest.mark.parametrize("wrong", [[("salesforce", "account", "A9", "x", "")], [("salesforce", "account", "A1", "x", "")] * 2])
def test_links_that_cannot_be_are_refused(wrong: list[tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match="link of"):
        tally(small(), pd.DataFrame(wrong, columns=[*PLACE, "customer_id", "method"]))


def test_the_truth_itself_scores_in_full_and_nothing_scores_nothing(cases: HardCases) -> None:
    truth = rates(tally(cases, cases.truth.assign(customer_id=cases.truth["company_id"].astype("str"))))
    for figure in ("precision", "recall", "precision_by_arr", "recall_by_arr", "b_cubed_f1"):
        assert truth[figure].tolist() == [1.0] * len(truth)
    nothing = rates(tally(cases, pd.DataFrame(columns=[*PLACE, "customer_id"])))
    assert nothing["recall"].tolist() == [0.0] * len(nothing)
    assert nothing["precision"].isna().all()
