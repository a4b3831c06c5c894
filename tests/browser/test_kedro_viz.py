"""What a person sees of the project in Kedro-Viz, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from batch_scoring.pipeline_registry import ORDER
from tests.browser.browser import keep_screenshot, open_page, require_chromium
from tests.end_to_end.workspaces import Workspace
from tests.kedro_viz_server import kedro_viz

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("kedro_viz")]

# Kedro-Viz lays its graph out in the browser; on a busy machine that takes a while.
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, whole: Workspace) -> Iterator[str]:
    """Kedro-Viz over a workspace that a real run has made."""
    require_chromium()
    folder = tmp_path_factory.mktemp("kedro_viz")
    workspace = whole.copy_to(folder / "data")
    with kedro_viz(workspace.folder, folder / "server.log") as address:
        yield address


@contextmanager
def flowchart(browser: Any, address: str, query: str = "") -> Iterator[Any]:
    with open_page(browser, f"{address}/{query}", width=1600) as page:
        page.locator(".pipeline-node").first.wait_for(timeout=PATIENCE_MS)
        page.locator(".feature-hints__close").click()  # Kedro-Viz introduces itself first.
        page.get_by_role("button", name="Dismiss").click()
        yield page
        # Its font comes from elsewhere; where there is no network it takes another one.
        own = [url for url in page.requests if not url.startswith((address, "data:", "blob:"))]
        assert all("fonts.googleapis.com" in url for url in own)
        assert [text for text in page.complaints if "ERR_NAME_NOT_RESOLVED" not in text] == []


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page as it opens, which takes seconds: for tests that choose no other pipeline."""
    with flowchart(browser, address) as opened:
        yield opened


def nodes(page: Any) -> set[str]:
    """The names in the drawing, of functions and of datasets."""
    drawn = page.locator(".pipeline-node").all()
    return {node.get_attribute("data-node-fullname") for node in drawn}


def open_node(page: Any, name: str) -> None:
    """Click a node's name in the list, which opens its panel."""
    page.locator(f"[data-test='node-list-tree-item--row--{name}']").first.click()
    page.locator(".pipeline-metadata__title", has_text=name).wait_for(timeout=PATIENCE_MS)


def test_every_pipeline_is_there_to_choose(page):
    page.locator(".pipeline-list .dropdown__label").click()
    keep_screenshot(page, "kedro_viz_pipelines")
    options = page.locator(".pipeline-list").get_by_role("option").all_inner_texts()
    named = ("evaluate", "receive", "publish", "import_windows")
    assert sorted(options) == sorted(["__default__", *ORDER, *named])
    page.locator(".pipeline-list .dropdown__label").click()  # other tests look at this page


def test_the_whole_way_from_readings_to_the_report_is_drawn(page):
    keep_screenshot(page, "kedro_viz_default")
    names = {"simulate_readings", "ingest_readings", "aggregate_windows", "train_models", "score_windows"}
    tables = {"raw_readings", "readings", "windows", "fleet_models", "predictions", "train_status"}
    assert names | tables | {"draw_report", "report"} <= nodes(page)


def test_tables_lie_in_layers_from_the_raw_readings_to_the_report(page):
    drawn = page.locator(".pipeline-layer-name").all_inner_texts()
    assert drawn == ["raw", "readings", "windows", "models", "predictions", "incidents", "report"]


def test_a_chosen_pipeline_is_drawn_alone(browser, address):
    with flowchart(browser, address) as page:
        page.locator(".pipeline-list .dropdown__label").click()
        page.locator(".pipeline-list").get_by_role("option", name="score", exact=True).click()
        page.locator("[data-node-fullname='train_models']").wait_for(state="detached", timeout=PATIENCE_MS)
        page.locator("[data-node-fullname='score_windows']").wait_for(timeout=PATIENCE_MS)
        keep_screenshot(page, "kedro_viz_score")
        assert {"windows", "fleet_models", "predictions", "daily_totals"} <= nodes(page)
        assert "ingest_readings" not in nodes(page)


def test_a_click_on_a_table_shows_its_rows(page):
    open_node(page, "train_status")
    table = page.locator(".pipeline-metadata table")
    table.wait_for(timeout=PATIENCE_MS)
    keep_screenshot(page, "kedro_viz_train_status")
    columns = table.locator("th").all_inner_texts()
    rows = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
    assert {"device", "sensor", "stage", "status", "message"} <= set(columns)
    place = {name: columns.index(name) for name in ("device", "sensor")}
    series = {(row[place["device"]], row[place["sensor"]]) for row in rows if len(row) == len(columns)}
    assert series == {(f"pump-0{i}", sensor) for i in range(1, 5) for sensor in ("temperature", "vibration")}


def test_tables_models_and_the_report_show_what_is_in_them(page):
    for name, cell in (("predictions", "pump-01"), ("fleet_models", "vibration")):
        open_node(page, name)
        page.locator(".pipeline-metadata table td", has_text=cell).first.wait_for(timeout=PATIENCE_MS)
        keep_screenshot(page, f"kedro_viz_{name}")
    open_node(page, "report")
    page.locator(".pipeline-metadata .heatmaplayer").wait_for(timeout=PATIENCE_MS)
    keep_screenshot(page, "kedro_viz_report")
