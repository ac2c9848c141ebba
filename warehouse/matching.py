"""Which records are the same company: the cascade from a person's word over ids and domains to names, on whole tables at once.

Here belongs what speaks for two records being one, and how sure it is. Not here: customer ids and what is kept of them
(identity), or how alike two names are (names).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pycountry
from numpy.typing import NDArray

from warehouse import names

ACCEPT = 0.85  # how alike names are that are taken for one company's without a person's word
REVIEW = 0.75  # and from which on a person is asked
SCORES = {"override": 1.0, "declared_id": 1.0, "domain": 0.95, "contact_domain": 0.9}  # of the other methods
NEARLY = 0.05  # less than the best name by so much, another one is no rival
FEW = 2  # requesters who share a domain, at least, so that it is their organization's
CROWD = 3  # records of one tool with unrelated names at one domain: then it is nobody's own
FEW_RIVALS = 60  # earlier records whose names one name is held against, at most

_ALSO = {"UK": "GB", "ENGLAND": "GB", "SCOTLAND": "GB", "WALES": "GB", "DEUTSCHLAND": "DE", "SCHWEIZ": "CH", "ÖSTERREICH": "AT"}

_CANDIDATE = {"record": "int64", "target": "int64", "score": "float64", "evidence": "str"}
_LINK = {**_CANDIDATE, "method": "str"}
_AMBIGUOUS = {"record": "int64", "method": "str"}
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """By place in the table of records.

    head: of each record the first one that is the same company.
    links: record, target (an earlier one that is the same company), method, score, evidence (in words).
    candidates: record, target, score, evidence: pairs that wait for a person.
    ambiguous: record, method: for which a step named several companies.
    """

    head: Places
    links: pd.DataFrame
    candidates: pd.DataFrame
    ambiguous: pd.DataFrame


def match(
    records: pd.DataFrame, contacts: pd.DataFrame, always: Iterable[tuple[int, int]] = (), never: Iterable[tuple[int, int]] = ()
) -> Matches:
    """Takes the records in the order of whose word counts most, and joins each to the earlier ones.

    records: tool, record_type, record_id, name, country, parent_id, declared_tool, declared_id, domain (registrable, null
    unless it can be a company's own), rank (0 for the kind that the others are joined to, then 1, 2 …; ascending).
    contacts: record (place), domain (null unless it can be a company's own), people. The pairs are places as well.
    """
    texts = {name: "str" for name in records.columns if name != "rank"}  # also where all are null
    run = _Run(records.reset_index(drop=True).astype(texts), contacts.astype({"domain": "str"}))
    run.override(always, never)
    for rank in sorted(records["rank"].unique()):
        run.twins(rank)
        if rank:
            run.declared(rank)
            run.domains(rank)
            run.contact_domains(rank)
        run.names(rank)
    return run.matches()


@dataclass
class _Run:
    """One cascade. `head`: of each record the first of those that it is joined to; `settled`: no weaker step is tried."""

    records: pd.DataFrame
    contacts: pd.DataFrame
    head: Places = field(init=False)
    settled: NDArray[np.bool_] = field(init=False)
    never: set[tuple[int, int]] = field(default_factory=set)
    links: list[pd.DataFrame] = field(default_factory=list)
    candidates: list[pd.DataFrame] = field(default_factory=list)
    ambiguous: list[pd.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.head = np.arange(len(self.records))
        self.settled = np.zeros(len(self.records), bool)
        self.rank = self.records["rank"].to_numpy()
        self.domain = self.records["domain"]
        self.country = _countries(self.records["country"])
        self.form = names.normal_forms(self.records["name"])
        self.own = self.domain.where(self.domain.notna(), _majority(self.contacts).reindex(self.records.index))

    def matches(self) -> Matches:
        joined, waiting = _table(self.links, _LINK), _table(self.candidates, _CANDIDATE)
        apart = self.head[waiting["record"]] != self.head[waiting["target"]]
        return Matches(self.head, joined, waiting[apart], _table(self.ambiguous, _AMBIGUOUS))

    # The steps ------------------------------------------------------------------------------------------------------

    def override(self, always: Iterable[tuple[int, int]], never: Iterable[tuple[int, int]]) -> None:
        """A person's word: it joins whatever it names, and keeps apart what any other step would join."""
        self.never = {pair for left, right in never for pair in ((left, right), (right, left))}
        for left, right in always:
            record, target = max(left, right), min(left, right)
            first, second = sorted((self.head[record], self.head[target]))
            if first != second:
                link = {"record": [second], "target": [first], "evidence": ["somebody decided so"]}
                self._link(pd.DataFrame(link), "override")
                self.head[self.head == second] = first

    def twins(self, rank: int) -> None:
        """Records of one kind at one domain of their own, with the same name: unless one is the other's parent."""
        here = self._open(rank, self.domain.notna())
        at_one_domain = _pairs(self.domain[here], self.domain[here])
        at_one_domain["evidence"] = "the same name, and both are at " + self.domain[at_one_domain["record"]].to_numpy()
        there = self._open(rank, self.country.notna() & self.form.notna())
        place = self.country + "/" + self.form
        named = _pairs(place[there], place[there])
        left, right = self.domain[named["record"]].to_numpy(), self.domain[named["target"]].to_numpy()
        named = named.loc[pd.isna(left) | pd.isna(right)]
        named["evidence"] = "the same name, in the same country"
        pairs = pd.concat([at_one_domain, named], ignore_index=True)
        pairs = pairs[pairs["record"] > pairs["target"]]
        pairs = pairs.loc[~self._related(pairs) & self._at_one_place(pairs)]
        pairs = pairs.loc[self._alike(pairs) >= ACCEPT]
        first = self._allowed(pairs).sort_values(["record", "target"]).drop_duplicates("record")
        self._link(first, "domain", settle=False)

    def declared(self, rank: int) -> None:
        """The id of another record that somebody wrote down, unless the domain of both says otherwise."""
        here = self._open(rank, self.records["declared_id"].notna())
        earlier = self.records[self.rank < rank]
        id_ = earlier["record_id"]
        long = id_.str.len() == 18
        # In 18 characters Salesforce tells capitals by the last three, so that these may be written otherwise; 15 are exact.
        known = pd.concat([id_, id_[long].str.slice(0, 15), id_[long].str.lower()])
        known = earlier["tool"].reindex(known.index) + "/" + known
        told = self.records["declared_id"].str.strip()
        wanted = self.records["declared_tool"] + "/" + told.where(told.str.len() != 18, told.str.lower())
        exact = self.records["declared_tool"] + "/" + told
        pairs = pd.concat([_pairs(wanted[here], known), _pairs(exact[here], known)]).drop_duplicates(ignore_index=True)
        left, right = self.domain[pairs["record"]].to_numpy(), self.domain[pairs["target"]].to_numpy()
        elsewhere = pd.Series(left).isin(self.domain[self.rank < rank].dropna()).to_numpy()
        contradicted = pd.notna(left) & pd.notna(right) & (left != right) & elsewhere
        contradicted &= self._alike(pairs) < REVIEW  # what has another name as well is somebody's mistake: the domain decides
        pairs = pairs.loc[~contradicted]
        pairs["evidence"] = "declares the id " + wanted[pairs["record"]].to_numpy()
        self._settle(pairs, "declared_id")

    def domains(self, rank: int) -> None:
        """The registrable domain; of several companies there the one that has the name as well."""
        here = self._open(rank, self.domain.notna())
        pairs = _pairs(self.domain[here], self.domain[self.rank < rank])
        pairs["evidence"] = "both are at " + self.domain[pairs["record"]].to_numpy()
        self._settle_by_name(pairs, "domain", self.domain, rank)

    def contact_domains(self, rank: int) -> None:
        """The domain that most of the people share, where a record has none of its own."""
        here = self._open(rank, self.own.notna())
        pairs = _pairs(self.own[here], self.own[self.rank < rank])
        pairs["evidence"] = "the people of one of them are at " + self.own[pairs["record"]].to_numpy()
        self._settle_by_name(pairs, "contact_domain", self.own, rank)

    def names(self, rank: int) -> None:
        """Name and country, where no domain speaks against it; of one kind only for a person to decide."""
        here = self._open(rank, self.records["name"].notna())
        earlier = self.records.index[(self.rank < rank) & self.records["name"].notna().to_numpy()]
        pairs = self._allowed(_blocked(self.records["name"], here, earlier))
        pairs = pairs.loc[self._at_one_place(pairs)]
        pairs["score"] = self._alike(pairs)
        pairs = pairs[pairs["score"] >= REVIEW]
        pairs["evidence"] = "the names are alike: " + self.records["name"][pairs["target"]].to_numpy()
        left, right = self.domain[pairs["record"]].to_numpy(), self.domain[pairs["target"]].to_numpy()
        apart = pd.notna(left) & pd.notna(right) & (left != right)
        near = pairs.loc[~apart]
        self._settle(near.loc[self._named(near)], "name")
        sure = (pairs["score"] >= ACCEPT) & ~apart
        asked = pairs.loc[~sure & (~apart | (pairs["score"] >= ACCEPT))]
        asked = asked.loc[~self.settled[asked["record"]]].sort_values("score", ascending=False).drop_duplicates("record")
        self.candidates.append(asked)

    # What they share ------------------------------------------------------------------------------------------------

    def _open(self, rank: int, condition: pd.Series) -> pd.Index:
        return self.records.index[(self.rank == rank) & ~self.settled & condition.to_numpy()]

    def _alike(self, pairs: pd.DataFrame) -> NDArray[np.float64]:
        name = self.records["name"]
        left, right = name[pairs["record"]].reset_index(drop=True), name[pairs["target"]].reset_index(drop=True)
        return np.asarray(names.score_names(left, right), float)

    def _at_one_place(self, pairs: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether the countries of both can be one."""
        left, right = self.country[pairs["record"]].to_numpy(), self.country[pairs["target"]].to_numpy()
        return np.asarray(pd.isna(left) | pd.isna(right) | (left == right), bool)

    def _related(self, pairs: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether one is the other's parent, or both have the same one."""
        id_, parent = self.records["record_id"], self.records["parent_id"]
        left, right = pairs["record"], pairs["target"]
        up, down = parent[left].to_numpy() == id_[right].to_numpy(), parent[right].to_numpy() == id_[left].to_numpy()
        siblings = (parent[left].to_numpy() == parent[right].to_numpy()) & parent[left].notna().to_numpy()
        return np.asarray(up | down | siblings, bool)

    def _settle_by_name(self, pairs: pd.DataFrame, method: str, at: pd.Series, rank: int) -> None:
        """Settles pairs at one domain. Where unrelated records crowd there, or several companies are, the name decides."""
        pairs["score"] = self._alike(pairs)
        crowded = at[pairs["record"]].map(self._crowds(at, rank)).fillna(False).to_numpy(bool)
        heads = pd.Series(self.head[pairs["target"]], index=pairs.index).groupby(pairs["record"]).transform("nunique")
        named = self._named(pairs)
        several = (heads > 1) & named.groupby(pairs["record"]).transform("any")
        pairs = pairs[np.where(several | crowded, named, True).astype(bool)].sort_values(
            "score", ascending=False, kind="stable"
        )
        self._settle(pairs.drop(columns="score"), method)

    def _named(self, pairs: pd.DataFrame) -> pd.Series:
        """Whether a pair's names are one company's: so much alike, and nearly as much as any others of the record."""
        best = pairs.groupby("record")["score"].transform("max")
        return (pairs["score"] >= ACCEPT) & (pairs["score"] > best - NEARLY)

    def _crowds(self, at: pd.Series, rank: int) -> pd.Series:
        """Of each domain, whether records of one kind are there whose names have nothing to do with each other."""
        here = self.records[["rank", "name"]].assign(at=at)
        here = here[here["rank"].to_numpy() <= rank].dropna()
        many = here.groupby(["at", "rank"])["name"].transform("size") >= CROWD
        here = here[many].reset_index(drop=True)
        if here.empty:
            return pd.Series(dtype=bool)
        first = here.groupby(["at", "rank"])["name"].transform("first")
        unrelated = names.score_names(here["name"], first) < REVIEW
        return (unrelated.groupby([here["at"], here["rank"]]).sum() >= CROWD - 1).groupby(level=0).any()

    def _settle(self, pairs: pd.DataFrame, method: str) -> None:
        """Joins each record that the pairs name one company for; one that they name several for stays alone, for good."""
        pairs = self._allowed(pairs)
        heads = pd.Series(self.head[pairs["target"]], index=pairs.index).groupby(pairs["record"]).transform("nunique")
        several = pairs["record"][heads > 1].unique()
        self.ambiguous.append(pd.DataFrame({"record": several, "method": method}))
        self.settled[several] = True
        self._link(pairs[heads == 1].drop_duplicates("record"), method)

    def _allowed(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """Without the pairs that a person keeps apart, be it from the record itself or from what that is joined to."""
        if not self.never:
            return pairs
        near = zip(pairs["record"], pairs["target"], self.head[pairs["target"]], strict=True)
        allowed = [(record, target) not in self.never and (record, head) not in self.never for record, target, head in near]
        return pairs.loc[np.array(allowed, bool)]

    def _link(self, pairs: pd.DataFrame, method: str, *, settle: bool = True) -> None:
        pairs = pairs.assign(method=method)
        if "score" not in pairs or method != "name":
            pairs["score"] = SCORES.get(method, 0.0)
        self.links.append(pairs[["record", "target", "method", "score", "evidence"]])
        for record, target in zip(pairs["record"], pairs["target"], strict=True):
            self.head[record] = self.head[target]
        if settle:
            self.settled[pairs["record"]] = True


def _table(parts: Sequence[pd.DataFrame], types: Mapping[str, str]) -> pd.DataFrame:
    return pd.concat(
        [pd.DataFrame(columns=list(types)).astype(types), *(part[list(types)] for part in parts)], ignore_index=True
    )


def _countries(told: pd.Series) -> pd.Series:
    """Countries as ISO 3166 codes of two letters, by their names or codes; null where nobody knows which is meant."""
    known = {text: _country(text) for text in told.dropna().unique()}
    return told.map(known).astype("str")


def _country(told: str) -> str | None:
    text = _ALSO.get(told.strip().upper().replace(".", ""), told.strip())
    try:
        return str(pycountry.countries.lookup(text).alpha_2)
    except LookupError:
        return None


def _majority(contacts: pd.DataFrame) -> pd.Series:
    """Of each record the domain that most of its people are at, if they are enough."""
    total = contacts.groupby("record")["people"].transform("sum")
    most = contacts[(contacts["people"] >= FEW) & (2 * contacts["people"] > total) & contacts["domain"].notna()]
    return most.drop_duplicates("record").set_index("record")["domain"]


def _pairs(left: pd.Series, right: pd.Series) -> pd.DataFrame:
    """Every two places at which the values of both are equal: record and target."""
    a = pd.DataFrame({"value": left.to_numpy(), "record": left.index.to_numpy()})
    b = pd.DataFrame({"value": right.to_numpy(), "target": right.index.to_numpy()})
    return a.merge(b, on="value")[["record", "target"]]


def _blocked(name: pd.Series, here: pd.Index, earlier: pd.Index) -> pd.DataFrame:
    """Pairs that share a key: of each record those under its rarest keys, so that it is held against a few and not all."""
    keys = names.keys(name[here.union(earlier)])
    left, right = keys[keys.index.isin(here)], keys[keys.index.isin(earlier)]
    wanted = pd.DataFrame(
        {"record": left.index, "key": left.to_numpy(), "size": left.map(right.value_counts()).to_numpy(float)}
    )
    wanted = wanted.dropna().sort_values(["record", "size"], kind="stable")
    wanted = wanted[wanted.groupby("record")["size"].cumsum() <= FEW_RIVALS]
    return _pairs(wanted.set_index("record")["key"], right).drop_duplicates(ignore_index=True)
