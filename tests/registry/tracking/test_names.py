"""Names that MLflow takes, of sensors that may be called anything."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.registry.tracking.names import plain_name, registered_name, sensor_of

SENSORS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(SENSORS)
def test_a_registered_model_tells_its_sensor_and_has_a_name_that_needs_no_quoting(sensor):
    name = registered_name(sensor)

    assert sensor_of(name) == sensor
    assert name.isascii()
    assert not set(name) & set("/:%@'\"? #&+")
    assert not name.startswith(".")


@given(SENSORS)
def test_a_plain_name_holds_only_what_mlflow_takes_everywhere(sensor):
    assert re.fullmatch(r"[A-Za-z0-9_-]+", plain_name(sensor))
