"""The page of `kedro jobs plan` in a browser: nothing is fetched, nothing is cut off, light and dark."""

from datetime import timedelta

import pytest

from batch_scoring.jobs.backends.azure_batch.settings import AzureBatchSettings
from batch_scoring.jobs.costs.choices import Schedule, all_choices
from batch_scoring.jobs.costs.configured import configured_cluster
from batch_scoring.jobs.costs.page import draw_page
from batch_scoring.jobs.costs.settings import CostSettings
from batch_scoring.jobs.settings import JobsParameters
from tests.browser.browser import keep_screenshot, open_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    settings = CostSettings(currency="<EUR>", autoscale_offset=timedelta(0))
    schedule = Schedule((122.0,) * 40, 3600.0, 1200.0)
    pool = AzureBatchSettings(min_nodes=1, max_nodes=8, tasks_per_node=2)
    jobs = JobsParameters(backend="azure_batch", azure_batch=pool, costs=settings)
    configured = configured_cluster(jobs).choice(schedule, settings)
    choices = all_choices(schedule, settings)
    page = draw_page(choices, schedule, settings, "as given", ["Take <this>.", "Not that."], configured)
    path = tmp_path_factory.mktemp("costs") / "costs.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_needs_nothing_and_shows_all(browser, page_file, width, scheme):
    with open_page(browser, page_file.as_uri(), width, color_scheme=scheme) as page:
        assert page.complaints == []
        assert page.requests == [page_file.as_uri()]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator(".mark title").count() > 10
        assert page.locator(".mark .best").count() == 1
        assert page.locator(".mark .own").count() == 1
        assert page.locator(".verdict").all_text_contents() == ["Take <this>.", "Not that."]
        assert page.locator("figure").count() == 4
        assert page.locator("tbody tr").last.locator("th").text_content() == "as configured, 2 cores"
        assert "<EUR> a month" in page.locator("svg[role=img]").first.text_content()
        ink, paper = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        light = sum(map(int, paper[4:-1].split(","))) > sum(map(int, ink[4:-1].split(",")))
        assert light == (scheme == "light")
        keep_screenshot(page, f"costs-{scheme}-{width}")
