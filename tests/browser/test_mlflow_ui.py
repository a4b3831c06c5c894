"""What a person sees of the fleet models in MLflow's own pages, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from batch_scoring.datasets.fleet_models import TrackedFleetModels
from batch_scoring.registry.tracking import log_service
from batch_scoring.registry.tracking.names import registered_name
from tests.browser.browser import keep_screenshot, open_page
from tests.fleet_models import make_training
from tests.mlflow_server import mlflow_server
from tests.mlflow_stores import put_database
from tests.registry.tracking.test_registration import DATA
from tests.registry.tracking.test_service import days

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.xdist_group("mlflow_ui")]

# MLflow's pages show themselves in pieces on a busy machine.
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, new_database: Path) -> Iterator[tuple[str, str]]:
    """A server over two versions of two sensors, one of them in service: its address, and its last run."""
    folder = tmp_path_factory.mktemp("mlflow_ui")
    put_database(new_database, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        for seed in (0, 1):
            dataset = TrackedFleetModels(str(folder))
            for sensor in ("vibration", "Pumpe №7/Süd"):
                more = {"failed": ["valve 9"], "data": DATA}
                dataset.save({sensor: make_training(sensor, ["pump 7", "fan 3"], seed, **more)})
            dataset.confirm()
    log_service(dataset.store, {}, days(0.1, 0.2, 0.15, sensor="vibration"))
    latest = dataset.load()["vibration"]
    assert latest().version == "2"
    run_id = dataset.store.client.get_model_version_by_alias("vibration", "champion").run_id
    with mlflow_server(folder / "mlflow") as uri:
        yield uri, run_id


def test_the_address_that_make_mlflow_prints_shows_the_runs_of_training(trained, browser):
    uri, _ = trained
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    (page_of_runs,) = re.findall(r"the runs: http://127\.0\.0\.1:5000/(\S+)\"", makefile)
    with open_page(browser, f"{uri}/{page_of_runs}", width=1600) as page:
        page.get_by_role("link", name="train", exact=True).first.wait_for(timeout=PATIENCE_MS)
        keep_screenshot(page, "mlflow_runs")
        assert page.get_by_text("matching runs").count() == 1


def test_a_version_leads_to_its_model_with_parameters_metrics_and_data(trained, browser):
    uri, _ = trained
    with open_page(browser, f"{uri}/#/models/vibration/versions/2", width=1600) as page:
        page.get_by_text("Source Model", exact=True).wait_for(timeout=PATIENCE_MS)
        page.get_by_text("2 models, a device each").wait_for(timeout=PATIENCE_MS)
        keep_screenshot(page, "mlflow_version")
        page.locator("a[href*='/models/m-']").first.click()
        for shown in ("calibration.rate", "vibration/alarms", "windows"):
            page.get_by_text(shown).first.wait_for(timeout=PATIENCE_MS)
        keep_screenshot(page, "mlflow_logged_model")
        assert page.get_by_text("vibration v2").count()


def test_a_version_in_service_has_a_chart_of_its_days(trained, browser):
    uri, _ = trained
    with open_page(browser, f"{uri}/#/experiments/1?workflowType=machine_learning", width=1600) as page:
        page.get_by_role("link", name="vibration v1 in service").first.click(timeout=PATIENCE_MS)
        page.get_by_role("tab", name="Model metrics").click(timeout=PATIENCE_MS)
        page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for(timeout=PATIENCE_MS)
        keep_screenshot(page, "mlflow_in_service")
        assert page.get_by_text("flag_rate").count()


def test_the_models_page_shows_a_model_a_sensor_with_its_champion(trained, browser):
    uri, _ = trained
    with open_page(browser, f"{uri}/#/models", width=1600) as page:
        page.get_by_role("link", name="vibration").first.wait_for(timeout=PATIENCE_MS)
        page.get_by_role("button", name="Try it now").click()  # MLflow advertises itself first.
        page.get_by_role("dialog").wait_for(state="hidden")
        keep_screenshot(page, "mlflow_models")

        row = page.get_by_role("row").filter(has_text="vibration").first
        assert re.search(r"@\s*champion", row.inner_text())
        assert "Version 2" in row.inner_text()
        assert page.get_by_role("link", name="Pumpe~20").count() == 1


def test_a_models_page_shows_its_versions_and_the_champion(trained, browser):
    uri, _ = trained
    name = registered_name("Pumpe №7/Süd")
    with open_page(browser, f"{uri}/#/models/{name}", width=1600) as page:
        page.get_by_text("champion").first.wait_for(timeout=PATIENCE_MS)
        keep_screenshot(page, f"mlflow_versions_{name[:5]}")

        rows = [row.inner_text() for row in page.get_by_role("row").all()]
        newest = next(row for row in rows if "Version 2" in row)
        former = next(row for row in rows if "Version 1" in row)
        assert "champion" in newest
        assert "previous" in former


def test_the_runs_page_shows_the_table_of_the_devices(trained, browser):
    uri, run_id = trained
    with open_page(browser, f"{uri}/#/experiments/1/runs/{run_id}/artifacts", width=1600) as page:
        page.get_by_text("devices", exact=True).first.click(timeout=PATIENCE_MS)
        page.get_by_text("vibration.json").first.click(timeout=PATIENCE_MS)
        page.get_by_text("too_few_windows").first.wait_for(timeout=PATIENCE_MS)
        keep_screenshot(page, "mlflow_devices")

        text = page.inner_text("body")
        for shown in ("pump 7", "fan 3", "valve 9", "train_flag_rate", "n_support_vectors"):
            assert shown in text
