"""Which names are taken for the same company, kind by kind, and by which keys they meet."""

import random
import time

import numpy as np
import pandas as pd
import pytest

from warehouse.names import keys, normal_forms, score_names

ALIKE = {
    "capitals": ("ACME WIDGETS", "Acme Widgets"),
    "diacritics": ("Société Générale", "Societe Generale"),
    "diacritics spelt out": ("Müller Werkzeuge", "Mueller Werkzeuge"),
    "Cyrillic": ("Газпром", "Gazprom"),
    "Cyrillic with its form": ("Ромашка ПАО", "Romashka PJSC"),
    "Japanese with its form": ("株式会社日立製作所", "日立製作所"),
    "full width": ("\uff21\uff23\uff2d\uff25\u3000Widgets", "Acme Widgets"),
    "punctuation": ("J.P. Hartley & Co.", "JP Hartley and Co"),
    "legal form dropped": ("Wexler Optik GmbH", "Wexler Optik"),
    "legal form spelt out": ("Wexler Optik Gesellschaft mit beschränkter Haftung", "Wexler Optik GmbH"),
    "legal form in front": ("PT Nusantara Teh", "Nusantara Teh Tbk."),
    "legal form with points": ("Ferretti S.p.A.", "Ferretti SpA"),
    "joint stock company": ("Open Joint Stock Company Severnaya Zvezda", "Severnaya Zvezda OJSC"),
    "ampersand": ("Smith & Sons", "Smith and Sons"),
    "article": ("The Hartley Trust", "Hartley Trust"),
    "company words": ("Nordwind Group", "Nordwind Holdings"),
    "word order": ("University of Oxford", "Oxford University"),
    "spaces": ("Face Book", "Facebook, Inc."),
    "spaces beside other words": ("Exxon Mobil Corporation", "ExxonMobil"),
    "number as word": ("7-Eleven", "Seven Eleven"),
    "number and letter": ("3M Company", "Three M"),
    "number of two words": ("Brigade Forty-Four", "Brigade 44"),
    "Roman number": ("Hartley Fund IV", "Hartley Fund 4"),
    "ordinal": ("2nd Avenue Bakery", "Second Avenue Bakery"),
    "abbreviation": ("Hartley Intl Mfg", "Hartley International Manufacturing"),
    "translated word": ("Wexler Banque", "Wexler Bank"),
    "domain": ("acme-widgets.co.uk", "Acme Widgets Ltd"),
    "address of a site": ("https://www.acme.com/", "Acme"),
    "domain within": ("Hartley.com, Inc.", "Hartley"),
    "dba": ("Blue Canyon Ventures LLC dba Roadrunner", "Roadrunner"),
    "trading as": ("Blue Canyon Ltd t/a Roadrunner", "Roadrunner Ltd"),
    "formerly": ("Wexler AG (formerly Hartley Optik)", "Hartley Optik"),
    "acronym": ("International Business Machines Corp.", "IBM"),
    "acronym with points": ("International Business Machines", "I.B.M."),
    "acronym of several parts": ("AT&T", "American Telephone & Telegraph"),
    "acronym in parentheses": ("Bureau of Marine Research (BMR)", "BMR"),
    "register's number": ("Wexler Optik (Reg. No. B171868)", "Wexler Optik"),
}
SLIPS = {
    "letter missing": ("Microsft Corporation", "Microsoft Corporation"),
    "letter swapped": ("Samsong Electronics", "Samsung Electronics"),
    "letters turned": ("Acme Wigdets", "Acme Widgets"),
    "word cut short": ("Wexler Elec", "Wexler Electronics"),
    "generic word missing": ("Nordwind", "Nordwind Technologies"),
}
APART = {
    "nothing in common": ("Acme Widgets", "Hartley Optik"),
    "Roman numbers": ("Hartley Fund II LP", "Hartley Fund III LP"),
    "ordinals": ("2nd Street Bank", "3rd Street Bank"),
    "years": ("Hartley Trust 2006-1", "Hartley Trust 2007-1"),
    "countries": ("Bank of Iran", "Bank of Iraq"),
    "places in parentheses": ("Hartley Bank (Singapore) Ltd", "Hartley Bank (Australia) Ltd"),
    "one distinctive word": ("Bandar Kharazmi Petrochemical Company", "Bandar Faravaresh Petrochemical Company"),
    "business": ("Samsung Electronics", "Samsung Heavy Industries"),
    "generic words alone shared": ("First Hartley National Bank", "First Wexler National Bank"),
    "form alone shared": ("Acme GmbH", "Wexler GmbH"),
    "short names of one letter's difference": ("LXC Aviation", "LAC Aviation"),
    "Roman letter in front": ("V Bank", "5 Bank"),
    "other acronym": ("International Business Machines", "IBN"),
}


