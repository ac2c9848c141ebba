"""What the stand-ins share: the world's clock in every reply, a log of requests, faults on demand, a rate limit.

Here belongs what happens to a request whatever vendor it asks. Not here: any vendor's paths, fields or errors, or
which replies a plan of faults picks out (`fault_plan`).
"""

from __future__ import annotations

import asyncio
import re
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.utils import format_datetime
from typing import Any, Literal

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.fault_plan import KINDS, PROXY_PAGE, SPOILING, FaultPlan, Kind, spoiled
from connectors.sandbox.world import World

TRANSPORT = "fullpicture.transport"  # where serve.py puts the connection into the scope, so that a fault can cut it

Scope = MutableMapping[str, Any]
Handler = Callable[[Request], "Reply"]  # `request.state.body` is the decoded JSON, else the bytes that were sent
Paths = Sequence[tuple[str, str, Handler]]  # method, path, handler


@dataclass(frozen=True)
class Reply:
    body: Any = None  # encoded as JSON unless it is bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request that the vendor does not answer as asked."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.reply = Reply(body, status, headers or {})


@dataclass(frozen=True)
class Entry:
    """One request: `target` is the path with its query as it was sent, `status` 0 for a cut connection."""

    method: str
    target: str
    status: int
    body: bytes = b""


@dataclass
class Fault:
    kind: Literal["answer", "cut", "truncate", "run", "stall", "flood"]
    path: re.Pattern[str] = re.compile("")
    times: int = 1
    after: int = 0
    reply: Reply = Reply()
    run: Callable[[], None] | None = None
    seconds: float = 0  # by which a stalled reply is late
    size: int = 0  # bytes of a flood


