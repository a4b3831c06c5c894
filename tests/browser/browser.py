"""A real headless Chromium for tests: found on this machine, driven by Playwright, closed at the end."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
HOW = "apt-get install -y --no-install-recommends chromium fonts-dejavu-core"


def find_chromium() -> str | None:
    """The path of a Chromium: $CHROMIUM, or one of the usual names."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def require_chromium() -> str:
    """The path of a Chromium; without one the test is skipped, on CI (environment CI) it fails."""
    found = find_chromium()
    if found is None:
        missing = f"no Chromium on this machine; `{HOW}` or set CHROMIUM to its path"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return found


@contextmanager
def open_browser() -> Iterator[Any]:
    """A Playwright browser, with a fresh profile that is thrown away."""
    path = require_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(browser: Any, url: str, width: int = 1280, height: int = 900, **context: Any) -> Iterator[Any]:
    """A page that has loaded; ``page.complaints`` lists its errors and ``page.requests`` what it fetched."""
    opened = browser.new_context(viewport={"width": width, "height": height}, **context)
    page = opened.new_page()
    page.complaints, page.requests = [], []
    page.on(
        "console",
        lambda message: message.type in ("error", "warning") and page.complaints.append(message.text),
    )
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    try:
        page.goto(url)
        yield page
    finally:
        opened.close()


def keep_screenshot(page: Any, name: str) -> None:
    """Keep a picture to look at, where $SCREENSHOTS says."""
    folder = os.environ.get("SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")
