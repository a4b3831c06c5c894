"""What a ledger asks for is found without reading the whole history."""

import pytest

from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.lookup import look_up
from tests.factories import START
from tests.pipelines.incidents.work import Work
from tests.predictions import WINDOW, window_number


def told(work, window, **settings):
    """The ledger after a run at a window."""

    class Deaf:
        name = "deaf"

        def send(self, message):
            pass

        def close(self):
            pass

    work.notify(lambda _: [Deaf()], (START + window * WINDOW).isoformat(), **settings)
    return Ledger(work.told().replace_schema_metadata())


def read(work, ledger, since):
    """First windows of the incidents found, and which days were opened for it."""
    opened = []
    loads = work.incidents.load()
    spied = {key: lambda key=key: opened.append(key[-2:]) or loads[key]() for key in loads}
    found = look_up(spied, ledger, START + since * WINDOW)
    return [window_number(row["start"]) for row in found.to_pylist()], opened


@pytest.fixture
def work(tmp_path):
    """An incident of device a is still open."""
    work = Work(tmp_path)
    work.draw({"a": ".....1"})
    work.find(cool_down=0)
    return work


def test_an_open_incident_of_long_ago_takes_the_last_day_only(work):
    ledger = told(work, 6)
    work.draw({"b": ".1......................"}, day=1)
    work.find(cool_down=0)
    assert read(work, ledger, 288 * 9) == ([5], ["09"])
    assert read(work, Ledger(), 288 + 3) == ([289, 5], ["06", "07", "08", "09"])


def test_one_that_closed_long_after_the_run_that_told_it_is_found(work):
    ledger = told(work, 6)
    work.draw({"a": "........................"}, day=1)
    work.find(cool_down=0)
    starts, opened = read(work, ledger, 288 * 5)
    assert starts == [5]
    assert opened == ["09", "05", "06", "07", "08"]
