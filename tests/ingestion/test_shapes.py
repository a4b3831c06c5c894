"""A hundred shapes of files: read as they are, or with exactly what `kedro readings inspect` proposes."""

import shlex

import pytest
import yaml
from kedro.io import DatasetError

from batch_scoring.core.run_params import split_params
from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.ingestion.inspection import inspect_files
from batch_scoring.ingestion.inspection.proposal import nested
from batch_scoring.ingestion.inspection.rendering import as_text, as_values, sentence
from batch_scoring.ingestion.inspection.settings_text import params_text, yaml_text
from tests.ingestion.shapes import SHAPES
from tests.pipelines.ingest.ingestion import Store

# Each reads files several times, the last time by the whole way in.
pytestmark = pytest.mark.slow

AT = "2026-06-01T00:00Z"


def named(tries):
    return [pytest.param(shape, id=shape.name) for shape in SHAPES if shape.tries in tries]


def as_stored(readings):
    """Rows as :meth:`Store.readings` returns them, in order."""
    rows = (tuple(row.values()) for row in readings.to_pylist())
    return sorted((f"{time:%Y-%m-%dT%H:%M:%S.%f}", *rest) for time, *rest in rows)


def command_in(text):
    """The parameters of the command that a text shows, as a shell and a run read them."""
    (line,) = (line for line in text.splitlines() if line.startswith("  kedro run"))
    *_, params = shlex.split(line)
    return split_params(None, None, params)


@pytest.mark.parametrize("shape", named([1, 2]))
def test_a_shape_is_read_at_the_first_or_the_second_try(shape, tmp_path):
    place, expected = shape.write(tmp_path / "in")
    found = inspect_files(RawReadings(str(place)).load())
    assert found.is_readable
    assert (as_stored(found.as_is.readings) == expected) == (shape.tries == 1)
    proposed = split_params(None, None, params_text(found.proposal.settings)).get("ingest", {})
    assert (proposed == {}) == (shape.tries == 1)
    store = Store(tmp_path / "store")
    store.ingest(place, at=AT, group=proposed)
    assert sorted(store.readings()) == expected
    assert (yaml.safe_load(yaml_text(nested(found.proposal.settings))) or {}) == proposed
    copied = command_in(as_text(found, str(place)))
    assert copied["readings"] == str(place)
    zone = {"timezone": found.proposal.zone} if found.proposal.zone else {}
    assert copied.get("ingest", {}) == {**proposed, **zone}
    assert as_values(found, str(place))["is_readable"]


@pytest.mark.parametrize("shape", named([0]))
def test_a_shape_that_is_not_read_is_a_sentence(shape, tmp_path):
    place, expected = shape.write(tmp_path / "in")
    try:
        found = inspect_files(RawReadings(str(place)).load())
    except DatasetError as error:
        said = str(error.__cause__)
    else:
        assert not found.is_readable
        said = sentence(found)
    assert expected in said
    assert "\n" not in said
