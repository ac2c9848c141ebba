"""How days of the company's life pass: each vendor's events come at their moments, then its nightly machinery runs.

Here belongs when things happen. Not here: what happens, which stands beside it, one file per department.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from connectors.sandbox import story_product, story_sales, story_support, story_usage

if TYPE_CHECKING:
    from connectors.sandbox.world import World

_STORIES = (story_support, story_product, story_sales)
# What shows tonight must have happened over a minute ago.
_NIGHTLY = (story_support.overnight, story_product.overnight, story_usage.overnight)


def advance(world: World, days: int) -> None:
    """Each day's events come at their own moments of it, spread evenly over the days by their rates."""
    for _ in range(days):
        midnight = world.now
        today = world.number("day", first=0)
        rates = {event: rate for story in _STORIES for event, rate in story.RATES.items()}
        scale = max(1, len(world.accounts) // 60)
        events: list[tuple[float, int, Callable[[World], None]]] = []
        for place, (event, rate) in enumerate(rates.items()):
            phase = place / len(rates)
            times = int(rate * scale * (today + 1) + phase) - int(rate * scale * today + phase)
            events += [(world.random.uniform(600, 80_000), place, event) for _ in range(times)]
        for seconds, _, event in sorted(events, key=lambda entry: entry[:2]):
            world.now = (midnight + timedelta(seconds=seconds)).replace(microsecond=0)
            event(world)
        world.now = midnight + timedelta(days=1)
        for overnight in _NIGHTLY:
            overnight(world)
