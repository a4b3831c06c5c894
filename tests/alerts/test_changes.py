"""Each change of an incident is an event once, and what nobody was told is not taken back."""

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_scoring.alerts.changes import Current, Wanted, with_changes
from batch_scoring.alerts.ledger import Ledger
from tests.alerts.ledgers import make_incidents
from tests.factories import START
from tests.predictions import WINDOW

SINKS = ["log", "hook"]
ALL = Wanted()


def changed(ledger, incidents, since, wanted, sinks, at=START):
    """The ledger with the changes of incidents that no person has looked at."""
    current = Current.untouched(incidents)
    return with_changes(ledger, current, at, since, wanted, dict.fromkeys(sinks))


def step(ledger, *rows, since=0, wanted=ALL, sinks=SINKS):
    """The ledger after a run that found these incidents, all of it delivered, and its new events in order."""
    after = changed(ledger, make_incidents(*rows), START + since * WINDOW, wanted, sinks)
    known = set(ledger.table["event_id"].to_pylist())
    new = [row for row in after.table.to_pylist() if row["event_id"] not in known]
    assert {row["sink"] for row in new} <= set(sinks)
    first = [row for row in new if row["sink"] == sinks[0]]
    assert len(new) == len(first) * len(sinks)
    for sink in sinks:
        after = after.delivered(after.pending(sink))
    return after, [
        (row["event_id"], row["change"], *([row["merged_into"]] if row["merged_into"] else []))
        for row in first
    ]


def test_an_incident_is_opened_and_closed_once():
    ledger, new = step(Ledger(), ("a", 0, 1, "open"))
    assert new == [("a@0-1", "opened")]
    ledger, new = step(ledger, ("a", 0, 5, "open"))
    assert new == []
    ledger, new = step(ledger, ("a", 0, 5, "closed"))
    assert new == [("a@0-2", "closed")]
    assert step(ledger, ("a", 0, 5, "closed"))[1] == []


def test_one_that_came_and_went_between_two_runs_is_both():
    _, new = step(Ledger(), ("a", 0, 1, "closed"))
    assert new == [("a@0-1", "opened"), ("a@0-2", "closed")]


def test_an_event_tells_what_the_incident_was_when_it_changed():
    after = changed(Ledger(), make_incidents(("a", 3, 5, "open", 7)), START, ALL, ["log"])
    row = after.table.to_pylist()[0]
    assert (row["device"], row["sensors"], row["end"] - row["start"]) == ("a", ["s"], 2 * WINDOW)
    assert (row["priority"], row["level"], row["n_windows"], row["is_delivered"]) == (7.0, "high", 2, False)


def test_one_that_goes_on_after_it_was_closed_is_opened_again():
    ledger, _ = step(Ledger(), ("a", 0, 1, "closed"))
    ledger, new = step(ledger, ("a", 0, 9, "open"))
    assert new == [("a@0-3", "opened")]
    assert step(ledger, ("a", 0, 9, "closed"))[1] == [("a@0-4", "closed")]


def test_a_flap_that_came_and_went_between_two_runs_is_opened_and_closed_once():
    ledger, _ = step(Ledger(), ("a", 0, 1, "closed"))
    flap = ("a", 0, 9, "closed", 1, 2)
    ledger, new = step(ledger, flap)
    assert new == [("a@0-3", "opened"), ("a@0-4", "closed")]
    assert step(ledger, flap)[1] == []


def test_a_flap_is_counted_on_long_after_the_one_before():
    one, other = ("a", 0, 5, "closed"), ("b", 6, 7, "open")
    ledger, _ = step(Ledger(), one)
    ledger, _ = step(ledger, one, other, since=6)
    ledger, new = step(ledger, ("a", 0, 9, "closed", 1, 2), other, since=6)
    assert new == [("a@0-3", "opened"), ("a@0-4", "closed")]


def test_a_flap_of_long_ago_is_history():
    ledger, _ = step(Ledger(), ("a", 0, 1, "closed"))
    assert step(ledger, ("a", 0, 5, "closed", 1, 2), since=6)[1] == []