class Faults:
    """What goes wrong next.

    `path`: regular expression, searched in path and query; `after`: so many matching requests pass first.
    """

    def __init__(self) -> None:
        self._ordered: list[Fault] = []
        self.planned: FaultPlan | None = None
        self.done: Counter[Kind] = Counter()  # by plan

    def plan(self, share: float, seed: int, kinds: Sequence[Kind] = KINDS, **how: Any) -> None:
        """Lets a share of all replies go wrong from now on, as FaultPlan says."""
        self.planned = FaultPlan(share, seed, kinds, **how)

    def answer(
        self,
        status: int,
        path: str = "",
        *,
        times: int = 1,
        after: int = 0,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> None:
        """Answers with `status`, in the vendor's own words unless `body` is given."""
        self._ordered.append(Fault("answer", re.compile(path), times, after, Reply(body, status, headers or {})))

    def cut(self, path: str = "", *, times: int = 1, after: int = 0) -> None:
        """Closes the connection without a word."""
        self._ordered.append(Fault("cut", re.compile(path), times, after))

    def truncate(self, path: str = "", *, times: int = 1, after: int = 0) -> None:
        """Sends half of the true answer, then closes the connection."""
        self._ordered.append(Fault("truncate", re.compile(path), times, after))

    def run(self, action: Callable[[], None], path: str = "", *, after: int = 0) -> None:
        """Does something to the world (or to the tokens) just before a matching request is answered."""
        self._ordered.append(Fault("run", re.compile(path), 1, after, run=action))

    def clear(self) -> None:
        self._ordered.clear()
        self.planned = None

    def next(self, target: str) -> Fault | None:
        for fault in self._ordered:
            if not fault.path.search(target):
                continue
            if fault.after:
                fault.after -= 1
                continue
            fault.times -= 1
            if not fault.times:
                self._ordered.remove(fault)
            return fault
        return None


class RateLimit:
    """At most `limit` requests in any `seconds` of real time; None: no limit."""

    def __init__(self, limit: int | None, seconds: float = 60) -> None:
        self.limit = limit
        self.seconds = seconds
        self._spent: deque[float] = deque()

    def wait(self) -> float:
        """0 and one request spent, or how long until the next one is free."""
        now = time.monotonic()
        while self._spent and self._spent[0] <= now - self.seconds:
            self._spent.popleft()
        if self.limit is None or len(self._spent) < self.limit:
            self._spent.append(now)
            return 0
        return self._spent[0] + self.seconds - now

    @property
    def shown(self) -> int:
        """The limit as a reply's headers say it."""
        return self.limit or 10_000

    @property
    def remaining(self) -> int:
        return max(0, self.shown - len(self._spent))

    @property
    def resets(self) -> int:
        """Full seconds until the oldest request counts no more."""
        return int(self._spent[0] + self.seconds - time.monotonic()) + 1 if self._spent else 0


class Server(ABC):
    """One vendor's API over the world. `base_url` is set once the port is known."""

    page_size: int | None = None  # lowers the vendor's own page sizes, so that a small world has many pages
    expire_tokens: Callable[[], None] | None = None  # ends every token at once, where the vendor grants any

    def __init__(self, world: World) -> None:
        self.world = world
        self.base_url = "http://127.0.0.1"
        self.log: list[Entry] = []
        self.faults = Faults()
        self.retired: frozenset[str] = frozenset()  # names of fields that the vendor has stopped sending
        routes = [Route(path, self._endpoint(handler), methods=[method]) for method, path, handler in self.paths()]
        words = dict.fromkeys((404, 405), self._said)
        self._app = Starlette(routes=routes, exception_handlers=words)

    @abstractmethod
    def paths(self) -> Paths:
        """Every endpoint."""

    @abstractmethod
    def authenticate(self, request: Request) -> None:
        """Raises RefusedError unless the request may pass."""

    @abstractmethod
    def error(self, status: int) -> Any:
        """The body that this vendor sends with an error nobody described closer."""

    def meter(self, _: Request, /) -> Mapping[str, str]:
        """Headers of every authenticated reply; raises RefusedError when a limit is reached."""
        return {}

    def page(self, vendors: int) -> int:
        return min(vendors, self.page_size or vendors)

    def clock(self) -> str:
        return format_datetime(self.world.now, usegmt=True)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        query = scope["query_string"].decode()
        target = scope["path"] + ("?" + query if query else "")
        while (fault := self.faults.next(target)) and fault.run:
            fault.run()
        body = await Request(scope, receive).body()
        if fault is None and self.faults.planned:
            fault = await self._drawn(self.faults.planned, scope, target, body)
        kind = fault.kind if fault else None
        if fault is None or kind in ("truncate", "stall"):
            response = await self._respond(scope, body)
        else:
            response = self._response(fault.reply if fault.reply.body is not None else self._in_its_words(fault.reply))
        self.log.append(Entry(scope["method"], target, 0 if kind in ("cut", "truncate") else response.status_code, body))
        if fault and kind in ("cut", "truncate"):
            await _break_off(response, scope, receive, send, keep=kind == "truncate")
        elif fault and kind == "flood":
            await _flood(send, fault.size)
        else:
            if fault and kind == "stall":
                await _until_gone(receive, fault.seconds)
            await response(scope, receive, send)

    async def _drawn(self, plan: FaultPlan, scope: Scope, target: str, body: bytes) -> Fault | None:
        """What the plan has for a request: the first of the drawn kinds that is possible with it."""
        request = b" ".join((scope["method"].encode(), target.encode(), body))
        bearer = dict(scope["headers"]).get(b"authorization", b"").startswith(b"Bearer ")
        kinds, chance = plan.draw(request, expires=bearer and self.expire_tokens is not None)
        whole: Reply | None = None
        for kind in kinds:
            page: Reply | None = None
            if kind in SPOILING:
                whole = whole or _reply(await self._respond(scope, body))
                content = spoiled(kind, scope["path"], whole.body, chance) if whole.status == 200 else None
                if content is None:
                    continue
                page = replace(whole, body=content)
            plan.settle(request, kind)
            self.faults.done[kind] += 1
            if kind == "expired" and self.expire_tokens:
                self.expire_tokens()
                return None
            return _fault(kind, plan, page)
        plan.settle(request, None)
        return Fault("answer", reply=whole) if whole else None

    def _in_its_words(self, reply: Reply) -> Reply:
        return Reply(self.error(reply.status), reply.status, reply.headers)

    async def _respond(self, scope: Scope, body: bytes) -> Response:
        """Runs the Starlette application and collects its reply, so that a fault can still spoil it."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": body, "more_body": False}

        async def collect(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, collect)
        response = Response(b"".join(message.get("body", b"") for message in sent[1:]), sent[0]["status"])
        response.raw_headers = sent[0]["headers"]
        return response

    def _endpoint(self, handler: Handler) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            with self.world.lock:
                return self._response(self._answer(handler, request, body))

        return endpoint

    def _answer(self, handler: Handler, request: Request, body: bytes) -> Reply:
        try:
            self.authenticate(request)
            metered = self.meter(request)
            is_json = body and "json" in request.headers.get("content-type", "")
            request.state.body = msgspec.json.decode(body) if is_json else body
            reply = handler(request)
            sent = _without(reply.body, self.retired) if self.retired else reply.body
            return Reply(sent, reply.status, {**metered, **reply.headers})
        except msgspec.DecodeError:
            return Reply(self.error(400), 400)
        except RefusedError as refused:
            return refused.reply

    async def _said(self, _: Request, error: Any) -> Response:
        return self._response(Reply(self.error(error.status_code), error.status_code))

    def _response(self, reply: Reply) -> Response:
        content = (
            reply.body if isinstance(reply.body, bytes) else msgspec.json.encode(reply.body) if reply.body is not None else b""
        )
        headers = {"Content-Type": "application/json;charset=UTF-8", "Date": self.clock(), **reply.headers}
        return Response(content, reply.status, headers)


def _without(body: Any, names: frozenset[str]) -> Any:
    """A reply without some fields, on whatever level."""
    if isinstance(body, bytes):
        return _without(msgspec.json.decode(body), names) if body[:1] in (b"{", b"[") else body
    if isinstance(body, dict):
        return {name: _without(value, names) for name, value in body.items() if name not in names}
    return [_without(each, names) for each in body] if isinstance(body, list) else body


def _reply(response: Response) -> Reply:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Reply(bytes(response.body), response.status_code, headers)


def _fault(kind: Kind, plan: FaultPlan, page: Reply | None) -> Fault:
    proxys = {"Content-Type": "text/html"}
    if page:
        return Fault("answer", reply=page)
    return {
        "429": Fault("answer", reply=Reply(None, 429, {"Retry-After": str(plan.retry_after)})),
        "500": Fault("answer", reply=Reply(None, 500)),
        "502": Fault("answer", reply=Reply(PROXY_PAGE, 502, proxys)),
        "not JSON": Fault("answer", reply=Reply(PROXY_PAGE, 200, proxys)),
        "reset": Fault("cut"),
        "cut off": Fault("truncate"),
        "stall": Fault("stall", seconds=plan.stall),
        "too large": Fault("flood", size=plan.large),
    }[kind]


async def _break_off(response: Response, scope: Scope, receive: Any, send: Any, *, keep: bool) -> None:
    """Closes the connection, after half of the body if `keep`."""
    if keep:
        body = bytes(response.body)
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        scope[TRANSPORT].close()
    else:
        scope[TRANSPORT].abort()
    await receive()  # until the connection is gone, so that uvicorn does not miss an answer


async def _until_gone(receive: Any, seconds: float) -> None:
    """Waits so long, or until the client has hung up."""
    with suppress(TimeoutError):
        await asyncio.wait_for(receive(), seconds)


async def _flood(send: Any, size: int) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    for _ in range(size >> 20):
        await send({"type": "http.response.body", "body": b" " * (1 << 20), "more_body": True})
    await send({"type": "http.response.body", "body": b"{}"})
