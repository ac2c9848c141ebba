"""How good a matcher's links are, against the truth of a world of hard cases.

Here belong the figures and their formulas. Not here: what is true (hard_cases.py), and how good is good enough.

    rates(tally(cases, links, candidates))                          one world
    rates(sum_of(tally(...) for each seed))                         several: sums of counts, not means of rates

Every record i that has a place in the truth is asked how many records of **other tools** share its customer (joined_i), how
many of these are rightly there (right_i), and how many there are in truth (wanted_i). A pair counts at both of its ends, so
that the pairs of two kinds or of two companies count half for either.

    precision = sum of right_i / sum of joined_i            by_arr: each i times the arr of its company
    recall    = sum of right_i / sum of wanted_i            likewise
    B-cubed F1 = harmonic mean of precision and recall of B-cubed, which are the means over all records of
        |same customer and same company| / |same customer| and / |same company|, the record itself and those of its own tool
        included (Bagga and Baldwin, 1998)
    review_share = records that stand left in a candidate pair / records of other tools than the anchors' (Salesforce)
    review_right = candidate pairs that are one company / candidate pairs
    guessed = undecidable pairs that were joined / undecidable pairs

Undecidable pairs are left out of joined, right and wanted: to leave them to a person is no error, to hit one is luck. They stay
in B-cubed, which is to tell what a reader of the table sees.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from tests.truth.hard_cases import HardCases

PLACE = ["tool", "record_type", "record_id"]
_LEFT = ["left_tool", "left_type", "left_id"]
_RIGHT = ["right_tool", "right_type", "right_id"]
_ENDS = ["joined", "right", "wanted"]


def tally(cases: HardCases, links: pd.DataFrame, candidates: pd.DataFrame | None = None, by: str = "kind") -> pd.DataFrame:
    """Counts by kind of case (or by `method` of the link), which may be summed over worlds.

    links: tool, record_type, record_id, customer_id, and method if it is by that. A record without a link is alone.
    candidates: left_tool, left_type, left_id (the record that waits), right_tool, right_type, right_id.
    Raises ValueError for a link or a candidate of a record that is not there, and for two links of one.
    """
    records = _records(cases, links)
    counted = _counted(records, _pairs(cases.undecidable, records))
    counted = counted.join(_reviewed(records, candidates))
    return counted.groupby(records[by]).sum()


def sum_of(tallies: Iterable[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(list(tallies)).groupby(level=0).sum()


def rates(counts: pd.DataFrame) -> pd.DataFrame:
    """The figures of each row of counts, and of `all` of them in the first row; null where nothing is counted."""
    total = counts.sum().to_frame("all").T
    counts = pd.concat([total, counts])
    b_precision, b_recall = (counts[part] / counts["records"] for part in ("b_precision", "b_recall"))
    return pd.DataFrame(
        {
            "records": counts["records"].astype("int64"),
            "precision": counts["right"] / counts["joined"],
            "recall": counts["right"] / counts["wanted"],
            "precision_by_arr": counts["right_arr"] / counts["joined_arr"],
            "recall_by_arr": counts["right_arr"] / counts["wanted_arr"],
            "b_cubed_f1": 2 * b_precision * b_recall / (b_precision + b_recall),
            "review_share": counts["waiting"] / counts["seeking"],
            "review_right": counts["candidates_same"] / counts["candidates"],
            "undecidable": counts["undecidable"] / 2,
            "guessed": counts["guessed"] / counts["undecidable"],
        }
    )


def _records(cases: HardCases, links: pd.DataFrame) -> pd.DataFrame:
    """The truth's records with company, kind, arr, customer and method, indexed by their place."""
    truth = cases.truth.merge(cases.companies, on="company_id", validate="many_to_one").set_index(PLACE)
    found = links.set_index(PLACE)
    if found.index.has_duplicates:
        raise ValueError(f"more than one link of {found.index[found.index.duplicated()][0]}")
    strangers = found.index.difference(truth.index)
    if len(strangers):
        raise ValueError(f"a link of {strangers[0]}, which is no living record")
    linked = truth.join(found[[column for column in ("customer_id", "method") if column in found]])
    alone = pd.Series(["/".join(place) for place in linked.index], index=linked.index)
    linked["customer"] = linked["customer_id"].fillna(alone)
    return linked


def _counted(records: pd.DataFrame, undecidable: pd.DataFrame) -> pd.DataFrame:
    tool = records.index.get_level_values("tool")

    def together(*columns: str) -> pd.Series:
        keys = [records[column] for column in columns]
        return records["arr"].groupby(keys).transform("size")

    def of_other_tools(*columns: str) -> pd.Series:
        keys = [records[column] for column in columns]
        return together(*columns) - records["arr"].groupby([*keys, tool]).transform("size")

    counted = pd.DataFrame(
        {
            "records": 1,
            "seeking": (tool != "salesforce").astype("int64"),
            "joined": of_other_tools("customer"),
            "right": of_other_tools("customer", "company_id"),
            "wanted": of_other_tools("company_id"),
            "b_precision": together("customer", "company_id") / together("customer"),
            "b_recall": together("customer", "company_id") / together("company_id"),
        },
        index=records.index,
    )
    met = undecidable["left_customer"] == undecidable["right_customer"]
    same = undecidable["left_company"] == undecidable["right_company"]
    for column, pairs in {"undecidable": undecidable, "guessed": undecidable[met]}.items():
        counted[column] = _at_both_ends(pairs, records)
    for column, pairs in {"joined": undecidable[met], "right": undecidable[met & same], "wanted": undecidable[same]}.items():
        counted[column] -= _at_both_ends(pairs, records)
    for column in _ENDS:
        counted[f"{column}_arr"] = counted[column] * records["arr"]
    return counted


def _pairs(pairs: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """The pairs by the number of each record, with the customer and the company of both."""
    left, right = (
        records.index.get_indexer(pd.MultiIndex.from_frame(pairs[side].astype("str"), names=PLACE)) for side in (_LEFT, _RIGHT)
    )
    if len(pairs) and min(left.min(), right.min()) < 0:
        raise ValueError("a pair of a record that is not there")
    columns = {
        f"{side}_{name}": records[column].iloc[at].to_numpy()
        for side, at in (("left", left), ("right", right))
        for name, column in (("customer", "customer"), ("company", "company_id"))
    }
    return pd.DataFrame({"left": left, "right": right, **columns})


def _at_both_ends(pairs: pd.DataFrame, records: pd.DataFrame) -> pd.Series:
    """In how many of the pairs each record stands."""
    ends = pd.concat([pairs["left"], pairs["right"]]).value_counts()
    return pd.Series(ends.reindex(range(len(records)), fill_value=0).to_numpy(), index=records.index)


def _reviewed(records: pd.DataFrame, candidates: pd.DataFrame | None) -> pd.DataFrame:
    """Whether each record waits for a person, in how many pairs, and how many of these are of one company."""
    if candidates is None:
        candidates = pd.DataFrame(columns=[*_LEFT, *_RIGHT])
    pairs = _pairs(candidates, records)
    same = pairs["left_company"] == pairs["right_company"]
    every = range(len(records))
    standing = pairs["left"].value_counts().reindex(every, fill_value=0).to_numpy()
    rightly = pairs["left"][same].value_counts().reindex(every, fill_value=0).to_numpy()
    columns = {"waiting": (standing > 0).astype("int64"), "candidates": standing, "candidates_same": rightly}
    return pd.DataFrame(columns, index=records.index)
