"""Metrics for a scraper, behind the same guard as the pages."""

from batch_scoring.server.access import decide_access
from tests.reporting.fleet_factory import fleet_of, prediction_rows
from tests.server.sites import site_of

TOKEN = "0123456789abcdef0123"


def test_metrics_are_sent_as_they_are_to_who_has_the_token():
    with site_of(fleet_of(prediction_rows("a", "flow", [1.0]))) as site:
        with site.client() as client:
            assert client.get("/metrics").status_code == 404
        site.metrics = lambda: b"fleet_series 3\n"
        with site.client(decide_access("0.0.0.0", token=TOKEN)) as client:
            assert client.get("/metrics").status_code == 401
            answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.text == "fleet_series 3\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
