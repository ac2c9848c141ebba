"""A share of replies that go wrong, drawn from a seed: which request is hit, with what, and how a good page is spoiled.

Here belongs what is decided of a single reply. Not here: how a connection is cut or a reply sent (`server`), or faults
that a test orders one by one.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, get_args

import msgspec

Kind = Literal[
    "429", "500", "502", "reset", "cut off", "stall", "expired", "doubled", "reordered", "not JSON", "too large"
]  # fmt: skip
KINDS: tuple[Kind, ...] = tuple(kind for kind in get_args(Kind) if kind != "too large")  # nobody gets over that one

SPOILING: tuple[Kind, ...] = ("doubled", "reordered")  # the client gets a good reply and does not ask again
_EXPIRY_PAUSE = 50  # requests between two expiries: a token must outlive the second try of whoever lost the last one
# Replies whose lists are no pages of rows: what an object or a job is, answers in the order of what was asked.
_NO_PAGES = re.compile(r"/describe\b|/jobs/|/composite|/limits|/metadata/")

PROXY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>The proxy is having a bad day</h1></body></html>"


class FaultPlan:
    """Which replies go wrong. Equal seeds hit equal requests, in whatever order several threads send them.

    `share` of all replies, each kind equally often where it is possible; `in_a_row`: after so many failures a request
    succeeds. `retry_after`: seconds that a 429 asks for; `stall`: seconds by which a stalled reply is late, more than
    the client waits; `large`: bytes of a reply that is too large.
    """

    def __init__(
        self,
        share: float,
        seed: int,
        kinds: Sequence[Kind] = KINDS,
        *,
        in_a_row: int = 3,
        retry_after: int = 1,
        stall: float = 150.0,
        large: int = 300 << 20,
    ) -> None:
        self.share, self.seed, self.kinds = share, seed, tuple(kinds)
        self.in_a_row, self.retry_after, self.stall, self.large = in_a_row, retry_after, stall, large
        self._asked: Counter[bytes] = Counter()
        self._failed: Counter[bytes] = Counter()  # of each request, since it last succeeded
        self._since_expiry = _EXPIRY_PAUSE

    def draw(self, request: bytes, *, expires: bool) -> tuple[list[Kind], random.Random]:
        """What may befall a request (its method, address and body), in the order to be tried, and the chance to do it
        with. `expires`: it carries a token that can end."""
        self._asked[request] += 1
        self._since_expiry += 1
        chance = random.Random(b"%d/%d/%s" % (self.seed, self._asked[request], request))
        kinds = chance.sample(self.kinds, len(self.kinds)) if chance.random() < self.share else []
        if not expires or self._since_expiry <= _EXPIRY_PAUSE:
            kinds = [kind for kind in kinds if kind != "expired"]
        if self._failed[request] >= self.in_a_row:
            kinds = [kind for kind in kinds if kind in SPOILING]
        return kinds, chance

    def settle(self, request: bytes, kind: Kind | None) -> None:
        """Notes what befell a request in the end."""
        if kind is None or kind in SPOILING:
            self._failed.pop(request, None)
        else:
            self._failed[request] += 1
        if kind == "expired":
            self._since_expiry = 0


def spoiled(kind: Kind, path: str, body: bytes, chance: random.Random) -> bytes | None:
    """The page with one row twice or with its rows in another order; None if the reply is no page of rows, or if it
    would be the same."""
    found = None if _NO_PAGES.search(path) else _rows(body)
    if found is None:
        return None
    reply, rows = found
    before = list(rows)
    if kind == "doubled":
        rows.insert(chance.randint(0, len(rows)), chance.choice(before))
    else:
        chance.shuffle(rows)
    return msgspec.json.encode(reply) if rows != before else None


def _rows(body: bytes) -> tuple[Any, list[Any]] | None:
    """The reply, and in it the longest list at its top whose objects all carry an id: sums and counts carry none."""
    try:
        reply = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    lists = [reply] if isinstance(reply, list) else list(reply.values()) if isinstance(reply, dict) else []
    pages = [each for each in lists if isinstance(each, list) and each and all(map(_has_id, each))]
    return (reply, max(pages, key=len)) if pages else None


def _has_id(row: Any) -> bool:
    return isinstance(row, dict) and any(name.lower().endswith("id") for name in row)
