"""What the three stand-ins share: the world's clock in every reply, a log of requests, faults on demand, a rate limit.

Here belongs what happens to a request whatever vendor it asks. Not here: any vendor's paths, fields or errors.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import Any, Literal

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

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
    kind: Literal["answer", "cut", "truncate", "run"]
    path: re.Pattern[str]
    times: int
    after: int
    reply: Reply = Reply()
    run: Callable[[], None] | None = None


class Faults:
    """What goes wrong next.

    `path`: regular expression, searched in path and query; `after`: so many matching requests pass first.
    """

    def __init__(self) -> None:
        self._planned: list[Fault] = []

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
        self._planned.append(Fault("answer", re.compile(path), times, after, Reply(body, status, headers or {})))

    def cut(self, path: str = "", *, times: int = 1, after: int = 0) -> None:
        """Closes the connection without a word."""
        self._planned.append(Fault("cut", re.compile(path), times, after))

    def truncate(self, path: str = "", *, times: int = 1, after: int = 0) -> None:
        """Sends half of the true answer, then closes the connection."""
        self._planned.append(Fault("truncate", re.compile(path), times, after))

    def run(self, action: Callable[[], None], path: str = "", *, after: int = 0) -> None:
        """Does something to the world (or to the tokens) just before a matching request is answered."""
        self._planned.append(Fault("run", re.compile(path), 1, after, run=action))

    def clear(self) -> None:
        self._planned.clear()

    def next(self, target: str) -> Fault | None:
        for fault in self._planned:
            if not fault.path.search(target):
                continue
            if fault.after:
                fault.after -= 1
                continue
            fault.times -= 1
            if not fault.times:
                self._planned.remove(fault)
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


class Server(ABC):
    """One vendor's API over the world. `base_url` is set once the port is known."""

    page_size: int | None = None  # lowers the vendor's own page sizes, so that a small world has many pages

    def __init__(self, world: World) -> None:
        self.world = world
        self.base_url = "http://127.0.0.1"
        self.log: list[Entry] = []
        self.faults = Faults()
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
        request = Request(scope, receive)
        body = await request.body()
        if fault is None:
            response = await self._respond(scope, body)
        elif fault.kind == "answer":
            response = self._response(
                Reply(
                    self.error(fault.reply.status) if fault.reply.body is None else fault.reply.body,
                    fault.reply.status,
                    fault.reply.headers,
                )
            )
        else:
            response = await self._respond(scope, body) if fault.kind == "truncate" else Response(status_code=500)
            self.log.append(Entry(scope["method"], target, 0, body))
            await _break_off(response, scope, receive, send, keep=fault.kind == "truncate")
            return
        self.log.append(Entry(scope["method"], target, response.status_code, body))
        await response(scope, receive, send)

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
            return Reply(reply.body, reply.status, {**metered, **reply.headers})
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