@pytest.mark.parametrize(
    "late", [("a", 0, 9, "closed"), ("a", 0, 5, "closed", 1, 2)], ids=["longer", "within"]
)
def test_what_late_readings_add_to_one_that_is_over_is_no_news(late):
    ledger, _ = step(Ledger(), ("a", 0, 5, "closed"))
    ledger, new = step(ledger, late)
    assert new == []
    # Neither once the ledger forgets what ended when it was notified.
    ledger, new = step(ledger, late, ("b", 7, 8, "open"), since=6)
    assert new == [("b@7-1", "opened")]
    assert step(ledger, late, ("b", 7, 8, "open"), since=6)[1] == []


def test_two_that_late_readings_make_one_are_not_opened_again():
    ledger, _ = step(Ledger(), ("a", 0, 1, "closed"), ("a", 5, 9, "closed"))
    ledger, new = step(ledger, ("a", 0, 9, "closed", 1, 3))
    assert new == [("a@5-3", "withdrawn", "a@0")]
    assert step(ledger, ("a", 0, 9, "closed", 1, 3))[1] == []


def test_what_ended_long_ago_is_history_unless_it_was_told():
    _, new = step(Ledger(), ("a", 0, 5, "closed"), ("b", 0, 6, "open"), since=6)
    assert new == [("b@0-1", "opened")]
    ledger, _ = step(Ledger(), ("a", 0, 5, "open"))
    assert step(ledger, ("a", 0, 5, "closed"), since=6)[1] == [("a@0-2", "closed")]


def test_a_mild_one_is_told_when_it_has_become_severe():
    wanted = Wanted("medium")
    ledger, new = step(Ledger(), ("a", 0, 1, "open", 2), wanted=wanted)
    assert new == []
    ledger, new = step(ledger, ("a", 0, 2, "open", 3), wanted=wanted)
    assert new == [("a@0-1", "opened")]
    assert step(ledger, ("a", 0, 2, "closed", 1), wanted=wanted)[1] == [("a@0-2", "closed")]


def test_single_windows_are_told_only_if_asked_for_and_once_they_are_more():
    outlier = make_incidents(("a", 0, 1, "open"))
    outlier = outlier.set_column(1, "kind", pa.array(["outlier"]))
    quiet = changed(Ledger(), outlier, START, ALL, ["log"])
    assert quiet.table.num_rows == 0
    asked = changed(Ledger(), outlier, START, Wanted(outliers=True), ["log"])
    assert asked.table["event_id"].to_pylist() == ["a@0-1"]
    assert step(quiet, ("a", 0, 2, "open"))[1] == [("a@0-1", "opened")]


def test_a_device_that_an_event_of_the_fleet_has_swallowed_is_withdrawn_for_it():
    ledger, _ = step(Ledger(), ("a", 0, 5, "open"))
    fleet = make_incidents(("", 0, 6, "open", 20)).set_column(1, "kind", pa.array(["fleet_event"]))
    after = changed(ledger, fleet, START, ALL, ["log"])
    rows = {row["event_id"]: row for row in after.table.to_pylist() if row["sink"] == "log"}
    assert (rows["a@0-2"]["change"], rows["a@0-2"]["merged_into"]) == ("withdrawn", "@0")
    assert rows["@0-1"]["change"] == "opened"


def test_one_that_late_readings_have_undone_is_withdrawn_once():
    ledger, _ = step(Ledger(), ("a", 0, 1, "closed"), ("b", 0, 1, "open"))
    ledger, new = step(ledger, ("b", 0, 1, "open"))
    assert new == [("a@0-3", "withdrawn")]
    ledger, new = step(ledger, ("b", 0, 1, "open"))
    assert new == []
    assert step(ledger, ("a", 0, 1, "closed"), ("b", 0, 1, "open"))[1] == [
        ("a@0-4", "opened"),
        ("a@0-5", "closed"),
    ]


def test_a_withdrawn_one_names_what_lies_there_now_and_that_is_told_whatever_its_age():
    ledger, _ = step(Ledger(), ("a", 4, 9, "open"), ("b", 4, 9, "open"))
    ledger, new = step(ledger, ("a", 2, 5, "closed"), ("a", 7, 8, "closed"), ("b", 5, 9, "open"), since=20)
    assert new == [
        ("a@2-1", "opened"), ("a@2-2", "closed"),
        ("a@4-2", "withdrawn", "a@2"), ("b@4-2", "withdrawn", "b@5"), ("b@5-1", "opened"),
    ]  # fmt: skip


