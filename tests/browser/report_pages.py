"""Report pages for tests: of a fleet with hostile names, opened in a browser that notes every complaint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch_scoring.pipelines.report.nodes import draw_page, summarise_run
from tests.browser.browser import open_page
from tests.reporting.fleet_factory import Fleet, gather, make_fleet, status_rows

HOSTILE = (
    "<script>alert(1)</script>",
    "Pumpe №7/Süd",
    "../../etc/x",
    "</script><img src=x onerror=alert(1)>",
    "&lt;b",
)


def write_hostile_page(folder: Path) -> Path:
    """Of many devices, some with names that would like to be markup."""
    fleet = make_fleet(32, 3, names=HOSTILE)
    failed = status_rows(
        ("pump-99", "power", "train", "too_few_readings", 3, 0, "3 windows, but at least 60 are needed"),
        ("pump-98", "power", "train", "bad_features", 300, 0, "std is not finite in 300 windows"),
    )
    fleet.train_status = pa.concat_tables([fleet.train_status, failed])
    return write_page(fleet, folder)


def write_page(fleet: Fleet, folder: Path, **parameters: object) -> Path:
    contents = gather(fleet, **parameters)
    _, text = summarise_run(contents, {})
    path = folder / "report.html"
    path.write_text(draw_page(contents, text, {}), encoding="utf-8")
    return path


@contextmanager
def report(browser: Any, path: Path, **context: Any) -> Iterator[Any]:
    with open_page(browser, path.as_uri(), reduced_motion="reduce", **context) as page:
        yield page
        assert page.complaints == []


def title(page: Any) -> str:
    return page.inner_text("#series-title")
