"""The state of an incident follows from what people did about it."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.operations.actions import act, handled
from batch_scoring.tables.arrow_arrays import as_rows
from batch_scoring.tables.schemas import INCIDENT_ACTIONS
from tests.alerts.ledgers import make_incidents
from tests.factories import START
from tests.predictions import WINDOW

INCIDENTS = make_incidents(("a", 0, 3, "open"), ("b", 0, 3, "open"), ("c", 0, 3, "closed"))
PUMP = next(as_rows(INCIDENTS))


def done(*actions, minute=60):
    """What came of (minute, action[, verdict or text]) on the first incident, by a person a minute."""
    rows = [INCIDENT_ACTIONS.empty_table()]
    for at, action, *more in actions:
        said = {"verdict": more[0]} if action == "verdict" else {"text": more[0] if more else None}
        rows.append(act(PUMP, action, f"p{at}", START + timedelta(minutes=at), **said))
    return list(as_rows(handled(INCIDENTS, pa.concat_tables(rows), START + timedelta(minutes=minute))))


def states(*actions, **more):
    return [row["state"] for row in done(*actions, **more)]


@pytest.mark.parametrize(
    ("actions", "state"),
    [
        ([], "open"),
        ([(1, "comment", "looking")], "open"),
        ([(1, "acknowledge")], "acknowledged"),
        ([(1, "acknowledge"), (2, "unacknowledge")], "open"),
        ([(2, "unacknowledge"), (1, "acknowledge")], "open"),
        ([(1, "unacknowledge"), (2, "acknowledge")], "acknowledged"),
        ([(1, "verdict", "true_event")], "acknowledged"),
        ([(1, "verdict", "false_alarm")], "closed"),
        ([(1, "verdict", "accepted")], "closed"),
        ([(1, "verdict", "accepted"), (2, "verdict", None)], "open"),
        ([(1, "acknowledge"), (2, "verdict", "false_alarm"), (3, "verdict", None)], "acknowledged"),
    ],
)
def test_the_last_action_decides_and_others_are_left_alone(actions, state):
    assert states(*actions) == [state, "open", "closed"]


@pytest.mark.parametrize(
    ("verdict", "state", "kept"),
    [("false_alarm", "open", None), ("true_event", "open", None), ("accepted", "closed", "accepted")],
)
def test_a_verdict_is_about_what_the_person_saw_and_the_next_flap_asks_again(verdict, state, kept):
    said = act(PUMP, "verdict", "ada", START, verdict)
    grown, flapped = make_incidents(("a", 0, 9, "open")), make_incidents(("a", 0, 99, "open"))
    place = flapped.schema.get_field_index("last_start")
    flapped = flapped.set_column(place, flapped.schema.field(place), [[START + 50 * WINDOW]])
    (before,), (after,) = (as_rows(handled(rows, said)) for rows in (grown, flapped))
    assert before["verdict"] == verdict
    assert (after["state"], after["verdict"], after["verdict_by"] is not None) == (state, kept, bool(kept))
    # A verdict on the flap, too, holds of it.
    again = act(next(as_rows(flapped)), "verdict", "bob", START + WINDOW, verdict)
    (row,) = as_rows(handled(flapped, pa.concat_tables([said, again])))
    assert (row["verdict"], row["verdict_by"]) == (verdict, "bob")


def test_an_action_counts_from_its_time_on():
    assert states((5, "acknowledge"), minute=4)[0] == "open"
    assert states((5, "acknowledge"), minute=5)[0] == "acknowledged"


def test_who_and_when_are_known():
    row = done((1, "acknowledge"), (2, "comment", "x"), (3, "verdict", "true_event"), (4, "comment", "y"))[0]
    assert row == {
        "incident_id": "a@0",
        "state": "acknowledged",
        "acknowledged_by": "p1",
        "acknowledged_at": START + timedelta(minutes=1),
        "verdict": "true_event",
        "verdict_by": "p3",
        "verdict_at": START + timedelta(minutes=3),
        "n_comments": 2,
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"action": "close"}, "action 'close' is not valid"),
        ({"action": "verdict", "verdict": "maybe"}, "verdict 'maybe' is not valid"),
        ({"action": "acknowledge", "verdict": "accepted"}, "expected none with 'acknowledge'"),
        ({"action": "comment", "text": " "}, "the comment is empty"),
        ({"action": "comment", "text": "x" * 10_001}, "10001 characters"),
        ({"action": "acknowledge", "who": " "}, "who is not valid"),
    ],
)
def test_an_action_that_is_not_valid_is_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        act(**{"incident": PUMP, "who": "ada", "at": START} | arguments)
