"""Incidents are a function of the predictions, whatever was there before and however the days came."""

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.core.errors import InputError
from batch_scoring.incidents.joining import UNFINISHED
from batch_scoring.tables.schemas import INCIDENTS
from tests.pipelines.incidents.work import PER_DAY, Work
from tests.predictions import draw_predictions

DAYS = ["s/2026-01-05", "s/2026-01-06", "s/2026-01-07"]
# Cuts of days are cuts of six windows here: an incident goes on over the windows that are not drawn.
OVERNIGHT = {"cool_down": "24h"}


def test_an_incident_is_on_the_day_that_closed_it_and_open_ones_on_the_last(tmp_path):
    work = Work(tmp_path)
    work.draw({"a": ".1......1...", "b": ".....2......", "c": "...........3"})
    assert work.find(tolerated_gap=0, cool_down=0) == DAYS[:2]
    loads = work.incidents.load()
    rows = {key: load().read().select(["device", "state"]).to_pylist() for key, load in loads.items()}
    assert rows == {
        DAYS[0]: [{"device": "a", "state": "closed"}],
        DAYS[1]: [
            {"device": "a", "state": "closed"},
            {"device": "b", "state": "closed"},
            {"device": "c", "state": "open"},
        ],
    }
    assert work.incidents.table().schema.equals(INCIDENTS)
    assert work.unfinished.table().schema.equals(UNFINISHED)


def test_an_incident_over_midnight_is_one_with_one_id(tmp_path):
    work = Work(tmp_path)
    work.draw({"a": "...."})
    work.draw({"a": "....19"})
    work.find(**OVERNIGHT)
    before = work.rows()
    work.draw({"a": "3.1..."}, day=1)
    work.find(**OVERNIGHT)
    assert work.spans() == [("a", 4, 291, "open")]
    after = work.rows()
    assert [row["incident_id"] for row in after] == [row["incident_id"] for row in before]
    assert (after[0]["n_windows"], after[0]["peak_severity"]) == (4, 9.0)


class FooterOnly:
    """A file whose rows cannot be read."""

    def __init__(self, file):
        self.metadata = file.metadata


def test_a_second_run_writes_nothing_and_reads_no_predictions(tmp_path):
    work = Work(tmp_path)
    work.draw({"a": ".1....2....."})
    work.find()
    loads = work.predictions.load()
    work.predictions.load = lambda: {key: lambda load=load: FooterOnly(load()) for key, load in loads.items()}
    assert work.find() == []


def test_a_new_day_reads_itself_and_the_one_before_which_had_what_was_open(tmp_path):
    work = Work(tmp_path)
    work.draw({"a": ".1....2....."})
    work.find()
    work.draw({"a": "..3..."}, day=2)
    loads = work.predictions.load()
    work.predictions.load = lambda: loads | {DAYS[0]: lambda: FooterOnly(loads[DAYS[0]]())}
    assert work.find() == DAYS[1:]


def test_a_late_reading_changes_its_day_and_those_it_reaches(tmp_path):
    work = Work(tmp_path)
    work.draw({"a": "......", "b": "......"})
    work.draw({"a": "......", "b": "......"}, day=1)
    work.draw({"a": "..1...", "b": "......"}, day=2)
    work.find(cool_down=0)
    work.draw({"a": "..5...", "b": "......"})
    assert work.find(cool_down=0) == DAYS[:1]
    work.draw({"a": ".....5", "b": "......"})
    assert work.find(**OVERNIGHT) == DAYS
    assert work.spans() == [("a", 5, 6, "closed"), ("a", 578, 579, "open")]


def test_other_rules_make_all_incidents_anew(tmp_path):
    work = Work(tmp_path)
    work.draw({"a": ".1.1........"})
    work.find(tolerated_gap=1)
    assert len(work.rows()) == 1
    assert work.find(tolerated_gap=0, cool_down=0) == DAYS[:2]
    assert len(work.rows()) == 2


@pytest.mark.parametrize("saved", [0, 1])
def test_a_run_killed_between_its_files_ends_the_same_when_repeated(tmp_path, saved):
    whole, killed = Work(tmp_path / "1"), Work(tmp_path / "2")
    for work in (whole, killed):
        work.draw({"a": ".....1......"})
        work.find()
        work.draw({"a": "...1.9......"})
    killed.find(save=saved)
    for work in (whole, killed):
        work.find()
    assert killed.files() == whole.files()


