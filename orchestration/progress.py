"""How far a run is, told to whoever watches it in this process.

Here belongs the one line between the steps that work and the command line that shows it. Not here: how it is drawn,
or Dagster's own events, which the UI shows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int | None], None]  # what is being worked on, and how many rows have arrived, if it has any

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def tell(work: str, rows: int | None = None) -> None:
    listener = _listener.get()
    if listener is not None:
        listener(work, rows)
