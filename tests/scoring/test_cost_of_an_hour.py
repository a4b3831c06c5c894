"""A run reads what is new, whatever came before."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from tests.factories import START
from tests.scoring.work import PER_DAY, Work, assert_totals_are_a_count, at, constant

pytestmark = pytest.mark.slow

DAYS = 5


@pytest.fixture
def opened(monkeypatch) -> list[DataFile]:
    """The files of tables that are opened."""
    found: list[DataFile] = []
    plain = RowTable.open

    def noted(table, file, *more):
        found.append(file)
        return plain(table, file, *more)

    monkeypatch.setattr(RowTable, "open", noted)
    return found


@pytest.fixture
def work(tmp_path):
    """Days of windows of three sensors, scored; one sensor and one device have no model."""
    work = Work(tmp_path)
    for day in range(DAYS):
        work.put(constant(0.0, "abc", range(day * PER_DAY, (day + 1) * PER_DAY), "stu"))
    for sensor in "st":
        work.train("ab", sensor)
    work.score(max_failed_share=1)
    for sensor in "st":
        work.score(sensor=sensor, shard="1/1")
    return work


def days(files: list[DataFile]) -> set[date]:
    return {file.day for file in files if file.day is not None}


@pytest.mark.parametrize("asked", [{}, {"sensor": "s"}, {"sensor": "s", "shard": "1/1"}])
def test_a_new_window_opens_no_file_of_earlier_days(work, opened, asked):
    work.put(constant(0.0, "abc", [DAYS * PER_DAY], "stu"))
    opened.clear()
    work.score(max_failed_share=1, **asked)
    assert days(opened) == {(START + timedelta(days=DAYS)).date()}
    assert_totals_are_a_count(work)
    opened.clear()
    work.score(max_failed_share=1, **asked)
    assert not any(file.name.startswith("date=2026-01-05") for file in opened)


def test_a_late_window_opens_files_of_its_day_only(work, opened):
    work.put({("s", "a", 2 * PER_DAY + 1): 3.0})
    opened.clear()
    work.score(max_failed_share=1)
    assert days(opened) == {(START + timedelta(days=2)).date()}
    assert work.rows()["s", "a", 2 * PER_DAY + 1]["is_anomaly"]


def test_windows_that_waited_for_a_model_are_looked_for_since_the_first_of_them(work, opened):
    first = (DAYS - 1) * PER_DAY
    work.put(constant(0.0, "d", range(first, DAYS * PER_DAY), "s"))
    work.train("abc", "s", version="2")
    work.score(max_failed_share=1)
    assert at(first) > at(0)
    opened.clear()
    work.train("abcd", "s", version="3")
    work.score(max_failed_share=1)
    assert days(opened) == {(START + timedelta(days=DAYS - 1)).date()}
    assert ("s", "d", first) in work.rows()


def test_without_news_no_file_is_opened(work, opened):
    opened.clear()
    work.score(max_failed_share=1)
    assert opened == []