SERIES = st.text(st.sampled_from("... 19"), min_size=3 * PER_DAY, max_size=3 * PER_DAY)
HISTORY = st.lists(
    st.tuples(st.integers(0, 2), st.dictionaries(st.sampled_from("ab"), SERIES)), min_size=1, max_size=5
)


@pytest.mark.slow
@given(HISTORY, st.sampled_from([{"cool_down": 0}, {"min_windows": 2, **OVERNIGHT}]))
def test_the_files_depend_on_the_predictions_and_not_on_their_history(tmp_path_factory, history, how):
    grown, anew = Work(tmp_path_factory.mktemp("grown")), Work(tmp_path_factory.mktemp("anew"))
    days: dict[int, dict[str, str]] = {}
    for day, series in history:
        days[day] = {device: text[day * PER_DAY : (day + 1) * PER_DAY] for device, text in series.items()}
        grown.draw(days[day] or {"z": " " * PER_DAY}, day=day)
        grown.find(**how)
    for day, series in days.items():
        anew.draw(series or {"z": " " * PER_DAY}, day=day)
    anew.find(**how)
    assert grown.files() == anew.files()
    ids = grown.incidents.table()["incident_id"]
    assert len(ids.unique()) == len(ids)


def test_predictions_of_a_version_without_a_digest_are_always_read(tmp_path):
    work = Work(tmp_path)
    work.predictions.save({DAYS[0]: draw_predictions({"a": ".1...."})})
    assert work.find() == work.find() == DAYS[:1]


def test_a_day_whose_predictions_are_gone_has_no_incidents(tmp_path):
    work = Work(tmp_path)
    work.draw({"a": "..1....1...."})
    work.find(cool_down=0)
    (tmp_path / "p" / f"{DAYS[0]}.parquet").unlink()
    work.find(cool_down=0)
    assert work.spans() == [("a", 289, 290, "closed")]


def test_sensors_are_made_each_by_itself_and_can_be_chosen(tmp_path):
    work = Work(tmp_path)
    for sensor in ("s", "t"):
        work.draw({"a": "1.....", "b": "......"}, sensor)
    assert work.find(sensor="t") == ["t/2026-01-05"]
    assert work.find(device="a") == ["s/2026-01-05"]
    assert [row["sensor"] for row in work.rows()] == ["s", "t"]


def test_ids_that_do_not_exist_are_errors(tmp_path):
    work = Work(tmp_path)
    work.draw({"pump-1": "1....."})
    with pytest.raises(InputError, match="sensor 'u'"):
        work.find(sensor="u")
    with pytest.raises(InputError, match="device 'pump-2' is not among the 1 known; did you mean 'pump-1'"):
        work.find(device="pump-2")


def test_without_predictions_there_are_no_incidents(tmp_path):
    assert Work(tmp_path).find() == []


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"min_windows": 0}, "incidents.min_windows: 0"),
        ({"tolerated_gap": -1}, "incidents.tolerated_gap: -1"),
        ({"notify": {"sinks": [{"type": "pigeon"}]}}, "sink 1 has the type 'pigeon'; known are log, file"),
    ],
)
def test_settings_that_make_no_sense_are_errors(tmp_path, setting, says):
    with pytest.raises(InputError, match=says):
        Work(tmp_path).find(**setting)


def test_the_list_of_devices_is_made_when_incidents_have_changed(tmp_path):
    work = Work(tmp_path)
    for sensor in ("s", "t"):
        work.draw({"a": "1.....", "b": "......"}, sensor)
    work.find()
    assert work.rank()
    assert not work.rank()
    table = pq.read_table(work.ranking)
    assert table.select(["device", "n_sensors", "state"]).to_pylist() == [
        {"device": "a", "n_sensors": 2, "state": "open"}
    ]
    work.draw({"a": "......", "b": "......"}, "t")
    work.find()
    assert work.rank()
    assert pq.read_table(work.ranking)["n_sensors"].to_pylist() == [1]


def test_the_list_has_what_ended_in_the_newest_days(tmp_path):
    work = Work(tmp_path)
    work.draw({"dead": "1", "old": "1.........."})
    work.draw({"recent": "1.........."}, "t", day=1)
    work.draw({"open": "1"}, "u", day=3)
    work.find(cool_down=0)
    for ranked_days, expected in [(3, {"open", "recent"}), (4, {"open", "recent", "dead", "old"})]:
        work.rank(ranked_days=ranked_days)
        assert set(pq.read_table(work.ranking)["device"].to_pylist()) == expected
