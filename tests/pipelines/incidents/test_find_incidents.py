"""Incidents follow the predictions, read what is new of them, and rewrite only what has changed."""

from __future__ import annotations

import shutil

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.pipelines.incidents.nodes import rank_devices
from batch_scoring.storage.row_table import RowTable
from batch_scoring.tables.schemas import INCIDENTS
from tests.pipelines.incidents.work import Work

pytestmark = pytest.mark.slow

# Cuts of days are cuts of six windows here: an incident goes on over the windows that are not drawn.
OVERNIGHT = {"cool_down": "24h"}


class Spy:
    """Which files of predictions are opened, and which files of incidents come and go."""

    def __init__(self, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
        self._work, self._opened = work, []
        opens = RowTable.open

        def opened(table, file, *more):
            if "predictions" in table.folder.path():
                self._opened.append(file.day.day)
            return opens(table, file, *more)

        monkeypatch.setattr(RowTable, "open", opened)
        self.new_files()

    def opened(self) -> list[int]:
        """Days of the files of predictions opened since the last call, each once."""
        days, self._opened = sorted(set(self._opened)), []
        return days

    def new_files(self) -> list[tuple[str, int]]:
        """State and rows of the files of incidents that are new since the last call."""
        files = {file.name: file for file in self._work.incidents.load().files()}
        new = [files[name] for name in files.keys() - getattr(self, "_known", set())]
        self._known = files.keys()
        return sorted((file.bounds["state"][0], file.rows) for file in new)


@pytest.fixture
def work(tmp_path):
    return Work(tmp_path)


def test_incidents_are_stored_with_those_that_may_grow_apart(work):
    work.draw({"a": ".1......1...", "b": ".....2......", "c": "...........3"})
    assert work.find(tolerated_gap=0, cool_down=0)
    assert work.spans() == [
        ("a", 1, 2, "closed"), ("a", 290, 291, "closed"), ("b", 5, 6, "closed"), ("c", 293, 294, "open"),
    ]  # fmt: skip
    table = work.incidents.load()
    assert table.schema == INCIDENTS
    assert [file.bounds["state"] for file in table.files()] == [("closed", "closed"), ("open", "open")]


def test_an_incident_over_midnight_is_one_with_one_id(work):
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


def test_a_second_run_commits_nothing_and_reads_no_predictions(work, monkeypatch):
    work.draw({"a": ".1....2....."})
    work.find()
    before, spy = work.files(), Spy(work, monkeypatch)
    assert not work.find()
    assert (spy.opened(), work.files()) == ([], before)


def test_a_new_day_reads_itself_only(work, monkeypatch):
    # Over a day apart: no level between two steps.
    work.draw({"a": ".1......2..."})
    work.find(cool_down=0)
    spy = Spy(work, monkeypatch)
    work.draw({"a": "....3."}, day=2)
    spy.opened()
    work.find(cool_down=0)
    assert spy.opened() == [7]


def test_the_day_of_an_incident_that_is_over_is_read_for_the_hours_around_it(work, monkeypatch):
    work.draw({"a": ".1........2."})
    work.find()
    spy = Spy(work, monkeypatch)
    work.draw({"a": "..3..."}, day=2)
    spy.opened()
    work.find()
    # Of the day before, what was usual at that time.
    assert spy.opened() == [5, 6, 7]


def test_an_hour_without_anomalies_writes_progress_only(work, monkeypatch):
    work.draw({"a": ".1....", "b": ".....1"})
    work.find(cool_down="36h")
    spy = Spy(work, monkeypatch)
    work.draw({"a": "......", "b": "......"}, day=1)
    assert work.find(cool_down="36h")
    assert spy.new_files() == []
    work.draw({"a": "....1.", "b": "......"}, day=2)
    assert work.find(cool_down="36h")
    assert work.spans() == [("a", 1, 2, "closed"), ("a", 580, 581, "open"), ("b", 5, 6, "closed")]


def test_closed_incidents_are_not_written_again(work, monkeypatch):
    work.draw({"a": "1.....1.....1.....1"})
    work.find(cool_down=0)
    spy = Spy(work, monkeypatch)
    work.draw({"a": "......"}, day=4)
    work.find(cool_down=0)
    assert spy.new_files() == [("closed", 1)]
    assert len(work.rows()) == 4


def test_a_late_reading_changes_its_series_from_then_on(work, monkeypatch):
    work.draw({"a": "......", "b": "1....."})
    work.draw({"a": "......", "b": "......"}, day=1)
    work.draw({"a": "..1...", "b": "......"}, day=2)
    work.find(cool_down=0)
    spy = Spy(work, monkeypatch)
    work.draw({"a": "..5...", "b": "1....."})
    work.find(cool_down=0)
    # The incident of the third day is found again as it was.
    assert spy.new_files() == [("closed", 1)]
    assert work.spans() == [("a", 2, 3, "closed"), ("a", 578, 579, "closed"), ("b", 0, 1, "closed")]
    work.draw({"a": ".....5", "b": "1....."})
    work.find(cool_down=0)
    assert work.spans() == [("a", 5, 6, "closed"), ("a", 578, 579, "closed"), ("b", 0, 1, "closed")]


def test_a_device_that_sends_an_hour_late_reads_that_hour_only(work, monkeypatch):
    """Nothing before it matters, whatever was open or over long ago."""
    work.draw({"open": "1.....", "over": "1.....", "prompt": "......"})
    work.draw({"over": "......", "prompt": "............"}, day=1)
    work.find(cool_down=0, tolerated_gap=0)
    spy = Spy(work, monkeypatch)
    work.draw({"open": "......", "over": "1.....", "prompt": "......"}, day=2)
    spy.opened()
    work.find(cool_down=0, tolerated_gap=0)
    assert spy.opened() == [7]
    assert work.spans() == [
        ("open", 0, 1, "closed"), ("over", 0, 1, "closed"), ("over", 576, 577, "closed"),
    ]  # fmt: skip


def test_other_rules_make_all_incidents_anew(work):
    work.draw({"a": ".1.1........"})
    work.find(tolerated_gap=1)
    assert len(work.rows()) == 1
    assert work.find(tolerated_gap=0, cool_down=0)
    assert len(work.rows()) == 2


def test_too_few_anomalous_windows_are_kept_until_they_are_enough(work):
    work.draw({"a": ".....1"})
    work.find(min_windows=2, **OVERNIGHT, tolerated_gap=300)
    assert work.spans() == [("a", 5, 6, "forming")]
    work.draw({"a": "1....."}, day=1)
    work.find(min_windows=2, **OVERNIGHT, tolerated_gap=300)
    assert work.spans() == [("a", 5, 289, "open")]


def test_a_series_whose_predictions_are_gone_has_no_incidents(work):
    work.draw({"a": "..1....1....", "b": "..1....1...."})
    work.find(cool_down=0)
    work.draw({"b": "..1....1...."})
    work.find(cool_down=0)
    assert work.spans() == [("b", 2, 3, "closed"), ("b", 289, 290, "closed")]


def test_a_day_whose_predictions_are_gone_has_no_incidents(work):
    work.draw({"a": "..1....1...."})
    work.find(cool_down=0)
    work.draw({"a": " " * 6})
    work.find(cool_down=0)
    assert work.spans() == [("a", 289, 290, "closed")]


def test_without_the_window_that_closed_it_an_incident_is_open_again(work):
    work.draw({"a": "1     .....1", "b": "1     ......"})
    work.draw({"a": ".....", "b": "....."}, day=2)
    work.find(cool_down=0)
    assert [row["state"] for row in work.rows()] == ["closed"] * 3
    work.draw({"a": "       .....1", "b": " "}, day=1)
    work.draw({"a": ".....", "b": " "}, day=2)
    work.find(cool_down=0)
    assert [(row["device"], row["state"]) for row in work.rows()][-1] == ("b", "open")


def test_sensors_are_joined_together_whatever_is_selected(work):
    for sensor in ("s", "t"):
        work.draw({"a": "1.....", "b": "......"}, sensor)
    assert work.find(sensor="t", device="a")
    assert [row["sensor"] for row in work.rows()] == ["s", "t"]


def test_ids_that_do_not_exist_are_errors(work):
    work.draw({"pump-1": "1....."})
    with pytest.raises(InputError, match="sensor 'u'"):
        work.find(sensor="u")
    with pytest.raises(InputError, match="device 'pump-2' is not among the 1 known; did you mean 'pump-1'"):
        work.find(device="pump-2")


def test_without_predictions_there_are_no_incidents(work):
    assert not work.find()
    assert not work.incidents.load().exists


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"min_windows": 0}, "incidents.min_windows: 0"),
        ({"tolerated_gap": -1}, "incidents.tolerated_gap: -1"),
        ({"notify": {"min_level": "low"}}, "incidents.notify: .* its settings are in `alerts`"),
    ],
)
def test_settings_that_make_no_sense_are_errors(work, setting, says):
    with pytest.raises(InputError, match=says):
        work.find(**setting)


