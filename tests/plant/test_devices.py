"""A machine keeps model, history and incidents under a new id; what is written wrongly is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from glob import escape
from pathlib import Path

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.detection import model_file
from batch_scoring.detection.stand_ins import models_of_all_ids
from batch_scoring.evaluation.annotations import read_calendar, read_devices
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.devices import roll_up
from batch_scoring.plant.devices import Devices, are_like
from batch_scoring.tables.schemas import DEVICES, GAPS
from batch_scoring.training.windows import Plant, find_windows
from tests.factories import START
from tests.fleet_models import in_file
from tests.fleet_models import make_model as some_models
from tests.incidents.test_devices import RULES, incidents
from tests.predictions import WINDOW, draw_predictions
from tests.scoring.work import Work, at, constant
from tests.training.test_windows import ALL, LATER, read, write_days


def known(*rows):
    """Rows of (id, replaces[, retired[, group]])."""
    names = ("id", "replaces", "retired", "group")
    padded = [dict(zip(names, (*row, None, None)[:4], strict=True)) for row in rows]
    return pa.Table.from_pylist(padded, DEVICES)


def last(*rows):
    """Rows of (device, first window, end of the last window, in windows) of the sensor s."""
    return pa.Table.from_pylist(
        [
            {"device": device, "sensor": "s", "state": "last"}
            | {"start": START + until * WINDOW, "first_start": START + first * WINDOW}
            for device, first, until in rows
        ],
        GAPS,
    )


def rolled(gaps, *rows, devices=()):
    table = roll_up(incidents(*rows), gaps, replace(RULES, devices=Devices(known(*devices))), 0)
    return [(row["kind"], row["device"], row["state"], row["incident_id"]) for row in table.to_pylist()]


def written(folder, text):
    path = Path(folder, "devices.csv")
    path.write_text(text)
    return read_devices(path)


def test_a_chain_of_names_is_one_machine(tmp_path):
    text = "id,replaces,retired,group\nb,a,,presses\nc,b,,\nd,,2026-02-01T00:00Z,\n"
    devices = Devices(written(tmp_path, text))
    assert devices.machines == {"c": ("c", "a", "b")}
    assert devices.former == {"a", "b"}
    assert devices.retired == {"d": round(datetime(2026, 2, 1, tzinfo=UTC).timestamp() * 1e6)}


def test_of_two_that_went_on_for_one_the_one_in_use_is_the_machine():
    devices = Devices(known(("b", "a", START), ("c", "a")))
    assert devices.newest("a") == devices.newest("b") == "c"


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("b,a,,\nb,,,", "line 3, column 'id': 'b' is there twice, first in .*line 2; keep one"),
        ("b,a,,\nc,b,,\na,c,,", "line 4, column 'replaces': 'a' and 'c' replace each other in a circle"),
        ("a,a,,", "line 2, column 'replaces': 'a' and 'a' replace each other in a circle"),
        ("b,a,,\nc,a,,", "line 3, column 'replaces': 'a' is replaced by 'b' already .*line 2"),
        ("b,a,soon,", "line 2, column 'retired': 'soon' is not a valid time"),
        (",a,,", "line 2, column 'id': expected a text"),
    ],
)
def test_what_cannot_be_is_named(tmp_path, lines, says):
    with pytest.raises(InputError, match=says):
        written(tmp_path, f"id,replaces,retired,group\n{lines}\n")


def test_a_column_that_is_not_known_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no column 'retird'; did you mean 'retired'"):
        written(tmp_path, "id,retird\na,\n")


def test_patterns_of_the_calendar_match_other_ids_of_the_machine_and_groups(tmp_path):
    path = tmp_path / "calendar.csv"
    path.write_text("device,start,end\npresses,2026-01-05T00:00Z,2026-01-06T00:00Z\n")
    windows = draw_predictions({"new": ".", "old": ".", "other": "."})
    calendar = Calendar(read_calendar(path), Devices(known(("new", "old", None, "presses"))))
    assert calendar.mask(windows).tolist() == [True, True, False]


def test_a_unit_in_brackets_is_a_part_of_the_name():
    machines = Devices(known(("pump [A]", None, None, "hall [1]")))
    names = pa.array(["pump [A]", "pump A"])
    assert are_like(pa.array(["Temp [°C]", "Temp °", "Temp [°C] max"]), "Temp [°C]").tolist() == [
        True,
        True,
        False,
    ]
    assert are_like(pa.array(["Temp [°C]", "Temp [°C] max", "Flow"]), "Temp [°C]*").tolist() == [
        True,
        True,
        False,
    ]
    assert machines.are_like(names, "pump [A]").tolist() == [True, True]
    assert machines.are_like(names, "hall [1]").tolist() == [True, False]
    # What the pages write for an id that is a pattern itself.
    assert are_like(pa.array(["a*", "ab", "[x]"]), escape("a*")).tolist() == [True, False, False]
    assert are_like(pa.array(["[x]", "x"]), escape("[x]")).tolist() == [True, False]


def test_a_new_name_is_scored_by_the_model_of_the_old_one_once_it_is_known(tmp_path):
    work = Work(tmp_path)
    work.train("ab")
    work.put(constant(1.0, "abz", range(2)))
    work.score(at(2))
    assert work.statuses()["s", "z", 0] == {"no_model"}
    rows = work.rows()
    assert not [key for key in rows if key[1] == "z"]
    work.devices = known(("z", "b"))
    work.score(at(2))
    found = work.rows()
    assert {key: found[key] for key in rows} == rows
    assert found["s", "z", 0]["score"] == rows["s", "b", 0]["score"]
    assert work.statuses()["s", "z", 0] == {"ok"}


@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_models_of_a_machine_stand_in_for_each_other(tmp_path, parts, monkeypatch):
    monkeypatch.setattr(model_file, "ROW_GROUP_DEVICES", -(-4 // parts))
    models = in_file(some_models(devices=["b", "d", "f", "h"]))
    devices = Devices(known(("a", "f"), ("g", "a"), ("z", "b"), ("h", "d"), ("x", "y")))
    rows = pa.concat_tables(models_of_all_ids(models, devices))
    own = {row["device"]: row for row in pa.concat_tables(models.batches()).to_pylist()}
    found = {row["device"]: row for row in rows.to_pylist()}
    assert rows["device"].to_pylist() == ["a", "b", "d", "f", "g", "h", "z"]
    assert found == own | {
        name: own[of] | {"device": name} for name, of in [("a", "f"), ("g", "f"), ("z", "b")]
    }


def test_neither_an_old_name_nor_a_retired_device_is_missing(tmp_path):
    work = Work(tmp_path)
    work.train("abcd")
    work.devices = known(("z", "b"), ("c", None, START))
    work.put(constant(1.0, "az", range(2)))
    work.score(at(2))
    assert work.statuses() == {("s", "a", 0): {"ok"}, ("s", "z", 0): {"ok"}, ("s", "d", 0): {"no_data"}}


def test_the_windows_of_an_old_name_train_the_new_one(tmp_path):
    table = write_days(tmp_path, ["new", "old", "other"], days=2, rows=4)
    devices = Devices(known(("new", "old")))
    found = find_windows("s", table, ALL, LATER, plant=Plant(devices))
    plain = find_windows("s", table, ALL, LATER)
    assert read(found)["device"].to_pylist() == ["new"] * 16 + ["other"] * 8
    assert sorted(read(found)["f1"].to_pylist()) == sorted(read(plain)["f1"].to_pylist())
    assert read(found, frozenset(["new"])).num_rows == 16
    assert found.fingerprint(ALL) != plain.fingerprint(ALL)


def test_an_incident_goes_on_under_the_new_name_with_its_id():
    rows = ("a", "s", 90, 100, 9, "open"), ("b", "s", 100, 104, 9, "open")
    ((kind, device, state, number),) = rolled(
        last(("a", 0, 100), ("b", 100, 104)), *rows, devices=[("b", "a")]
    )
    assert (kind, device, state) == ("anomaly", "b", "open")
    assert ("anomaly", "a", "open", number) in rolled(last(("a", 0, 100), ("b", 100, 104)), *rows)


def test_an_incident_of_the_old_name_is_over_when_the_new_one_is_well():
    gaps = last(("a", 0, 100), ("b", 100, 120))
    assert [row[:3] for row in rolled(gaps, ("a", "s", 90, 100, 9, "open"), devices=[("b", "a")])] == [
        ("anomaly", "b", "closed")
    ]


DAYS = 288


def test_the_old_name_is_not_silent_and_the_new_one_is_when_it_stops():
    gaps = last(("a", 0, 10 * DAYS), ("b", 10 * DAYS, 11 * DAYS), ("z", 0, 11 * DAYS))
    assert [row[:2] for row in rolled(gaps)] == [("device_silent", "a")]
    assert rolled(gaps, devices=[("b", "a")]) == []
    gaps = last(("a", 0, 10 * DAYS), ("b", 10 * DAYS, 11 * DAYS), ("z", 0, 12 * DAYS))
    # By itself it is too young to have shown a rhythm.
    assert [row[:2] for row in rolled(gaps, devices=[("b", "a")])] == [("device_silent", "b")]


def test_a_change_of_names_is_silence_as_long_as_neither_sends():
    gaps = last(("a", 0, 10 * DAYS), ("b", 11 * DAYS, 12 * DAYS), ("z", 0, 12 * DAYS))
    assert [row[:3] for row in rolled(gaps, devices=[("b", "a")])] == [("device_silent", "b", "closed")]


@pytest.mark.parametrize(("day", "state"), [(10, None), (11, "closed"), (13, "open")])
def test_a_retired_device_is_silent_until_then(day, state):
    gaps = last(("a", 0, 10 * DAYS), ("z", 0, 12 * DAYS))
    found = rolled(gaps, devices=[("a", None, START + timedelta(days=day))])
    assert [row[:3] for row in found] == ([("device_silent", "a", state)] if state else [])


def test_retired_devices_do_not_make_the_source_silent():
    gaps = last(*((name, 0, 5 * DAYS) for name in "abcd"), ("y", 0, 9 * DAYS), ("z", 0, 9 * DAYS))
    assert [row[0] for row in rolled(gaps)] == ["source_silent"]
    gone = [(name, None, START + timedelta(days=5)) for name in "abcd"]
    assert rolled(gaps, devices=gone) == []