def test_the_incident_of_another_device_takes_no_place():
    ledger, _ = step(Ledger(), ("a", 0, 9, "open"))
    assert step(ledger, ("b", 1, 9, "open"))[1][0] == ("a@0-2", "withdrawn")


def test_the_ledger_forgets_what_is_over_and_told_when_there_is_something_to_tell():
    ledger, _ = step(Ledger(), ("a", 0, 5, "closed"), ("b", 0, 5, "open"))
    assert len(ledger.table) == 6
    there = [("a", 0, 5, "closed"), ("b", 0, 5, "open")]
    assert step(ledger, *there, since=6)[0].table == ledger.table
    ledger, _ = step(ledger, *there, ("c", 7, 8, "open"), since=6)
    assert set(ledger.table["incident_id"].to_pylist()) == {"a@0", "b@0", "c@7"}
    # The list ends with what is weeks old.
    assert step(ledger, *there[1:], ("c", 7, 8, "open"), since=6)[1] == []
    ledger, new = step(ledger, *there[1:], ("c", 7, 8, "closed"), since=6)
    assert new == [("c@7-2", "closed")]
    assert set(ledger.table["incident_id"].to_pylist()) == {"b@0", "c@7"}


def test_the_ledger_keeps_what_a_sink_still_waits_for():
    there, news = [("a", 0, 5, "closed")], ("b", 7, 8, "open")
    waiting = changed(Ledger(), make_incidents(*there), START, ALL, SINKS)
    waiting = waiting.delivered(waiting.pending("log"))
    later = changed(waiting, make_incidents(*there, news), START + 6 * WINDOW, ALL, SINKS)
    assert (len(later.pending("log")), len(later.pending("hook"))) == (1, 3)
    gone = changed(waiting, make_incidents(*there, news), START + 6 * WINDOW, ALL, ["log"])
    assert gone.table["event_id"].to_pylist() == ["a@0-2", "b@7-1"]


def test_a_new_sink_is_told_what_comes_from_now_on():
    ledger, _ = step(Ledger(), ("a", 0, 5, "open"), sinks=["log"])
    ledger, new = step(ledger, ("a", 0, 5, "closed"), sinks=SINKS)
    assert new == [("a@0-2", "closed")]


ROW = st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from(["open", "closed"]))
RUNS = st.lists(st.lists(ROW, unique_by=lambda row: row[:2], max_size=4), max_size=8)


@pytest.mark.slow
@given(RUNS)
def test_events_lead_from_what_was_told_to_what_is(runs):
    ledger, told = Ledger(), {}
    for run in runs:
        rows = [(device, 10 * start, 10 * start + 5, state) for device, start, state in run]
        ledger, new = step(ledger, *rows)
        for event_id, change, *_ in new:
            incident, number = event_id.split("-")
            states = told.setdefault(incident, ["withdrawn"])
            assert int(number) == len(states)
            assert (states[-1], change) in {
                ("withdrawn", "opened"), ("opened", "closed"), ("closed", "opened"),
                ("opened", "withdrawn"), ("closed", "withdrawn"),
            }  # fmt: skip
            states.append(change)
        words = {"open": "opened", "closed": "closed"}
        there = {f"{device}@{start}": words[state] for device, start, _, state in rows}
        last = {incident: states[-1] for incident, states in told.items()}
        assert {incident: change for incident, change in last.items() if change != "withdrawn"} == there


def test_the_ledger_remembers_since_when():
    ledger, _ = step(Ledger(), ("a", 8, 9, "open"), since=7)
    assert ledger.since - START == 7 * timedelta(minutes=5)


def test_a_young_models_incident_is_told_only_if_asked_for_and_once_it_is_no_longer_young():
    young = make_incidents(("a", 0, 9, "open"))
    young = young.set_column(young.schema.get_field_index("warming_up"), "warming_up", pa.array([True]))
    quiet = changed(Ledger(), young, START, ALL, ["log"])
    assert quiet.table.num_rows == 0
    asked = changed(Ledger(), young, START, Wanted(warming_up=True), ["log"])
    assert asked.table["warming_up"].to_pylist() == [True]
    assert step(quiet, ("a", 0, 12, "open"))[1] == [("a@0-1", "opened")]
