"""A server of pages made on the fly, in a process of its own, so that its cost is not in the figures of who reads it.

Here belongs the HTTP of the benchmarks' stand-ins. Not here: what their pages hold.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

ROOT = Path(__file__).parents[2]

Answer = Callable[[str, dict[str, str], bytes], bytes | None]  # path, query, body → JSON; None: there is no such thing


def serve(answer: Callable[[str], Answer], latency: float = 0.0) -> None:
    """Answers until it is ended. `answer` is given the server's own address; `latency`: seconds before each reply."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    _Handler.answer, _Handler.latency = staticmethod(answer(url)), latency
    print(url, flush=True)
    server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    answer: Answer
    latency = 0.0

    def do_GET(self) -> None:
        started = time.monotonic()
        address = urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = self.answer(address.path, dict(parse_qsl(address.query)), sent)
        time.sleep(max(0.0, self.latency - (time.monotonic() - started)))
        self.send_response(200 if body is not None else 404)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body or b"{}")))
        self.end_headers()
        self.wfile.write(body or b"{}")

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(module: str, *arguments: object) -> Iterator[str]:
    """The address of a stand-in of this folder, which ends with the block."""
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
