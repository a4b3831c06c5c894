"""A trial step by step: what fails ends it, everything is cleaned up, and the report says what happened."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.deploy import smoke
from batch_scoring.deploy.smoke import Outcome, Step, compare, is_well, report_of, try_out


def fail(error=None):
    raise error or InputError("no")


def played(*steps, limit=60.0):
    cleaned = []
    outcomes = try_out(steps, Step("down", lambda: cleaned.append(1) or "gone"), limit, lambda line: None)
    assert cleaned == [1]
    return {one.name: one.state for one in outcomes}, outcomes


def test_every_step_is_taken_and_then_all_is_cleaned_up():
    states, outcomes = played(Step("up", lambda: "here"), Step("hour", lambda: ""))
    assert states == dict.fromkeys(("up", "hour", "down"), "done") and is_well(outcomes)
    assert [one.note for one in outcomes] == ["here", "", "gone"]


@pytest.mark.parametrize("error", [InputError("no"), ValueError("bug"), KeyboardInterrupt()])
def test_after_a_failure_no_step_is_taken_and_all_is_cleaned_up(error):
    states, outcomes = played(Step("up", lambda: fail(error)), Step("hour", lambda: pytest.fail("taken")))
    assert states == {"up": "FAILED", "hour": "left out", "down": "done"}
    assert not is_well(outcomes)


def test_when_the_time_is_up_no_step_begins():
    states, outcomes = played(Step("up", lambda: pytest.fail("taken")), limit=0.0)
    assert states == {"up": "FAILED", "down": "done"} and outcomes[0].note == "the time is up"


def test_a_step_with_patience_is_tried_again(monkeypatch):
    monkeypatch.setattr(smoke, "_PAUSE_SECONDS", 0.001)
    tries = []

    def third_time():
        tries.append(1)
        return "well" if len(tries) == 3 else fail()

    assert played(Step("push", third_time, patience=30.0))[0]["push"] == "done"
    assert played(Step("push", fail, patience=0.01))[0]["push"] == "FAILED"


def test_the_report_has_a_line_a_step_and_hides_the_subscription():
    outcomes = [Outcome("up", "done", 12.3, "in west|europe"), Outcome("down", "FAILED", 1, "of 0815:\nno")]
    text = report_of(outcomes, [("version", "1.0.0")], "0815")
    assert text.startswith("# Smoke test: something failed\n\n- version: 1.0.0\n")
    assert "\n| up | done | 12 | in west\\|europe |\n| down | FAILED | 1 | of …: no |\n" in text


def predictions(*rows):
    start = datetime(2026, 1, 7, tzinfo=UTC)
    names = ("window_start", "device", "sensor", "score", "is_anomaly")
    whole = [(start, device, "temperature", score, flag) for device, score, flag in rows]
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in whole])


MINE = (("pump-1", -1.5, False), ("pump-2", None, None))


def test_the_same_predictions_in_another_order_are_equal():
    assert compare(predictions(*MINE), predictions(*MINE[::-1])).startswith("2 predictions, the largest")
    assert compare(predictions(*MINE), predictions(("pump-1", -1.5 - 1e-12, False), MINE[1]))


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (MINE[:1], "1 of 2 are missing, and 0 are there that the local run does not make"),
        ((*MINE, ("pump-3", 0.0, False)), "0 of 2 are missing, and 1 are there"),
        ((*MINE, MINE[0]), "1 are there twice"),
        (
            (("pump-1", -1.5, True), MINE[1]),
            "of pump-1, temperature at .* the flag True, and in the local run",
        ),
        ((("pump-1", -1.6, False), MINE[1]), r"the score is -1\.6 and"),
        ((("pump-1", None, False), MINE[1]), "the score is None"),
    ],
)
def test_a_difference_is_one_sentence(theirs, said):
    with pytest.raises(InputError, match=f"^predictions: .*{said}"):
        compare(predictions(*MINE), predictions(*theirs))
