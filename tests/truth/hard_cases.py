"""A world of companies that are hard to tell apart or to put together, as rows of the unions that a matcher reads.

Here belongs the world as a whole: how many companies of each kind, the rows, the truth about them, and which pairs nobody can
decide. Not here: the kinds one by one (hard_kinds.py), and how good a matcher's links are (scores.py).

    cases = generate(companies=1000, seed=7)
    cases.records, cases.contact_domains          what a matcher may read, beside the settings' cases.shared_domains
    cases.truth, cases.companies, cases.undecidable   what it may not
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from random import Random

import pandas as pd

from tests.truth import hard_kinds
from tests.truth.company_names import FREE_MAIL, bare
from tests.truth.hard_draft import PUBLIC_SUFFIXES, SHARED_HOSTS, UNKNOWN_SHARED_HOST, Company, Draft, Record

LEAST = 500  # companies, so that every kind comes
KINDS = (*(make.__name__ for make in hard_kinds.SHARES), hard_kinds.plain.__name__)

_SAYS_NOTHING = {*FREE_MAIL, *SHARED_HOSTS, UNKNOWN_SHARED_HOST, *PUBLIC_SUFFIXES}
_SAME_NAME = "nothing but a name that several companies have"


@dataclass(frozen=True)
class HardCases:
    """Rows in an order that tells nothing; missing texts are null.

    records: tool, record_type, record_id, name, host, country, parent_id, declared_tool, declared_id, deleted, and created_at
        (UTC).
    contact_domains: tool, record_type, record_id, person_id, host.
    truth: tool, record_type, record_id, company_id of every living record.
    companies: company_id, kind, arr (a year's revenue, log-normal).
    undecidable: left_tool, left_type, left_id, right_tool, right_type, right_id, same, why. Living records of two tools whose
        belonging together (`same`) or not cannot be seen in the rows; each pair once, either way round.
    shared_domains: what somebody told the settings.
    """

    records: pd.DataFrame
    contact_domains: pd.DataFrame
    truth: pd.DataFrame
    companies: pd.DataFrame
    undecidable: pd.DataFrame
    shared_domains: tuple[str, ...] = SHARED_HOSTS


def generate(companies: int, seed: int) -> HardCases:
    """So many companies, the same for the same seed, about as many accounts and organizations, and fewer of the others."""
    if companies < LEAST:
        raise ValueError(f"{companies} companies are too few for every kind; at least {LEAST}")
    draft = Draft(Random(seed))
    for make, share in hard_kinds.SHARES.items():
        _make(draft, make, len(draft.companies) + max(1, round(companies * share / 100)))
    _make(draft, hard_kinds.plain, companies)
    draft.rng.shuffle(draft.records)
    return HardCases(
        _records(draft.records),
        _contact_domains(draft),
        _truth(draft.records),
        _companies(draft.companies),
        _undecidable(draft),
    )


def _make(draft: Draft, make: Callable[[Draft], None], until: int) -> None:
    draft.kind = make.__name__
    while len(draft.companies) < until:
        make(draft)


def _records(records: Iterable[Record]) -> pd.DataFrame:
    columns = {
        "tool": "str",
        "record_type": "str",
        "record_id": "str",
        "name": "str",
        "host": "str",
        "country": "str",
        "parent_id": "str",
        "declared_tool": "str",
        "declared_id": "str",
        "deleted": "bool",
        "created_at": "int64",
    }
    rows = (
        (
            *_place(record),
            record.name,
            record.host,
            record.country,
            record.parent_id,
            record.declared_id and "salesforce",
            record.declared_id,
            record.deleted,
            record.created_at,
        )
        for record in records
    )
    table = _table(rows, columns)
    table["created_at"] = pd.to_datetime(table["created_at"], unit="s", utc=True)
    return table


def _contact_domains(draft: Draft) -> pd.DataFrame:
    rows = (
        (*_place(record), f"{draft.rng.randrange(10**15):015}", host)
        for record in draft.records
        if not record.deleted
        for host, people in record.people.items()
        for _ in range(people)
    )
    return _table(rows, dict.fromkeys(("tool", "record_type", "record_id", "person_id", "host"), "str"))


def _truth(records: Iterable[Record]) -> pd.DataFrame:
    rows = ((*_place(record), record.company.company_id) for record in records if not record.deleted)
    return _table(rows, {"tool": "str", "record_type": "str", "record_id": "str", "company_id": "int64"})


def _companies(companies: Iterable[Company]) -> pd.DataFrame:
    rows = ((company.company_id, company.kind, company.arr) for company in companies)
    return _table(rows, {"company_id": "int64", "kind": "str", "arr": "float64"})


def _undecidable(draft: Draft) -> pd.DataFrame:
    found: dict[frozenset[tuple[str, str, str]], tuple[object, ...]] = {}
    for left, right, why in _undecidable_pairs([record for record in draft.records if not record.deleted], draft.undecidable):
        if left.tool != right.tool:
            row = (*_place(left), *_place(right), left.company is right.company, why)
            found.setdefault(frozenset((_place(left), _place(right))), row)
    sides = [f"{side}_{part}" for side in ("left", "right") for part in ("tool", "type", "id")]
    return _table(found.values(), {**dict.fromkeys(sides, "str"), "same": "bool", "why": "str"})


def _undecidable_pairs(living: list[Record], undecided: dict[Record, str]) -> Iterator[tuple[Record, Record, str]]:
    """The records that their kind made so, and those that have nothing but a name that is also another company's.

    Such a name pairs with the other company too, but only if no second record of its own company bears it: else two candidates
    are there to be seen, and who takes the wrong one has guessed.
    """
    of_company: dict[Company, list[Record]] = defaultdict(list)
    bearing: dict[str, list[Record]] = defaultdict(list)
    for record in living:
        of_company[record.company].append(record)
        bearing[bare(record.name)].append(record)
    for record, why in undecided.items():
        yield from ((record, other, why) for other in of_company[record.company])
    for bearers in bearing.values():
        if all(record.company is bearers[0].company for record in bearers):
            continue
        for record in filter(_only_named, bearers):
            alike = [other for other in bearers if other is not record and _could_be_at(record, other)]
            rivals = {other.company: None for other in alike if other.company is not record.company}  # in their order
            if not rivals:
                continue
            yield from ((record, other, _SAME_NAME) for other in of_company[record.company])
            if all(other.company is not record.company for other in alike):
                yield from ((record, other, _SAME_NAME) for rival in rivals for other in of_company[rival])


def _only_named(record: Record) -> bool:
    telling = any(people > 1 and host not in _SAYS_NOTHING for host, people in record.people.items())
    return not telling and not record.declared_id and (record.host is None or record.host in _SAYS_NOTHING)


def _could_be_at(record: Record, other: Record) -> bool:
    return record.place is None or other.place is None or record.place == other.place


def _place(record: Record) -> tuple[str, str, str]:
    return record.tool, record.record_type, record.record_id


def _table(rows: Iterable[tuple[object, ...]], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame.from_records(list(rows), columns=list(columns)).astype(columns)
