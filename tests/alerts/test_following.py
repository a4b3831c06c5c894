"""An incident that gets worse, or waits for somebody, is notified again; what people did is heeded."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from batch_scoring.alerts.changes import Pace, Wanted, with_changes
from batch_scoring.alerts.ledger import Ledger
from batch_scoring.alerts.lookup import with_people
from batch_scoring.operations.actions import act
from batch_scoring.operations.silences import revoke, silence
from batch_scoring.tables.arrow_arrays import as_rows
from batch_scoring.tables.schemas import INCIDENT_ACTIONS, SILENCES
from tests.alerts.ledgers import make_incidents
from tests.factories import START
from tests.predictions import WINDOW

HOUR = timedelta(hours=1)
PACE = Pace(escalate_after=4 * HOUR, remind_every=10 * HOUR)
PUMP = next(as_rows(make_incidents(("a", 0, 3, "open"))))


class Shift:
    """One incident of device ``a`` hour by hour, what people do about it, and what the sink is told."""

    def __init__(self, pace: Pace = PACE) -> None:
        self.ledger, self.pace = Ledger(), pace
        self.actions, self.silences = INCIDENT_ACTIONS.empty_table(), SILENCES.empty_table()

    def do(self, hour: float, action: str, verdict: str | None = None) -> None:
        row = act(PUMP, action, "ada", START + hour * HOUR, verdict)
        self.actions = pa.concat_tables([self.actions, row])

    def silence(self, start: float, end: float, **more: str) -> None:
        row = silence("ada", START, START + start * HOUR, START + end * HOUR, **more)
        self.silences = pa.concat_tables([self.silences, row])

    def run(
        self,
        hour: float,
        state: str = "open",
        priority: float = 1,
        wanted: Wanted | None = None,
        flap: int | None = None,
        kind: str = "anomaly",
    ) -> list[str]:
        """Notify; the changes that the sink is told, all of them delivered. A flap begins at a window."""
        rows = make_incidents(("a", 0, 3, state, priority)) if state != "gone" else make_incidents()
        if flap is not None:
            again = {
                "last_start": START + flap * WINDOW,
                "end": START + (flap + 3) * WINDOW,
                "n_incidents": 2,
            }
            rows = pa.Table.from_pylist([{**rows.to_pylist()[0], **again}], rows.schema)
        rows = rows.set_column(1, "kind", pa.array([kind] * rows.num_rows, pa.string()))
        at = START + hour * HOUR
        current = with_people(rows, at, self.actions, self.silences)
        ledger = with_changes(self.ledger, current, at, START, wanted or Wanted(), {"sink": None}, self.pace)
        pending = ledger.pending("sink")
        self.ledger = ledger.delivered(pending)
        return [ledger.table["change"][row].as_py() for row in pending.tolist()]

    def noted(self) -> list[tuple[str, bool]]:
        """The changes in the ledger, and whether each was silenced."""
        return [(row["change"], bool(row["silenced_by"])) for row in self.ledger.table.to_pylist()]


@pytest.fixture
def shift():
    return Shift()


def test_a_level_that_rises_is_told_once_and_one_that_falls_is_not(shift):
    assert [shift.run(n / 10, priority=p) for n, p in enumerate([1, 2, 4, 4, 13, 4])] == [
        ["opened"], [], ["escalated"], [], ["escalated"], [],
    ]  # fmt: skip
    assert shift.run(1, "closed") == ["closed"]


def test_one_that_falls_silent_escalates_once_whatever_its_level(shift):
    kinds = ["anomaly", "device_silent", "device_silent", "anomaly", "sensor_silent"]
    assert [shift.run(n / 10, priority=13, kind=kind) for n, kind in enumerate(kinds)] == [
        ["opened"], ["escalated"], [], [], [],
    ]  # fmt: skip
    assert shift.run(1, "closed", priority=13, kind="sensor_silent") == ["closed"]
    assert Shift().run(0, kind="device_silent") == ["opened"]


def test_what_nobody_acknowledges_is_overdue_once_then_reminded_of(shift):
    told = {hour: shift.run(hour) for hour in range(26)}
    assert {hour: changes for hour, changes in told.items() if changes} == {
        0: ["opened"],
        4: ["overdue"],
        14: ["reminded"],
        24: ["reminded"],
    }


def test_without_a_pace_nobody_is_reminded():
    shift = Shift(Pace())
    assert [shift.run(hour) for hour in (0, 4, 100)] == [["opened"], [], []]


def test_an_acknowledged_one_is_neither_overdue_nor_reminded_of_but_may_escalate(shift):
    shift.run(0)
    shift.do(1, "acknowledge")
    assert [shift.run(hour) for hour in (4, 14, 24)] == [[], [], []]
    assert shift.run(25, priority=7) == ["escalated"]
    shift.do(26, "unacknowledge")
    assert shift.run(40, priority=7) == ["reminded"]
    assert shift.run(41, "closed") == ["closed"]


@pytest.mark.parametrize("verdict", ["false_alarm", "accepted"])
def test_a_verdict_that_settles_it_closes_it_and_taking_it_back_opens_it(shift, verdict):
    shift.run(0)
    shift.do(1, "verdict", verdict)
    assert [shift.run(2), shift.run(30, priority=13), shift.run(31, "closed")] == [["closed"], [], []]
    assert shift.run(32, priority=13) == []
    shift.do(33, "verdict", None)
    assert shift.run(34, priority=13) == ["opened"]


def test_a_flap_after_a_false_alarm_is_told_again(shift):
    shift.run(0)
    shift.do(1, "verdict", "false_alarm")
    assert shift.run(2, "closed") == ["closed"]
    assert shift.run(20, flap=200) == ["opened"]
    assert shift.run(21, "closed", flap=200) == ["closed"]


def test_a_verdict_before_the_first_run_keeps_it_quiet(shift):
    shift.do(-1, "verdict", "false_alarm")
    assert [shift.run(0), shift.run(1, "closed")] == [[], []]


def test_a_silenced_one_is_noted_and_told_when_the_silence_is_over(shift):
    shift.silence(-1, 5, device="a*")
    assert [shift.run(hour) for hour in (0, 4)] == [[], []]
    assert shift.noted() == [("opened", True)]
    assert shift.run(5) == ["opened"]
    # It waits since then.
    assert [shift.run(8), shift.run(9)] == [[], ["overdue"]]
    assert shift.run(10, "closed") == ["closed"]


def test_of_one_that_came_and_went_in_a_silence_nobody_is_told(shift):
    shift.silence(-1, 5)
    assert [shift.run(0), shift.run(6, "closed"), shift.run(7, "closed")] == [[], [], []]
    assert ("closed", True) in shift.noted()


def test_of_one_that_was_withdrawn_in_a_silence_nobody_is_told(shift):
    shift.silence(-1, 5)
    assert [shift.run(0), shift.run(1, "gone")] == [[], []]


def test_one_that_was_told_before_the_silence_is_quiet_until_its_end_and_its_end_is_told(shift):
    shift.run(0)
    shift.silence(1, 30)
    assert [shift.run(hour, priority=13) for hour in (4, 14)] == [[], []]
    assert shift.run(20, "closed") == ["closed"]


def test_worse_in_a_silence_is_told_after_it(shift):
    shift.run(0)
    shift.silence(1, 3)
    assert [shift.run(2, priority=13), shift.run(3, priority=13)] == [[], ["escalated"]]


def test_a_revoked_silence_is_none(shift):
    shift.silence(-1, 5)
    row = revoke(next(as_rows(shift.silences)), "bob", START + HOUR)
    shift.silences = pa.concat_tables([shift.silences, row])
    assert [shift.run(0), shift.run(1)] == [[], ["opened"]]


def test_a_silence_of_others_is_none(shift):
    shift.silence(-1, 5, device="b*")
    assert shift.run(0) == ["opened"]


def test_one_that_grows_to_the_least_level_is_opened_then():
    shift, wanted = Shift(), Wanted("high")
    assert [shift.run(0, priority=5, wanted=wanted), shift.run(1, priority=7, wanted=wanted)] == [
        [],
        ["opened"],
    ]