def score(left: object, right: object) -> float:
    return float(score_names(pd.Series([left]), pd.Series([right])).iloc[0])


@pytest.mark.parametrize(("left", "right"), ALIKE.values(), ids=ALIKE)
def test_what_makes_little_difference_leaves_a_high_score(left: str, right: str) -> None:
    assert score(left, right) >= 0.77


@pytest.mark.parametrize(("left", "right"), SLIPS.values(), ids=SLIPS)
def test_what_may_be_a_slip_scores_between(left: str, right: str) -> None:
    assert 0.55 <= score(left, right) < 0.9


@pytest.mark.parametrize(("left", "right"), APART.values(), ids=APART)
def test_what_tells_companies_apart_makes_a_low_score(left: str, right: str) -> None:
    assert score(left, right) <= 0.42


@pytest.mark.parametrize(
    ("name", "nearest_first"),
    [
        ("Hartley Optik GmbH", ["Hartley Optik", "Hartly Optik", "Hartley", "Wexler Optik", "Wexler Bank"]),
        ("Nordwind Bank", ["Nordwind Bank AG", "Nordwind Bank Holding", "Nordwind Insurance Bank", "Nordwind Insurance"]),
        ("Acme Fund II", ["Acme Fund 2", "Acme Fund", "Acme Fund III"]),
    ],
)
def test_the_more_differs_the_lower_the_score(name: str, nearest_first: list[str]) -> None:
    scores = [score(name, other) for other in nearest_first]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(scores)


def test_a_rare_word_weighs_more_than_a_generic_one() -> None:
    assert score("Hartley Bank", "Hartley Insurance") > score("Hartley Bank", "Wexler Bank")
    assert score("Hartley Bank", "Hartley") > score("Hartley Bank", "Bank")


def test_another_legal_form_costs_a_little() -> None:
    assert score("Acme Ltd", "Acme Limited") == 1
    assert 0.9 < score("Acme Ltd", "Acme AG") < 1
    assert score("Acme Ltd", "Acme") == 1


HOSTILE = [
    "", " ", "\t\n", "!!!", "&", ".", "()", "(a)", "a", "1", "The", "Ltd", "The And Co", "dba", "Acme dba", "dba dba dba", "v",
    "\x00", "Ac\x00me", "\x01\x02", "Acme \x02 Wexler", "😀", "😀 Acme", "\ud800", "Acme \udfff", "\u202eacme", "e\u0301" * 50,
    "x" * 10_000, "ab " * 5_000, "(" * 500, "a.b." * 300, "7 " * 300, "zzlimited", "www.", "http://", "co.uk", ".com", "a/s",
    "株式会社", "\u041e\u041e\u041e", "١٢٣", "½ Price", "ﷺ", "\N{ZERO WIDTH JOINER}",
    "'; drop table names; --", "%s %d {0}", "\\1\\2",
]  # fmt: skip


def test_hostile_text_is_scored_within_bounds_and_like_any_other() -> None:
    left = pd.Series([one for one in HOSTILE for _ in HOSTILE], dtype=object)
    right = pd.Series(HOSTILE * len(HOSTILE), dtype=object)
    scores = score_names(left, right)
    assert scores.between(0, 1).all()
    assert scores.tolist() == score_names(right, left).tolist()
    same = pd.Series(HOSTILE, dtype=object)
    assert set(score_names(same, same)) <= {0.0, 1.0}
    assert len(keys(same)) >= 0
    assert len(normal_forms(same)) == len(same)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA, pd.NaT, "", "  ", "?!", "\x00", "😀"])
def test_a_missing_name_and_one_without_letters_score_nothing(nothing: object) -> None:
    assert score(nothing, "Acme") == 0
    assert score("Acme", nothing) == 0
    assert score(nothing, nothing) == 0


def test_a_control_character_or_emoji_hides_no_name() -> None:
    assert score("Ac\x00me Widgets", "Acme Widgets") == 1
    assert score("🚀 Acme Widgets", "Acme Widgets") == 1


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([1, 2]),
        pd.Series([1.5, None]),
        pd.Series([True, False]),
        pd.Series([b"acme", b"wexler"]),
        pd.Series([["a", "b"], {"c": 1}]),
        pd.Series(["acme", None], dtype="str"),
        pd.Series(["acme", None], dtype="string"),
        pd.Series(["acme", "b"], dtype="category"),
        pd.Series(["acme", None], dtype=pd.ArrowDtype(__import__("pyarrow").string())),
        pd.Series(pd.to_datetime(["2026-01-01", None])),
        pd.Series([], dtype=object),
        pd.Series([], dtype="float64"),
        pd.Series([None, None]),
    ],
    ids=lambda column: f"{column.dtype} of {len(column)}",
)
def test_every_kind_of_column_is_read_as_the_text_it_prints_as(column: pd.Series) -> None:
    scores = score_names(column, column)
    texts = [None if missing else str(one) for one, missing in zip(column.astype(object), column.isna(), strict=True)]
    as_text = pd.Series(texts, dtype=object)
    assert scores.dtype == np.float64
    assert scores.tolist() == score_names(as_text, as_text).tolist() == [float(text is not None) for text in texts]
    assert keys(column).tolist() == keys(as_text).tolist()
    assert normal_forms(column).isna().tolist() == normal_forms(as_text).isna().tolist()