def test_the_list_of_devices_is_made_when_incidents_have_changed(work):
    for sensor in ("s", "t"):
        work.draw({"a": "1.....", "b": "......"}, sensor)
    work.find()
    assert work.rank()
    assert not work.rank()
    assert [(row["device"], row["n_sensors"], row["state"]) for row in work.ranking.rows("device")] == [
        ("a", 2, "open")
    ]
    work.draw({"a": "......", "b": "......"}, "t")
    work.find()
    assert work.rank()
    assert [row["n_sensors"] for row in work.ranking.rows("device")] == [1]


def test_a_run_that_looked_before_the_incidents_were_made_anew_ranks_the_new_ones(work):
    """Made anew in fewer commits than it has seen; another run has ranked them in between."""
    for day in range(3):
        work.draw({"a": "1.....", "b": "......"}, day=day)
        work.find(cool_down=0)
    stale = work.incidents.load()
    assert stale.version > 1  # a table is of the version at which it is first looked at
    work.rank()
    shutil.rmtree(stale.folder.path())
    work.draw({"a": "......", "b": "1....."}, day=3)
    assert work.find(cool_down="96h")
    assert work.rank()
    expected = work.ranking.rows("device")
    assert not work.ranking.save(rank_devices(stale, {"gaps": work.gaps.load()}, {}))
    assert work.ranking.rows("device") == expected


