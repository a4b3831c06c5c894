"""A row of the list leads to the stays that it is about: since when, how long, and what is usual."""

from dataclasses import replace
from functools import partial

import pyarrow as pa
import pytest

from batch_scoring.core.moments import microseconds
from batch_scoring.incidents.devices import roll_up
from batch_scoring.incidents.listed_stays import listed_stays
from batch_scoring.plant.devices import Devices
from batch_scoring.storage.row_table import Change
from batch_scoring.tables.schemas import STAYS
from tests.factories import START
from tests.incidents.test_devices import RULES, incidents
from tests.incidents.test_long_stays import HOUR, gaps_until, put, stay
from tests.plant.test_devices import known
from tests.tables_on_disk import TableOnDisk


@pytest.fixture
def found(tmp_path):
    """Make the list of stays and gaps, and find the stays behind its rows."""

    def make(*rows, gaps, others=(), devices=None):
        devices = devices or Devices()
        stays = pa.Table.from_pylist(list(rows), STAYS)
        table = TableOnDisk(tmp_path / "stays", "start")
        table.save(partial(put, Change(STAYS, [[stays]], {})))
        rules = replace(RULES, devices=devices)
        ranked = roll_up(incidents(*others), gaps, rules, 0, stays=stays)
        return listed_stays(table.load(), ranked, devices), ranked

    return make


def hours(one):
    return [(time - microseconds(START)) / (HOUR.total_seconds() * 1e6) for time in one]


def test_it_is_known_since_when_how_long_and_up_to_when_it_was_usual(found):
    (one,), _ = found(stay(1), gaps=gaps_until(10))
    assert (one.of, one.device, one.sensor, one.is_open) == (0, "a", "s", True)
    assert hours([one.start, one.usual_until, one.end]) == [1, 5, 10]
    assert one.words == "for 9 h, expected up to 4 h"


def test_one_that_is_over_ends_where_the_machine_moved_on(found):
    (one,), _ = found(stay(1, 8), stay(8), gaps=gaps_until(10))
    assert (hours([one.start, one.end]), one.is_open) == ([1, 8], False)


def test_one_that_ended_with_a_silence_ends_there(found):
    (one,), _ = found(stay(1), gaps=gaps_until(30, (9, 11)))
    assert (hours([one.start, one.end]), one.words) == ([1, 9], "for 8 h, expected up to 4 h")


def test_beside_something_worse_it_is_still_there(found):
    worse = ("a", "other", 60, 118, 40.0, "open", 50)
    (one,), ranked = found(stay(1), gaps=gaps_until(10), others=[worse])
    (row,) = ranked.to_pylist()
    assert row["peak_sensor"] == "other"
    assert (one.of, one.sensor, hours([one.start, one.end])) == (0, "s", [1, 10])
    assert one.words == "for 9 h, expected up to 4 h"


def test_stays_that_no_row_is_about_are_none(found):
    assert found(stay(1, 8), stay(8), gaps=gaps_until(9, device="b"))[0] == []
    assert found(stay(6), gaps=gaps_until(10))[0] == []


def test_a_machine_with_another_id_is_found(found):
    devices = Devices(known(("old", None), ("new", "old")))
    gaps = pa.concat_tables([gaps_until(10, device="old"), gaps_until(11, device="new")])
    (one,), _ = found(stay(1, device="old"), gaps=gaps, devices=devices)
    assert (one.device, hours([one.start])) == ("old", [1])
