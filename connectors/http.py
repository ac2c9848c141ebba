"""The one door to the network: time-outs, retries, rate limits, the host that may be asked, errors that say what to do.

Here belongs what is true of every vendor's HTTP. Not here: any vendor's addresses, or how a login is obtained.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, TypeVar
from urllib.parse import SplitResult, quote, quote_plus, urlsplit, urlunsplit
from weakref import WeakKeyDictionary

import msgspec
from requests import PreparedRequest, RequestException, Response, Session, exceptions
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import DecodeError, HTTPError, ReadTimeoutError

from connectors.base import Connector, Finding, SourceError
from connectors.quota import Day, Quota
from connectors.rows import ANY, cleaned
from connectors.verdicts import CODES, LARGEST, NETWORK, VERDICTS, Verdict, words

log = logging.getLogger(__name__)

T = TypeVar("T")

CONNECTING = 10.0  # seconds
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Site:
    """Where a tool lives, and the variables that a person sets for it, as messages name them."""

    tool: str
    url: str
    url_variable: str
    login: str  # such as "JIRA_EMAIL and JIRA_API_TOKEN"

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # a port that is no number, half a bracket
            usable = False
        if not usable or parts.query or parts.fragment:
            raise SourceError(f"{self.url_variable} must be the address of {self.tool}, such as https://example.com.")
        if parts.username or parts.password:
            raise SourceError(f"{self.url_variable} must not hold a user name or a password.")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise SourceError(f"{self.url_variable} must begin with https:// (http is for a loopback address only).")
        object.__setattr__(self, "url", self.url.rstrip("/"))

    @property
    def host(self) -> str:
        parts = urlsplit(self.url)
        return (parts.netloc + parts.path).lower()

    @property
    def loopback(self) -> bool:
        return urlsplit(self.url).scheme == "http"


@dataclass(frozen=True)
class Patience:
    """How long to go on trying: tries of one request, seconds before the second one (doubled each time, with jitter),
    the longest wait that a vendor may ask for, seconds without a piece of the reply, and for the whole of it."""

    tries: int = 6
    first_wait: float = 1.0
    longest_wait: float = 300.0
    reply: float = 120.0
    whole: float = 900.0


@dataclass(frozen=True)
class Allowance:
    """What a vendor says is left in a bucket: requests, and seconds until it is full again."""

    left: int
    refilled_in: float


class Login(AuthBase):
    """Puts the credentials on a request. Knows what must never be shown."""

    requests = 0  # sent to obtain the login

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request

    def secrets(self) -> tuple[str, ...]:
        return ()

    def stop_at(self, deadline: float) -> None:
        """After this moment (time.monotonic) nothing is asked for it any more."""

    def renew(self, request: PreparedRequest) -> bool:  # noqa: ARG002
        """After `request` was refused: True if it is worth sending again with a new token."""
        return False


class Limiter:
    """One vendor bucket in this process, shared by all who ask for it: none asks while the vendor wants to be left
    alone, and so many at a time as it bears, which is found by trying: half as many after a refusal, slowly more again.
    """

    _all: ClassVar[dict[tuple[str, str], Limiter]] = {}
    _lock = threading.Lock()

    def __init__(self) -> None:
        self._free_at = 0.0
        self._under_way = 0
        self._bearable = float("inf")
        self._turn = threading.Condition()

    @classmethod
    def of(cls, host: str, bucket: str) -> Limiter:
        with cls._lock:
            return cls._all.setdefault((host, bucket), cls())

    @contextmanager
    def turn(self, deadline: float) -> Iterator[None]:
        """Waits for one, at the longest until `deadline` (time.monotonic)."""
        with self._turn:
            while (now := time.monotonic()) < deadline:
                if now < self._free_at:
                    self._turn.wait(min(self._free_at, deadline) - now)
                elif self._under_way + 1 > self._bearable:
                    self._turn.wait(deadline - now if deadline < float("inf") else None)
                else:
                    break
            self._under_way += 1
        try:
            yield
        finally:
            with self._turn:
                self._under_way -= 1
                self._turn.notify()

    @property
    def held(self) -> float:
        """Seconds until anybody may ask again."""
        return self._free_at - time.monotonic()

    def hold(self, seconds: float) -> None:
        with self._turn:
            self._free_at = max(self._free_at, time.monotonic() + seconds)

    def refused(self) -> None:
        with self._turn:
            self._bearable = max(1.0, min(self._bearable, self._under_way + 1) / 2)

    def served(self, allowance: Allowance | None) -> None:
        if allowance and allowance.left <= 0:
            self.hold(allowance.refilled_in)
        with self._turn:
            self._bearable += 1 / self._bearable


@dataclass
class _Fault(Exception):
    """One failed try."""

    verdict: Verdict
    what: str  # "401", "no reply"
    said: str = ""  # the vendor's own words
    wait: float | None = None  # seconds that the vendor asks for


class Gate(HTTPAdapter):
    """Sends every request of one connector, whichever client library made it. What passes back is a 2xx reply that is
    whole and JSON; everything else ends as SourceError. Safe to use from several threads.

    `bucket` names the vendor's rate-limit bucket of a path, `allowance` reads what is left in it from a path and a
    reply's headers. With "csv" in `accept` a reply may also be that. `shape` is what replies from a path hold, where their
    reader wants all of it: then they are gone through once only, for `decoded`. After `deadline` (time.monotonic) nothing
    is asked. `requests` counts what was sent, `clock` is the vendor's.
    """

    def __init__(
        self,
        site: Site,
        login: Login | None = None,
        *,
        patience: Patience | None = None,
        bucket: Callable[[str], str] = lambda _: "",
        allowance: Callable[[str, Mapping[str, str]], Allowance | None] = lambda _, __: None,
        quota: Quota | None = None,
        accept: tuple[str, ...] = ("json",),
        shape: Callable[[str], msgspec.json.Decoder[Any]] = lambda _: ANY,
        verdicts: Mapping[int | str, Verdict] = VERDICTS,
        secrets: Callable[[], tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__(pool_connections=1, pool_maxsize=16)
        self.site = site
        self.login = login or Login()
        self.patience = patience or Patience()
        self.deadline = float("inf")
        self._bucket = bucket
        self._allowance = allowance
        self._quota = quota
        self._accept = accept
        self._shape = shape
        self._decoded: WeakKeyDictionary[Response, Any] = WeakKeyDictionary()
        self._unreachable = False
        self._verdicts = verdicts
        self._secrets = secrets or self.login.secrets
        self._sent = 0
        self._lock = threading.Lock()
        self._clock: datetime | None = None

    @property
    def requests(self) -> int:
        return self._sent + self.login.requests

    @property
    def clock(self) -> datetime:
        """The vendor's time (UTC) as of its last reply, which bounds what a read can have seen."""
        return self._clock or datetime.now(UTC)

    def stop_at(self, deadline: float) -> None:
        self.deadline = deadline
        self.login.stop_at(deadline)

    def session(self) -> Session:
        session = Session()
        session.headers["User-Agent"] = "fullpicture"
        self.guard(session)
        return session

    def guard(self, session: Session) -> None:
        """Lets a session, perhaps a library's own, send through this gate only."""
        session.adapters.clear()
        session.mount("", self)  # whatever the scheme, to be refused in our words
        session.auth = self.login
        session.trust_env = not self.site.loopback  # a proxy never sees loopback

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        self._pin(request)
        options["timeout"] = (CONNECTING, self.patience.reply)
        path = urlsplit(request.url or "").path
        limiter = Limiter.of(self.site.host, self._bucket(path))
        tries, renewed = 0, False
        while True:
            if (held := limiter.held) > self.patience.longest_wait:
                raise SourceError(
                    f"{self.site.tool} has no requests left and asks to wait {held:.0f} s; trying again later can help.",
                    transient=True,
                )
            try:
                with limiter.turn(self.deadline), self._counted() as told:
                    self._in_time()
                    self.login(request)  # the token may have been renewed meanwhile
                    response = self._try(request, told, *args, **options)
            except _Fault as caught:
                fault = caught
            else:
                self._unreachable = False
                limiter.served(self._allowance(path, response.headers))
                return response
            if fault.what == "401" and not renewed:
                renewed = self.login.renew(request)
                if renewed:
                    continue  # counts as no try: the new token must have one, too
            tries += 1
            # Whoever waited in vain for this host once must not do so again for every stream.
            if not (fault.verdict.transient and fault.verdict.at_once) or tries == self.patience.tries or self._unreachable:
                break
            wait = self._wait(fault, tries)
            if wait > self.patience.longest_wait:
                fault.said = f"it asks to wait {wait:.0f} s"
                break
            log.info("%s: %s, trying again in %.1f s", self.site.tool, fault.what, wait)
            if fault.what in ("429", "503"):
                limiter.refused()
            if fault.wait is None:
                time.sleep(wait)
            else:
                limiter.hold(wait)
        self._unreachable = fault.verdict is self._verdicts["unreachable"]
        raise self._error(request, fault) from None

    def _counted(self) -> AbstractContextManager[Callable[[Response], None] | None]:
        """One more request of the day, where these are counted."""
        if self._quota is None:
            return nullcontext()
        return Day(self.site.host, self._quota.folder).request(self.site.tool, self._quota, self.deadline)

    def _in_time(self) -> None:
        if time.monotonic() >= self.deadline:
            raise SourceError("Stopped: the time for this read is over. The next run goes on from here.", transient=True)

    def _pin(self, request: PreparedRequest) -> None:
        """No request leaves the configured host, whatever a reply says. simple-salesforce always speaks https: to a
        loopback address that is configured as http, it is let through as that."""
        ours, asked = urlsplit(self.site.url), urlsplit(request.url or "")
        if asked.scheme == "https" and self.site.loopback and asked.netloc == ours.netloc:
            request.url = urlunsplit(asked._replace(scheme="http"))
        elif (asked.scheme, asked.hostname, _port(asked)) != (ours.scheme, ours.hostname, _port(ours)):
            raise SourceError(
                f"{self.site.tool} points to {asked.scheme}://{asked.hostname}, and no other host than its own is "
                f"asked. Set {self.site.url_variable} to where {self.site.tool} is; trying again will not help."
            )

    def _try(self, request: PreparedRequest, told: Callable[[Response], None] | None, *args: Any, **options: Any) -> Response:
        with self._lock:
            self._sent += 1
        try:
            response = super().send(request, *args, **options)
            body = self._body(response)
        except RequestException as error:
            raise self._fault(*next(fault for kind, fault in NETWORK if isinstance(error, kind))) from None
        if len(body) > LARGEST:
            raise self._fault("too large", "a reply")
        self._clock = _moment(response.headers.get("Date")) or self._clock
        if told:
            told(response)
        if not 200 <= response.status_code < 300:
            raise self._status_fault(response, body)
        kind = response.headers.get("Content-Type", "no type")
        as_it_is = response.status_code == 204 or ("csv" in self._accept and "csv" in kind)
        try:
            if not as_it_is:
                body, self._decoded[response] = cleaned(body, self._shape(urlsplit(request.url or "").path))
        except (msgspec.DecodeError, RecursionError):
            raise self._fault("cut off" if "json" in kind else "not JSON", f"a reply of {kind}") from None
        response._content = body  # the client libraries read it from where requests keeps it
        return response

    def decoded(self, response: Response, shape: type[T]) -> T:
        """What a reply holds. Raises msgspec.ValidationError if that is something else."""
        found = self._decoded.pop(response, None)
        return found if type(found) is shape else msgspec.json.decode(response.content, type=shape)

    def _body(self, response: Response) -> bytes:
        """The whole body, or a little more than the largest that is taken. Also who sends a little now and then must come to
        an end."""
        end = min(self.deadline, time.monotonic() + self.patience.whole)
        pieces, size = [], 0
        try:
            while piece := response.raw.read1(1 << 20, decode_content=True):
                pieces.append(piece)
                size += len(piece)
                if size > LARGEST:
                    response.close()
                    break
                if time.monotonic() > end:
                    response.close()
                    raise exceptions.ReadTimeout
        except ReadTimeoutError:
            raise exceptions.ReadTimeout from None
        except DecodeError as error:
            raise exceptions.ContentDecodingError(error) from None
        except HTTPError as error:
            raise exceptions.ChunkedEncodingError(error) from None
        response.raw.release_conn()
        return b"".join(pieces)

    def _fault(self, name: str, what: str) -> _Fault:
        return _Fault(self._verdicts[name], what)

    def _status_fault(self, response: Response, body: bytes) -> _Fault:
        status, said = response.status_code, words(body)
        group = {3: "redirect", 5: "server"}.get(status // 100, "client")
        code = next((code for code in CODES if code in said), None)
        verdict = self._verdicts[code or (status if status in self._verdicts else group)]
        return _Fault(verdict, str(status), said, _seconds(response.headers.get("Retry-After"), self.clock))

    def _wait(self, fault: _Fault, tries: int) -> float:
        if fault.wait:  # a zero says no more than that it may be tried
            return fault.wait
        backed_off = min(self.patience.first_wait * 2.0 ** (tries - 1), self.patience.longest_wait)
        return backed_off * random.uniform(0.5, 1.0)  # noqa: S311  (no secret)

    def _error(self, request: PreparedRequest, fault: _Fault) -> SourceError:
        site = self.site
        meaning = fault.verdict.meaning.format(tool=site.tool, url_variable=site.url_variable, login=site.login)
        said = f" ({self._redacted(fault.said)})" if fault.said else ""
        hope = "trying again later can help" if fault.verdict.transient else "trying again will not help"
        address = urlunsplit(urlsplit(request.url or "")._replace(query="", fragment=""))
        return SourceError(f"{fault.what} from {address}{said}: {meaning}; {hope}.", transient=fault.verdict.transient)

    def _redacted(self, said: str) -> str:
        for secret in filter(None, self._secrets()):
            for form in (secret, quote(secret), quote(secret, safe=""), quote_plus(secret)):
                said = said.replace(form, "…")
        return said[:200]


class HttpConnector(Connector):
    """A connector that asks through one gate."""

    gate: Gate

    @property
    def host(self) -> str:
        return self.gate.site.host

    @property
    def requests(self) -> int:
        return self.gate.requests

    @property
    def clock(self) -> datetime:
        return self.gate.clock

    def stop_at(self, deadline: float) -> None:
        self.gate.stop_at(deadline)

    def decoded(self, response: Response, shape: type[T]) -> T:
        """The reply as the vendor describes it, or an error that says that it is not."""
        try:
            return self.gate.decoded(response, shape)
        except msgspec.ValidationError as error:
            raise self.surprise(response, str(error)) from None

    def surprise(self, response: Response, why: str) -> SourceError:
        address = urlunsplit(urlsplit(response.url)._replace(query=""))
        return SourceError(
            f"{self.gate.site.tool} gave an unexpected reply at {address}: {why}. Check {self.gate.site.url_variable}; "
            "trying again later can help.",
            transient=True,
        )

    def tried(self, subject: str, act: Callable[[], str]) -> Finding:
        """What came of `act`, which returns what is good to know if it works."""
        try:
            return Finding(subject, True, act())
        except SourceError as error:
            return Finding(subject, False, str(error))


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _moment(header: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(header).astimezone(UTC) if header else None
    except ValueError:
        return None


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Retry-After comes as seconds or as a moment."""
    if retry_after and retry_after.strip().isdigit():
        return float(retry_after)
    moment = _moment(retry_after)
    return max(0.0, (moment - now).total_seconds()) if moment else None
