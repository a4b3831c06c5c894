"""Models are written and read in parts; what is in the file does not tell of them."""

from __future__ import annotations

import io
import json
import zlib
from itertools import pairwise

import pyarrow as pa
import pyarrow.feather
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.detection.detectors.base import FitParameters
from batch_scoring.detection.former_rows import as_rows
from batch_scoring.detection.model import METADATA_KEY, FleetModel
from batch_scoring.detection.model_file import ROW_GROUP_DEVICES, FleetFile, replace_models, write_models
from tests.detection.detectors.test_preprocessing import FEATURES
from tests.detection.test_fit_version import a_fleet
from tests.factories import fit_fleet
from tests.fleet_models import in_file, make_model


def parted(model: FleetModel, cuts: list[int]) -> list[FleetModel]:
    edges = [0, *sorted(cut % (model.table.num_rows + 1) for cut in cuts), model.table.num_rows]
    return [
        FleetModel(model.table.slice(first, after - first), model.info) for first, after in pairwise(edges)
    ]


def written(model: FleetModel, parts: list[FleetModel]) -> bytes:
    file = io.BytesIO()
    write_models(file, model.info, parts)
    return file.getvalue()


@given(st.sets(st.text(max_size=8), max_size=6), st.lists(st.integers(0, 100), max_size=3), st.integers(0, 9))
def test_models_come_back_as_they_were_and_their_bytes_do_not_tell_the_parts(devices, cuts, seed):
    model = make_model(devices=sorted(d for d in devices if d.isprintable()), seed=seed)
    data = written(model, parted(model, cuts))
    assert data == written(model, [model])
    again = in_file(model)
    assert again.path.read_bytes() == data
    assert again.read().table.equals(model.table)
    assert again.info == model.info
    assert written(model, list(again.parts())) == data


@pytest.mark.slow
def test_a_file_tells_what_it_holds_and_is_read_in_parts():
    n = 3 * ROW_GROUP_DEVICES
    model = make_model(devices=[f"d{i:05}" for i in range(n)])
    file = in_file(model)
    assert (file.info, file.n_models) == (model.info, n)
    assert [part.table.num_rows for part in file.parts()] == [ROW_GROUP_DEVICES] * 3
    assert file.read().table.equals(model.table)
    rows = pa.concat_tables(file.batches(["device", "rho"]))
    assert rows.equals(model.table.select(["device", "rho"]))


@pytest.mark.slow
def test_row_groups_are_of_one_size_however_the_models_came():
    model = make_model(devices=[f"d{i:05}" for i in range(ROW_GROUP_DEVICES + 1)])
    file = pa.ipc.open_file(pa.BufferReader(written(model, parted(model, [5, 900]))))
    assert [file.get_batch(i).num_rows for i in range(file.num_record_batches)] == [ROW_GROUP_DEVICES, 1]


@given(st.sets(st.sampled_from("abcdefgh")), st.sets(st.sampled_from("abcdefgh")))
def test_replaced_models_are_the_newer_ones_and_the_others_keep_their_rows(old, new):
    former, newer = make_model(devices=sorted(old), seed=1), make_model(devices=sorted(new), seed=2)
    both = list(replace_models(in_file(former), in_file(newer)))
    rows = {row["device"]: row for part in both for row in part.table.to_pylist()}
    expected = {row["device"]: row for row in (*former.table.to_pylist(), *newer.table.to_pylist())}
    assert rows == expected
    assert list(rows) == sorted(old | new)


def test_models_over_other_features_cannot_replace():
    with pytest.raises(InputError, match="models with features"):
        list(replace_models(in_file(make_model()), in_file(make_model(features=("mean",)))))


def test_the_same_models_are_told_from_others_whatever_fitted_them():
    model = make_model()
    other_library = FleetModel(model.table, type(model.info)("vibration", model.info.features, 300.0, {}))
    assert in_file(model).same_models(in_file(other_library))
    assert not in_file(model).same_models(in_file(make_model(seed=1)))
    assert not in_file(model).same_models(in_file(make_model(devices=["a"])))


def test_what_is_no_fleet_model_is_told(tmp_path):
    (tmp_path / "text").write_text("no")
    with pytest.raises(InputError, match="not a fleet model"):
        FleetFile(tmp_path / "text")
    pyarrow.feather.write_feather(pa.table({"a": [1]}), tmp_path / "table")
    with pytest.raises(InputError, match="not a fleet model"):
        FleetFile(tmp_path / "table")


