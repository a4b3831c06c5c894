"""Feedback is read with its verdicts; another verdict is refused with its place."""

from datetime import UTC, datetime

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.annotations import FeedbackFile
from batch_scoring.evaluation.annotations import read_feedback
from batch_scoring.tables.schemas import FEEDBACK


def test_verdicts_and_notes_are_read(tmp_path):
    path = tmp_path / "feedback.csv"
    path.write_text(
        "device,sensor,start,end,verdict,note\n"
        "a,s,2026-01-05,2026-01-06,false_alarm,\n"
        'b,s,2026-01-05,2026-01-06, True_Event ,"bearing, replaced"\n'
    )
    table = FeedbackFile(str(path)).load()
    assert table.schema == FEEDBACK
    assert table.to_pylist() == [
        {
            "device": device,
            "sensor": "s",
            "start": datetime(2026, 1, 5, tzinfo=UTC),
            "end": datetime(2026, 1, 6, tzinfo=UTC),
            "verdict": verdict,
            "note": note,
        }
        for device, verdict, note in [("a", "false_alarm", None), ("b", "true_event", "bearing, replaced")]
    ]


def test_another_verdict_is_refused(tmp_path):
    path = tmp_path / "feedback.csv"
    path.write_text("device,sensor,start,end,verdict\na,s,2026-01-05,2026-01-06,maybe\n")
    with pytest.raises(InputError, match=r"feedback\.csv: line 2, column 'verdict': 'maybe' is not one of"):
        read_feedback(path)
