"""A fleet model is a table that checks itself."""

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.one_class_svm import rbf_models
from batch_scoring.detection.model import METADATA_KEY, FleetInfo, FleetModel
from tests.factories import make_model


def test_models_are_sorted_by_device():
    model = make_model(["b", "a", "Ünï/7"], features=("mean", "std"))
    assert model.devices.to_pylist() == ["a", "b", "Ünï/7"]


def test_the_arrays_are_those_of_the_rows():
    model = make_model(["a", "b"], features=("mean", "std"))
    arrays = rbf_models(model.rows)
    assert arrays.mean.shape == arrays.scale.shape == arrays.support_vectors.shape == (2, 2)
    assert arrays.sv_offsets.tolist() == [0, 1, 2]


def test_a_part_of_the_fleet_has_the_arrays_of_its_rows():
    both, model = make_model(["a", "b"]), make_model(["b"])
    moved = both.replace(make_model(["b"], threshold=-0.3)).select(["b", "unknown"])
    assert moved.devices.to_pylist() == ["b"]
    np.testing.assert_array_equal(
        rbf_models(moved.rows).support_vectors, rbf_models(model.rows).support_vectors
    )
    sliced = FleetModel(both.table.slice(1), both.info)
    np.testing.assert_array_equal(rbf_models(sliced.rows).sv_offsets, [0, 1])


def test_replacing_devices_leaves_the_other_rows_as_they_were():
    old = make_model(["a", "b", "c"])
    new = old.replace(make_model(["b", "d"], threshold=-0.25))
    assert new.table["threshold"].to_pylist() == [0, -0.25, 0, -0.25]
    assert new.table.filter(pa.array([True, False, True, False])).equals(old.select(["a", "c"]).table)


@pytest.mark.parametrize("newer", [make_model(["a"], sensor="other"), make_model(["a"], features=("std",))])
def test_models_of_another_kind_cannot_join(newer):
    with pytest.raises(InputError, match="sensor 's': models with"):
        make_model(["a"]).replace(newer)


def test_a_device_is_there_once():
    with pytest.raises(InputError, match="not sorted or not unique"):
        make_model(["a", "a"])


def test_arrays_that_do_not_fit_are_found_by_device():
    table = make_model(["a", "b"], features=("mean", "std")).table
    with pytest.raises(InputError, match="mean of device 'a' does not match its 1 features"):
        FleetModel.build(table, FleetInfo("s", ("mean",), 300.0, {}))


def test_other_tables_are_no_fleet_models():
    model = make_model(["a"])
    with pytest.raises(InputError, match="not a fleet model"):
        FleetInfo.of_schema(model.table.schema.with_metadata(None))
    with pytest.raises(InputError, match="columns are"):
        FleetModel(model.table.drop_columns(["nu"]), model.info).checked()


def test_a_newer_format_is_refused():
    table = make_model(["a"]).table
    text = table.schema.metadata[METADATA_KEY].replace(b'"format_version": 4', b'"format_version": 99')
    with pytest.raises(InputError, match="format 99"):
        FleetInfo.of_schema(table.schema.with_metadata({METADATA_KEY: text}))
