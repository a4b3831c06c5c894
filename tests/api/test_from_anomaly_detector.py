"""The how-to for people of Azure Anomaly Detector does what it says."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.doc_pages import code_blocks, read_page

pytestmark = pytest.mark.slow


def test_the_program_of_the_how_to_answers_a_saved_request(tmp_path, monkeypatch):
    rng, day = np.random.default_rng(4), 24
    steps = np.arange(28 * day)
    values = 20 + 3 * np.sin(steps * 2 * np.pi / day) + rng.normal(0, 0.3, steps.size)
    wrong = [steps.size - 40, steps.size - 9]
    values[wrong] += [8, -8]
    points = [
        {
            "timestamp": f"{datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=n):%Y-%m-%dT%H:%M:%SZ}",
            "value": v,
        }
        for n, v in enumerate(values.round(3).tolist())
    ]
    request = {"series": points, "granularity": "hourly", "maxAnomalyRatio": 0.25, "sensitivity": 95}
    place = tmp_path / "readings" / "pump-1" / "temperature.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(request))
    monkeypatch.chdir(tmp_path)
    (program,) = code_blocks(read_page("how-to/from-anomaly-detector.md"), "python")
    names = {}
    exec(program, names)
    response = names["response"]
    # A window is a point.
    assert response["value"].tolist() == [point["value"] for point in points[-48:]]
    assert ((response["lower"] < response["expected"]) & (response["expected"] < response["upper"])).all()
    outside = (response["value"] < response["lower"]) | (response["value"] > response["upper"])
    assert response["is_anomaly"][outside].all()
    assert [steps.size - 48 + n for n in np.flatnonzero(outside)] == wrong
    assert (response["severity"][outside] > 0).all()
    # The time of day is learned: what is expected is what the hour usually has.
    usual = 20 + 3 * np.sin(steps[-48:] * 2 * np.pi / day)
    assert np.abs(response["expected"] - usual).max() < 0.6
