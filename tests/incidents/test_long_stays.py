"""A machine that stays at a level for too long is an incident of its own."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pyarrow as pa
import pytest

from batch_scoring.core.moments import microseconds
from batch_scoring.incidents.calendar import Calendar
from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.expected import expected_words
from batch_scoring.incidents.ranking import update_ranking
from batch_scoring.incidents.start import UNTIL
from batch_scoring.plant.devices import Devices
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import CALENDAR, GAPS, INCIDENTS, PREDICTIONS, STAYS
from tests.factories import START
from tests.incidents.test_devices import RULES, incidents
from tests.plant.test_devices import known
from tests.predictions import draw_predictions
from tests.tables_on_disk import TableOnDisk

HOUR = timedelta(hours=1)


def gaps_until(hour, *ended, device="a"):
    """The gaps of a sensor that has sent for ten days up to an hour, but between some hours."""
    rows = [
        {"start": START + one * HOUR, "end": START + other * HOUR, "state": "ended"} for one, other in ended
    ]
    rows.append({"start": START + hour * HOUR, "first_start": START - timedelta(days=10), "state": "last"})
    return pa.Table.from_pylist([{"device": device, "sensor": "s"} | row for row in rows], GAPS)


def stay(start, end=None, may_stay=4.0, device="a"):
    return {
        "device": device,
        "sensor": "s",
        "start": START + start * HOUR,
        "end": None if end is None else START + end * HOUR,
        "may_stay": may_stay,
        "state": "last" if end is None else "ended",
    }


def born_at(hour, gaps):
    place = gaps.schema.get_field_index("first_start")
    return gaps.set_column(place, GAPS.field(place), pa.array([START + hour * HOUR], GAPS.field(place).type))


def listed(*stays, gaps, **rules):
    rows = pa.Table.from_pylist(list(stays), STAYS)
    return roll_up(incidents(), gaps, replace(RULES, **rules), 0, stays=rows).to_pylist()


def put(change, _):
    return change


def spans(rows):
    return [((row["start"] - START) / HOUR, (row["end"] - START) / HOUR, row["state"]) for row in rows]


def test_it_begins_when_the_stay_is_longer_than_usual():
    (row,) = listed(stay(1), gaps=gaps_until(10))
    assert spans([row]) == [(5, 10, "open")]
    assert (row["kind"], row["device"], row["sensors"], row["n_windows"]) == ("anomaly", "a", ["s"], 0)
    assert (row["top_feature"], expected_words(row)) == ("stay_hours", "for 9 h, expected up to 4 h")
    assert row["level"] == "medium"
    assert (
        row["advice"] == f"s: stays at one level since {START + HOUR:%Y-%m-%d %H:%M} UTC, usual is up to 4 h"
    )


# The longest tails are longer than a time can hold.
@pytest.mark.parametrize(("now", "may_stay"), [(5, 4.0), (500, float("inf")), (500, 1e10), (500, 1e300)])
def test_a_stay_that_is_usual_is_none(now, may_stay):
    assert listed(stay(1, may_stay=may_stay), gaps=gaps_until(now)) == []


def test_it_is_over_when_the_machine_goes_on():
    rows = listed(stay(1, 8), stay(8), gaps=gaps_until(10))
    assert spans(rows) == [(5, 8, "closed")]


def test_it_keeps_its_id_while_it_lasts():
    first, later = (listed(stay(1), gaps=gaps_until(now)) for now in (6, 30))
    assert first[0]["incident_id"] == later[0]["incident_id"]
    assert first[0]["priority"] < later[0]["priority"]


def test_it_ends_where_the_sensor_is_silent():
    assert listed(stay(1), gaps=gaps_until(30, (4, 6))) == []
    assert spans(listed(stay(1), gaps=gaps_until(30, (9, 11)))) == [(5, 9, "closed")]


def ranked(folder, gaps, *stays, predictions=None, days=100):
    """The list that is made of tables on disk."""
    rows = {
        "incidents": (INCIDENTS, incidents(), {UNTIL: microseconds(START + timedelta(days=days))}),
        "gaps": (GAPS, gaps, {}),
        "stays": (STAYS, pa.Table.from_pylist([*stays], STAYS), {}),
    }
    tables = {name: TableOnDisk(folder / name, "start") for name in (*rows, "ranked")}
    for name, (schema, table, progress) in rows.items():
        tables[name].save(partial(put, Change(schema, [[table]], progress)))
    stored, known, found = (tables[name].load() for name in rows)
    tables["ranked"].save(partial(update_ranking, stored, known, RULES, 30, predictions, None, found))
    return tables["ranked"].rows("start")


@pytest.mark.parametrize("end", [None, 24 * 100 - 1])
def test_a_silence_ended_it_however_long_ago(tmp_path, end):
    assert ranked(tmp_path, gaps_until(24 * 100, (3, 5)), stay(1, end)) == []


def scored(folder, text, models=()):
    """Predictions of the device, a mark a window; by another model from each of some windows on."""
    predictions = TableOnDisk(folder / "predictions", "window_start")
    rows = draw_predictions({"a": text})
    first = [round((time - START) / HOUR * 12) for time in rows["window_start"].to_pylist()]
    versions = [str(sum(place >= one for one in models)) for place in first]
    place = PREDICTIONS.get_field_index("model_version")
    predictions.add(rows.set_column(place, PREDICTIONS.field(place), pa.array(versions)))
    return predictions.load()


# Windows at the level, then at another one; of the turn no window says so.
@pytest.mark.parametrize("end", [None, 12])
@pytest.mark.parametrize(
    ("text", "models", "expected"),
    [
        ("." * 168, (), None),
        # The next model may have no levels: it would never show that the machine moves on.
        ("." * 168, (84,), None),
        ("." * 96 + "h" * 72, (84,), [(5, 8, "closed")]),
        ("." * 168, (96, 120), None),
        # A wild reading is no turn.
        ("." * 100 + "h" + "." * 67, (84,), None),
        ("." * 36 + "h" * 132, (30,), []),
        # Too few windows show where it stays.
        ("." * 168, (20,), []),
        # It turns in a window that is missing, or does not.
        ("." * 95 + " " + "h" * 72, (), [(5, 8, "closed")]),
        ("." * 95 + " " + "." * 72, (), None),
        ("." * 35 + " " + "h" * 132, (), []),
        ("." * 50 + " " + "." * 44 + " " + "h" * 72, (), [(5, 8, "closed")]),
        # Its first window is on the way, or a window stands alone: these show no level.
        ("." * 12 + "h " + "." * 154, (), None),
        ("." * 13 + " h " + "." * 152, (), None),
        # What it does besides is no turn.
        ("." * 20 + "....h..h." * 8 + "..." + " " + "h" * 72, (), None),
    ],
)
def test_it_ends_where_the_machine_is_at_another_level(tmp_path, text, models, expected, end):
    found = ranked(tmp_path, gaps_until(14), stay(1, end), predictions=scored(tmp_path, text, models), days=1)
    is_over = [(5, 12, "closed")] if end else [(5, 14, "open")]
    assert spans(found) == (is_over if expected is None else expected)


def test_what_the_calendar_leaves_out_does_not_count():
    def left_out(start, end):
        row = {"device": "*", "sensor": "*", "start": START + start * HOUR, "end": START + end * HOUR}
        return Calendar(pa.Table.from_pylist([row | {"comment": ""}], CALENDAR))

    assert spans(listed(stay(1), gaps=gaps_until(10), calendar=left_out(2, 5))) == [(8, 10, "open")]
    assert listed(stay(1), gaps=gaps_until(10), calendar=left_out(2, 7)) == []
    assert spans(listed(stay(1), gaps=gaps_until(10), calendar=left_out(6, 9))) == [(5, 10, "open")]


def test_on_many_devices_at_once_it_is_an_event_of_the_fleet():
    names = "abcdef"
    gaps = pa.concat_tables([gaps_until(10, device=name) for name in names])
    (row,) = listed(*(stay(1, device=name) for name in names), gaps=gaps)
    assert (row["kind"], row["n_devices"]) == ("fleet_event", 6)


def test_the_next_id_of_a_machine_ends_the_stay_of_the_former_one():
    devices = Devices(known(("old", None), ("new", "old")))
    gaps = pa.concat_tables([gaps_until(3, device="old"), born_at(3, gaps_until(10, device="new"))])
    assert spans(listed(stay(1, device="old"), gaps=gaps, devices=devices)) == [(5, 10, "open")]
    both = stay(1, device="old"), stay(4, device="new", may_stay=8.0)
    assert listed(*both, gaps=gaps, devices=devices) == []


def test_a_device_that_is_not_known_has_none():
    assert listed(stay(1, device="other"), gaps=gaps_until(10)) == []
