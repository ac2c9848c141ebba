"""A real browser, for tests that look at a page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

QUIET = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"


@contextmanager
def opened_page(**how: Any) -> Iterator[Page]:
    """An empty page; `how`: what Playwright may be told of it, such as its viewport."""
    if not (chromium := shutil.which("chromium")):
        pytest.skip("there is no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=QUIET.split())
        page = browser.new_page(**how)
        page.set_default_timeout(30_000)
        yield page
        browser.close()
