"""What a ledger asks for is found without reading the whole history."""

import pytest

from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.lookup import look_up, recent_incidents
from batch_scoring.storage.row_table import RowTable
from tests.alerts.events import Recorder
from tests.factories import START
from tests.pipelines.incidents.work import Work
from tests.predictions import WINDOW, window_number


def told(work, window, **settings):
    """The ledger after a run at a window."""
    work.notify(lambda _: [Recorder()], (START + window * WINDOW).isoformat(), **settings)
    return work.told()


def read(work, ledger, since, monkeypatch):
    """First windows of the incidents found, and how many files were opened for it."""
    opened, opens = [], RowTable.open
    monkeypatch.setattr(
        RowTable, "open", lambda table, file, *more: opened.append(file) or opens(table, file, *more)
    )
    found = look_up(work.incidents.load(), ledger, START + since * WINDOW)
    monkeypatch.undo()
    return sorted(window_number(row["start"]) for row in found.to_pylist()), len(opened)


@pytest.fixture
def work(tmp_path):
    """An incident of device a is still open, one of device b is over, and both were told."""
    work = Work(tmp_path)
    work.draw({"a": ".....1", "b": "2....."})
    work.find(cool_down=0)
    return work


def test_an_open_incident_of_long_ago_is_found_without_reading_those_that_are_over(work, monkeypatch):
    ledger = told(work, 6)
    work.draw({"b": ".1...."}, day=1)
    work.find(cool_down=0)
    assert len(work.incidents.load().files()) == 3
    assert read(work, Ledger(), 288 * 9, monkeypatch) == ([5], 1)
    assert read(work, Ledger(), 288 + 2, monkeypatch) == ([5, 289], 2)
    # The one that is over is in the ledger still; the other one comes with it.
    assert read(work, ledger, 288 * 9, monkeypatch)[0] == [0, 5, 289]


def test_one_that_closed_long_after_the_run_that_told_it_is_found(work, monkeypatch):
    ledger = told(work, 6)
    work.draw({"a": "......"}, day=1)
    work.find(cool_down=0)
    assert read(work, ledger, 288 * 5, monkeypatch)[0] == [0, 5]


def test_what_lies_in_the_place_of_one_that_is_gone_is_found(work, monkeypatch):
    ledger = told(work, 6)
    work.draw({"a": "...111", "b": "......"})
    work.find(cool_down=0)
    assert read(work, ledger, 288 * 5, monkeypatch)[0] == [3]


def test_what_is_no_incident_yet_is_not_found(work):
    work.find(min_windows=2)
    assert [row["state"] for row in work.rows()] == ["forming"]
    assert recent_incidents(work.incidents.load(), START).num_rows == 0
    assert look_up(work.incidents.load(), Ledger(), START).num_rows == 0