@pytest.mark.slow
def test_devices_out_of_order_and_damage_are_told(tmp_path):
    model = make_model(devices=[f"d{i:05}" for i in range(2 * ROW_GROUP_DEVICES)])
    one, other = parted(model, [ROW_GROUP_DEVICES])
    write_models(tmp_path / "f", model.info, [other, one])
    with pytest.raises(InputError, match="not sorted"):
        list(FleetFile(tmp_path / "f").parts())


@given(st.integers(min_value=0), st.integers(1, 255))
def test_a_byte_that_changed_is_told_or_does_not_matter(place, change):
    model = make_model(devices=["a", "b", "c"])
    whole = in_file(model)
    data = bytearray(whole.path.read_bytes())
    data[place % len(data)] ^= change
    whole.path.write_bytes(data)
    try:
        again = FleetFile(whole.path)
        if again.contents_sha256 != whole.contents_sha256:
            return  # the manifest tells
        assert again.read().table.equals(model.table)
    except InputError as error:
        assert str(whole.path) in str(error)


def test_damage_in_one_column_does_not_hide_the_others():
    file = in_file(make_model(devices=["a", "b"]))
    rho = file.read().table["rho"].chunk(0).buffers()[1].to_pybytes()[:16]
    data = file.path.read_bytes()
    assert data.count(rho) == 1
    file.path.write_bytes(data.replace(rho, rho[::-1]))
    damaged = FleetFile(file.path)
    with pytest.raises(InputError, match=r"damaged .*'rho'.*kedro models promote"):
        damaged.read()
    assert [rows["device"].to_pylist() for rows in damaged.batches(["device"])] == [["a", "b"]]


def test_models_of_the_former_format_are_read_as_rows_of_the_former_fit(tmp_path):
    model, _ = fit_fleet(a_fleet(), FEATURES, FitParameters(false_alarm_rate=0.01))
    newer = ("levels", "may_stay", "time_zone", "fit_version")
    names = [name for name in model.table.column_names if name not in newer]
    curves = [curve[:4] for curve in model.table["curve"].to_pylist()]
    rows = model.table.select(names)
    rows = rows.set_column(
        names.index("curve"), rows.schema.field("curve"), pa.array(curves, rows["curve"].type)
    )
    head = json.loads(model.info.to_metadata()[METADATA_KEY]) | {"format_version": 2}
    schema = rows.schema.with_metadata({METADATA_KEY: json.dumps(head).encode()})
    with pa.ipc.new_file(str(tmp_path / "old.arrow"), schema) as writer:
        (batch,) = rows.combine_chunks().to_batches()
        batch = pa.ipc.read_record_batch(batch.serialize(), rows.schema)
        sums = {name: zlib.crc32(b"") for name in names}
        for name in names:
            for buffer in batch[name].buffers():
                sums[name] = sums[name] if buffer is None else zlib.crc32(buffer, sums[name])
        writer.write_batch(batch, custom_metadata={"crc32": json.dumps(sums)})

    former = FleetFile(tmp_path / "old.arrow")

    assert former.info == model.info
    found = former.read().checked().table.select(model.table.column_names).to_pylist()
    assert found == [
        row | {"fit_version": 1, "time_zone": "UTC", "levels": [], "may_stay": [], "curve": [*curve, 0.0]}
        for row, curve in zip(model.table.to_pylist(), curves, strict=True)
    ]
    assert [part["fit_version"].to_pylist() for part in former.batches(["fit_version"])] == [
        [1] * former.n_models
    ]
    # Merged with newer ones they are written in the format of today.
    merged = pa.concat_tables(part.table for part in replace_models(former, in_file(model)))
    assert merged.combine_chunks().equals(model.table)


@pytest.mark.parametrize("name", ["levels", "may_stay"])
def test_models_of_before_there_were_levels_or_stays_are_read_as_models_without(name):
    model, _ = fit_fleet(a_fleet(), FEATURES, FitParameters(false_alarm_rate=0.01))
    found = as_rows(model.table.drop_columns(name), model.table.column_names)
    assert found.schema.names == model.table.schema.names
    assert found.to_pylist() == [row | {name: []} for row in model.table.to_pylist()]
    assert FleetModel(found, model.info).checked().rows.values(name).size == 0