def test_a_list_that_stays_is_not_written_again(work):
    work.draw({"a": "1.....", "b": "......"})
    work.find(**OVERNIGHT)
    work.rank()
    before = [file.name for file in work.ranking.load().files()]
    work.draw({"a": "1.....", "b": "......", "c": "......"})
    assert work.find(**OVERNIGHT)
    work.rank()
    assert [file.name for file in work.ranking.load().files()] == before


def test_what_flaps_longer_than_the_list_reaches_keeps_its_ids_from_day_to_day(work):
    seen: dict[str, list[int]] = {}
    for day in range(12):
        work.draw({"a": "123..."}, day=day)
        work.find(cool_down=0)
        work.rank(ranked_days=4)
        for row in work.ranking.rows("start"):
            seen.setdefault(row["incident_id"], []).append(day)
    # The days lie in four blocks of four days.
    assert len(seen) == 4
    assert all(days == list(range(days[0], days[-1] + 1)) for days in seen.values())


def test_the_list_has_what_ended_in_the_newest_days_and_nothing_that_is_forming(work):
    work.draw({"dead": "1", "old": "1.........."})
    work.draw({"recent": "1.........."}, "t", day=1)
    work.draw({"open": "1"}, "u", day=3)
    work.find(cool_down=0)
    for ranked_days, expected in [(3, {"open", "recent"}), (4, {"open", "recent", "dead", "old"})]:
        work.rank(ranked_days=ranked_days)
        assert {row["device"] for row in work.ranking.rows("device")} == expected
    work.find(cool_down=0, min_windows=2)
    work.rank()
    assert {row["state"] for row in work.rows()} == {"forming"}
    assert work.ranking.rows("device") == []
