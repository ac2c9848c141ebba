"""How fast a vendor is asked, over real HTTP: by what it says is left, by what it bears, by the day's quota and the time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path

import pytest

from connectors.base import SourceError
from connectors.http import Allowance, Gate, Limiter, Patience, Site
from connectors.quota import Quota

Quotas = Callable[[float], Quota]


class Vendor(ThreadingHTTPServer):
    """Answers by a plan: of each request the status and headers to give; notes when each came and how many at once."""

    daemon_threads = True
    delay = 0.0
    bears: int | None = None  # requests at once; more are refused
    used: int | None = None  # requests of the day, which it tells with each reply
    drips = 0.0  # seconds before each of many blanks that come before the reply

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.plan: list[tuple[int, dict[str, str]]] = []
        self.came: list[float] = []
        self.most = self.under_way = 0
        self.refused = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Vendor

    def do_GET(self) -> None:
        vendor = self.server
        with vendor.lock:
            vendor.came.append(time.monotonic())
            vendor.under_way += 1
            vendor.most = max(vendor.most, vendor.under_way)
            too_many = vendor.bears is not None and vendor.under_way > vendor.bears
            vendor.refused += too_many
            status, headers = vendor.plan.pop(0) if vendor.plan else (200, {})
            if vendor.used is not None:
                vendor.used += 1
                headers = {**headers, "X-Used": str(vendor.used)}
        time.sleep(vendor.delay)
        with vendor.lock:
            vendor.under_way -= 1
        body = b"a,b\n1,2\n" if "csv" in headers.get("Content-Type", "") else b"{}"
        self.send_response(429 if too_many else status)
        for name, value in ({"Retry-After": "0"} if too_many else headers).items():
            self.send_header(name, value)
        blanks = 100 if vendor.drips else 0
        self.send_header("Content-Length", str(blanks + len(body)))
        self.end_headers()
        with suppress(OSError):  # given up
            for _ in range(blanks):
                time.sleep(vendor.drips)
                self.wfile.write(b" ")
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    server = Vendor()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    Limiter._all.clear()


def gate(vendor: Vendor, **options: object) -> Gate:
    chosen = {"patience": Patience(tries=5, first_wait=0.01, longest_wait=5, reply=1), **options}
    return Gate(Site("Vendor", vendor.url, "VENDOR_URL", "VENDOR_TOKEN"), **chosen)  # type: ignore[arg-type]


def left(_: str, headers: Mapping[str, str]) -> Allowance | None:
    return Allowance(int(headers["X-Left"]), float(headers["X-Resets"])) if "X-Left" in headers else None


def used(headers: Mapping[str, str]) -> tuple[int, int] | None:
    return (int(headers["X-Used"]), 100) if "X-Used" in headers else None


def test_a_bucket_that_the_vendor_calls_empty_is_left_alone_until_it_is_full_again(vendor: Vendor) -> None:
    vendor.plan = [(200, {"X-Left": "1", "X-Resets": "9"}), (200, {"X-Left": "0", "X-Resets": "0.4"})]
    session = gate(vendor, allowance=left).session()
    for _ in range(3):
        session.get(vendor.url)
    first, second, third = vendor.came
    assert second - first < 0.2
    assert 0.4 <= third - second < 0.8


def test_another_bucket_goes_on_meanwhile(vendor: Vendor) -> None:
    vendor.plan = [(200, {"X-Left": "0", "X-Resets": "3"})]
    session = gate(vendor, allowance=left, bucket=lambda path: path).session()
    session.get(f"{vendor.url}/slow")
    began = time.monotonic()
    session.get(f"{vendor.url}/other")
    assert time.monotonic() - began < 0.5


def test_no_more_are_asked_at_once_than_the_vendor_bears_and_more_again_when_it_does(vendor: Vendor) -> None:
    vendor.bears, vendor.delay = 2, 0.02
    session = gate(vendor).session()
    with ThreadPoolExecutor(8) as pool:
        statuses = [reply.status_code for reply in pool.map(lambda _: session.get(vendor.url), range(40))]
        assert statuses == [200] * 40
        refused, vendor.refused, vendor.most, vendor.bears = vendor.refused, 0, 0, None
        assert refused < 40
        list(pool.map(lambda _: session.get(vendor.url), range(80)))
    assert vendor.most >= 4


@pytest.fixture
def quota(tmp_path: Path) -> Callable[[float], Quota]:
    return partial(quota_in, tmp_path)


def quota_in(folder: Path, share: float) -> Quota:
    return Quota(share, "vendor.daily_share", used, folder)


def test_the_share_of_the_days_quota_is_never_exceeded(vendor: Vendor, quota: Quotas) -> None:
    vendor.plan = [(200, {"X-Used": "77"}), (200, {"X-Used": "78"}), (200, {"X-Used": "80"})]
    session = gate(vendor, quota=quota(0.8)).session()
    for _ in range(3):
        session.get(vendor.url)
    with pytest.raises(SourceError, match=r"80 of 100 requests of the day are used.*vendor\.daily_share") as caught:
        session.get(vendor.url)
    assert caught.value.transient
    assert len(vendor.came) == 3


def test_a_vendor_that_says_nothing_between_is_counted_for(vendor: Vendor, quota: Quotas) -> None:
    vendor.plan = [(200, {"X-Used": "78"})]
    session = gate(vendor, quota=quota(0.8)).session()
    for _ in range(3):
        session.get(vendor.url)
    with pytest.raises(SourceError, match="80 of 100"):
        session.get(vendor.url)
    assert len(vendor.came) == 3


def asked_at_once(asking: Gate, times: int) -> int:
    """How many of so many requests, from eight threads, were let through."""

    def ask(_: int) -> bool:
        with suppress(SourceError):
            return session.get(asking.site.url).ok
        return False

    session = asking.session()
    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(ask, range(times)))


@pytest.mark.parametrize("before", [60, 79])
def test_threads_that_ask_at_once_do_not_exceed_the_share_together(vendor: Vendor, before: int, quota: Quotas) -> None:
    vendor.used, vendor.delay = before, 0.02
    asked_at_once(gate(vendor, quota=quota(0.8)), 60)
    assert 80 - 8 < vendor.used <= 80  # those under way may be counted twice


def test_what_is_used_is_known_to_every_connector_of_the_process(vendor: Vendor, quota: Quotas) -> None:
    vendor.used = 79
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 1) == 1
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 16) == 0
    assert asked_at_once(gate(vendor, quota=quota(0.9)), 1) == 1
    assert vendor.used == 81


def asked_elsewhere(vendor: Vendor, folder: Path, *, processes: int = 1, times: int = 20) -> int:
    """How many requests of other processes were let through, of so many from each."""
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        return sum(pool.map(_asked, *([each] * processes for each in (vendor.url, folder, times))))


def _asked(url: str, folder: Path, times: int) -> int:
    site = Site("Vendor", url, "VENDOR_URL", "VENDOR_TOKEN")
    return asked_at_once(Gate(site, quota=quota_in(folder, 0.8)), times)


def test_processes_that_ask_at_once_do_not_exceed_the_share_together(vendor: Vendor, tmp_path: Path) -> None:
    vendor.used, vendor.delay = 50, 0.02
    assert asked_elsewhere(vendor, tmp_path, processes=3) == vendor.used - 50
    assert 80 - 3 * 8 < vendor.used <= 80


def test_while_the_share_is_known_to_be_used_a_new_process_asks_nothing(vendor: Vendor, tmp_path: Path) -> None:
    vendor.used = 79
    assert asked_elsewhere(vendor, tmp_path) == 1
    assert asked_elsewhere(vendor, tmp_path) == 0
    assert vendor.used == 80


def a_day_passes(folder: Path) -> None:
    (file,) = folder.glob("*.json")
    known = json.loads(file.read_text())
    file.write_text(json.dumps({**known, "told_at": known["told_at"] - 86_401}))


def test_a_day_later_the_vendor_is_asked_again(vendor: Vendor, tmp_path: Path, quota: Quotas) -> None:
    vendor.used = 79
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 4) == 1
    a_day_passes(tmp_path)
    vendor.used = 78
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 8) == 2


def test_a_request_whose_sender_was_killed_stays_counted(vendor: Vendor, tmp_path: Path, quota: Quotas) -> None:
    vendor.used, vendor.delay = 76, 0
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 1) == 1
    vendor.delay = 3
    child = get_context("spawn").Process(target=_asked, args=(vendor.url, tmp_path, 1))
    child.start()
    while vendor.used == 77:
        time.sleep(0.01)
    child.kill()
    child.join()
    vendor.delay, vendor.plan = 0, [(200, {"X-Used": "78"})]  # the vendor counts late
    vendor.used = None
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 1) == 1
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 8) == 1  # 77 and the child's, 78 and perhaps the child's
    assert len(vendor.came) == 4


def test_what_is_known_can_be_damaged_without_harm(vendor: Vendor, tmp_path: Path, quota: Quotas) -> None:
    vendor.used = 10
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 1) == 1
    (file,) = tmp_path.glob("*.json")
    for damage in ("", "{", "[]", '{"used": 1, "other": 2}'):
        file.write_text(damage)
        assert asked_at_once(gate(vendor, quota=quota(0.8)), 1) == 1


def test_a_process_that_begins_when_the_share_is_used_asks_once_and_alone(vendor: Vendor, quota: Quotas) -> None:
    vendor.used, vendor.delay = 95, 0.05
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 16) == 1
    assert vendor.used == 96


def test_who_tells_no_quota_is_asked_at_once_by_all_after_the_first(vendor: Vendor, quota: Quotas) -> None:
    vendor.delay = 0.1
    assert asked_at_once(gate(vendor, quota=quota(0.8)), 24) == 24
    assert vendor.most > 4


def test_after_the_deadline_nothing_is_asked_and_no_wait_outlasts_it(vendor: Vendor) -> None:
    vendor.plan = [(200, {"X-Left": "0", "X-Resets": "4"})]
    asking = gate(vendor, allowance=left)
    session = asking.session()
    session.get(vendor.url)
    began = time.monotonic()
    asking.deadline = began + 0.3
    with pytest.raises(SourceError, match="time for this read is over"):
        session.get(vendor.url)
    assert 0.3 <= time.monotonic() - began < 1
    assert len(vendor.came) == 1


def test_a_wait_that_the_limits_tell_is_bounded_as_one_that_is_asked_for(vendor: Vendor) -> None:
    vendor.plan = [(200, {"X-Left": "0", "X-Resets": "86400"})]
    session = gate(vendor, allowance=left).session()
    session.get(vendor.url)
    began = time.monotonic()
    with pytest.raises(SourceError, match="asks to wait 86400 s"):
        session.get(vendor.url)
    assert time.monotonic() - began < 1
    assert len(vendor.came) == 1


@pytest.mark.parametrize("bound", ["the reply's", "the read's"])
def test_a_reply_that_comes_a_byte_now_and_then_is_given_up(vendor: Vendor, bound: str) -> None:
    vendor.drips = 0.05
    asking = gate(vendor, patience=Patience(tries=1, reply=2, whole=0.3 if bound == "the reply's" else 60))
    began = time.monotonic()
    asking.stop_at(began + (60 if bound == "the reply's" else 0.3))
    with pytest.raises(SourceError, match="no reply in time"):
        asking.session().get(vendor.url)
    assert time.monotonic() - began < 1


def test_a_host_that_could_not_be_reached_is_tried_once_from_then_on(vendor: Vendor) -> None:
    asking = gate(vendor)
    session = asking.session()
    vendor.shutdown()
    vendor.server_close()
    tries = []
    for _ in range(3):
        before = asking.requests
        with pytest.raises(SourceError, match="cannot be reached"):
            session.get(vendor.url)
        tries.append(asking.requests - before)
    assert tries == [5, 1, 1]


def test_a_reply_that_stalls_is_given_up_and_tried_again(vendor: Vendor) -> None:
    vendor.delay = 3
    asking = gate(vendor)
    threading.Timer(0.5, lambda: setattr(vendor, "delay", 0)).start()
    began = time.monotonic()
    assert asking.session().get(vendor.url).status_code == 200
    assert time.monotonic() - began < 2.5
    assert asking.requests == 2


@pytest.mark.parametrize("accept", [("json",), ("json", "csv")])
def test_csv_passes_where_it_is_expected_only(vendor: Vendor, accept: tuple[str, ...]) -> None:
    vendor.plan = [(200, {"Content-Type": "text/csv"})] * 5
    session = gate(vendor, accept=accept).session()
    if "csv" in accept:
        assert session.get(vendor.url).content == b"a,b\n1,2\n"
    else:
        with pytest.raises(SourceError, match=r"a reply of text/csv.*should be JSON"):
            session.get(vendor.url)