def test_scores_stand_at_the_left_index_and_are_compared_by_position() -> None:
    left = pd.Series(["Acme", "Wexler"], index=["x", "x"])
    right = pd.Series(["Acme", "Hartley"], index=[7, 8])
    scores = score_names(left, right)
    assert scores.index.tolist() == ["x", "x"]
    assert scores.tolist() == [1.0, 0.0]


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 and 2"):
        score_names(pd.Series(["a"]), pd.Series(["a", "b"]))


def test_a_score_depends_on_nothing_but_the_pair_and_not_on_its_order() -> None:
    pairs = [*ALIKE.values(), *SLIPS.values(), *APART.values()]
    alone = [score(left, right) for left, right in pairs]
    turned = [score(right, left) for left, right in pairs]
    random.Random(5).shuffle(shuffled := list(range(len(pairs))))
    left, right = (pd.Series([pairs[i][side] for i in shuffled] * 3) for side in (0, 1))
    together = score_names(left, right)
    assert turned == alone
    assert together.tolist() == [alone[i] for i in shuffled] * 3


MEETING = {kind: pair for kind, pair in (ALIKE | SLIPS).items() if kind != "acronym of several parts"}


@pytest.mark.parametrize(("left", "right"), MEETING.values(), ids=MEETING)
def test_names_of_one_company_share_a_key(left: str, right: str) -> None:
    found = keys(pd.Series([left, right], index=["left", "right"]))
    assert set(found.loc[["left"]]) & set(found.loc[["right"]])


def test_keys_repeat_the_index_and_each_stands_once_a_name() -> None:
    found = keys(pd.Series(["Acme Acme Acme", None, "The First Bank", "Acme dba Wexler"], index=[10, 20, 30, 40]))
    assert sorted(set(found.index)) == [10, 30, 40]
    assert not pd.DataFrame({"name": found.index, "key": found.to_numpy()}).duplicated().any()
    assert {"w:akme", "w:vexler"} <= set(found.loc[40])


def test_words_that_many_names_have_are_keys_only_where_nothing_else_is() -> None:
    found = keys(pd.Series(["Hartley Bank Group Ltd", "Bank Group Ltd"]))
    assert "g:bank" not in set(found.loc[[0]])
    assert "g:bank" in set(found.loc[[1]])


def test_the_normal_form_is_what_is_left_of_a_name() -> None:
    names = pd.Series(["  The Wexler-Optik G.m.b.H. ", "Wexler Optik", "Müller dba Hartley", None, "?", "Газпром ПАО"])
    assert normal_forms(names).fillna("-").tolist() == ["wexler optik", "wexler optik", "muller", "-", "-", "gazprom"]


@pytest.mark.bench
def test_many_names_are_scored_and_keyed_in_seconds() -> None:
    draw = random.Random(seed := random.randrange(10**6))
    print(f"\nseed {seed}")
    parts = [
        "ba",
        "ko",
        "ri",
        "ten",
        "mo",
        "lux",
        "sa",
        "ver",
        "dia",
        "pol",
        "gro",
        "na",
        "fi",
        "tor",
        "che",
        "plu",
        "zan",
        "mi",
    ]
    words = ["".join(draw.choices(parts, k=draw.randint(2, 4))) for _ in range(60_000)]
    tails = ["Bank Ltd", "Technologies GmbH", "Group", "Services Inc.", "International AG", "S.A.", "Holdings LLC"]
    names = pd.Series([f"{draw.choice(words)} {draw.choice(words)} {draw.choice(tails)}" for _ in range(400_000)])
    start = time.process_time()
    found = keys(names)
    keyed = time.process_time() - start
    print(f"keys of {len(names):,} names: {keyed:.1f} s of one core, {len(found):,} keys")
    left = names.sample(1_000_000, replace=True, random_state=seed)
    right = names.sample(1_000_000, replace=True, random_state=seed + 1)
    start = time.process_time()
    score_names(left, right)
    scored = time.process_time() - start
    print(f"1,000,000 pairs: {scored:.1f} s of one core")
    assert keyed < 10
    assert scored < 10
