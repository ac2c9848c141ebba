"""How Jira Cloud is asked: logins, one request and its reply, several at a time, what is left of the limits.

Here belongs what all reads of Jira share. Not here: which addresses a read asks and in what order.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Raw
from requests import Response

from connectors import adf, rows
from connectors.auth import Basic, Bearer, secret
from connectors.base import Choices, SourceError, Stream, Unavailable
from connectors.columns import streams
from connectors.http import Allowance, Gate, HttpConnector, Login, Patience, Site

if TYPE_CHECKING:
    from jira import JIRA

T = TypeVar("T")
U = TypeVar("U")

STREAMS = streams("jira")
WRAPPING = ("expand", "self")  # what more could be asked for, and the address: no fields
_TEXTS = {"comments": {"body_text": adf.plain}, "worklogs": {"comment_text": adf.plain}}
_ROUNDS = 3  # in which a list may not keep still
_AGILE = "agile/1.0/"
_IDS = re.compile(r"/(?:[A-Z][A-Z0-9_]*-)?\d+(?=/|$)")


@dataclass(frozen=True)
class Placed(Generic[T]):
    """A page of a list that is paged by place: its records' ids, how many there are on all pages, if the reply says so, and
    whether it is the last one."""

    response: Response
    content: T
    ids: frozenset[Any]
    total: int | None
    is_last: bool | None = None


class Asking(HttpConnector):
    """One Jira Cloud site, asked with an e-mail address and an API token, or with an OAuth access token.

    OAuth apps and scoped tokens reach a site at https://api.atlassian.com/ex/jira/<cloud id>, which is then its address.
    """

    tool = "jira"

    def __init__(
        self,
        url: str,
        *,
        email: str | None = None,
        api_token: str | None = None,
        access_token: str | None = None,
        choices: Choices = Choices(),  # noqa: B008  (nobody can change it)
        concurrency: int = 8,
        patience: Patience | None = None,
    ) -> None:
        """`concurrency`: requests at a time; where Jira bears fewer, they become fewer."""
        by_bearer = bool(access_token) and not api_token
        site = Site("Jira", url, "JIRA_URL", "JIRA_ACCESS_TOKEN" if by_bearer else "JIRA_EMAIL and JIRA_API_TOKEN")
        login: Login
        if email and api_token:
            login = Basic(email.strip(), secret("JIRA_API_TOKEN", api_token))
        elif access_token and by_bearer:
            login = Bearer(secret("JIRA_ACCESS_TOKEN", access_token))
        else:
            raise SourceError("Set JIRA_EMAIL and JIRA_API_TOKEN, or JIRA_ACCESS_TOKEN.")
        self.gate = Gate(site, login, patience=patience, bucket=endpoint, allowance=allowance)
        self.choices = choices
        self.concurrency = concurrency

    @cached_property
    def _client(self) -> JIRA:
        from jira import JIRA  # costs start time, and Dagster loads this module far more often than it reads

        options: dict[str, Any] = {"server": self.gate.site.url, "rest_api_version": "3"}
        client = JIRA(options=options, get_server_info=False, max_retries=0, timeout=self.gate.patience.reply)
        client.deploymentType = "Cloud"  # not asked for, to spare a request
        self.gate.guard(client._session)
        return client

    def get(self, path: str, parameters: Mapping[str, Any] | None = None, *, of: Stream | None = None) -> Response:
        """The reply to one request. Where it is refused, and `of` is an optional stream: Unavailable."""
        try:
            return self._client._session.get(self._url(path), params=parameters)
        except SourceError as error:
            if of is not None and of.optional and answered(error, 403, 404):
                raise Unavailable(
                    f"Jira shows no {of.name} to this account: the site lacks them, or the user of {self.gate.site.login} may "
                    f"not see them ({error})"
                ) from None
            raise

    def post(self, path: str, body: Mapping[str, Any]) -> Response:
        return self._client._session.post(self._url(path), data=msgspec.json.encode(body))

    def _url(self, path: str) -> str:
        """Boards have an API of their own beside the platform's."""
        if path.startswith(_AGILE):
            return self._client._get_url(path.removeprefix(_AGILE), base=self._client.AGILE_BASE_URL)
        return self._client._get_url(path)

    def page(self, decoder: rows.Decoder, records: Raw | bytes, response: Response) -> rows.Page:
        try:
            return decoder.page(records)
        except msgspec.DecodeError:
            raise self.surprise(response, f"no list of {decoder.stream.name}") from None

    def by_place(self, ask: Callable[[int], Placed[T]]) -> tuple[list[T], int]:
        """All pages of a list that is paged by place; `ask` gets the place of a page's first record, which is the last one of
        the page before. Where that is another one by then, or the numbers differ, records went meanwhile and moved those
        behind them: everything is asked once more, until it adds up or is the same again. With how many records fewer that
        are than Jira counts: it may count what it does not show."""
        seen: set[Any] | None = None
        for _ in range(_ROUNDS):
            before, seen = seen, set()
            pages: list[T] = []
            totals: set[int | None] = set()
            ended, moved, start = False, False, 0
            while not ended:
                page = ask(start)
                moved |= bool(pages) and seen.isdisjoint(page.ids)
                pages.append(page.content)
                totals.add(page.total)
                reached = start + len(page.ids)
                ended = reached >= page.total if page.is_last is None and page.total is not None else bool(page.is_last)
                if not ended and page.ids <= seen:
                    raise self.surprise(page.response, "a page with nothing new on it that is not the last one")
                seen |= page.ids
                start = reached - 1
            if (not moved and totals in ({None}, {len(seen)})) or seen == before:
                return pages, max(0, (page.total or 0) - len(seen))
        raise self.surprise(page.response, "its records come and go while they are read")

    def decoder(self, stream: Stream) -> rows.Decoder:
        """For records of any stream but issues, whose columns the settings map to fields."""
        finish = _archived_or_not if stream.name == "projects" else rows.as_it_is
        values = _TEXTS.get(stream.name, {})
        return rows.Decoder(stream, values=values, drop=WRAPPING, without=self.without(stream.name), finish=finish)

    def without(self, stream: str) -> frozenset[str]:
        return self.choices.without.get(stream, frozenset())

    @contextmanager
    def side_by_side(self) -> Iterator[Executor]:
        """Where as many requests as are wanted can be under way. What is not needed any more is not sent."""
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="jira")
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _archived_or_not(table: pa.Table) -> pa.Table:
    """Jira leaves the mark out of living projects."""
    place = table.column_names.index("archived")
    return table.set_column(place, "archived", pc.fill_null(table["archived"], False))


def ahead(things: Iterable[T], start: Callable[[T], U], by: int) -> Iterator[U]:
    """What `start` makes of each thing, in their order, while it is already done with so many of the next ones."""
    waiting: deque[U] = deque()
    for thing in things:
        waiting.append(start(thing))
        if len(waiting) > by:
            yield waiting.popleft()
    yield from waiting


def answered(error: SourceError, *statuses: int) -> bool:
    return str(error).startswith(tuple(f"{status} " for status in statuses))


def endpoint(path: str) -> str:
    """The rate-limit bucket of a path: Jira limits each endpoint by itself, whichever record it is asked for."""
    return _IDS.sub("/{id}", path)


def allowance(_: str, headers: Mapping[str, str]) -> Allowance | None:
    """What Jira says is left of an endpoint's limit, until a moment that it writes to the minute."""
    left, reset = headers.get("X-RateLimit-Remaining", ""), headers.get("X-RateLimit-Reset", "")
    try:
        now = parsedate_to_datetime(headers["Date"]).astimezone(UTC)
        return Allowance(int(left), max(0.0, (datetime.fromisoformat(reset) - now).total_seconds()))
    except (KeyError, ValueError, TypeError):
        return None
