"""Records of jobs: the last attempt counts, and nobody fails because two write at once."""

from dataclasses import replace

import pytest

from batch_scoring.core.errors import ConflictError
from batch_scoring.jobs import records as records_module
from batch_scoring.jobs.records import JobRecord, Records
from batch_scoring.jobs.specs import State

RECORD = JobRecord("score-20260105t100000z", "a-1", State.RUNNING, 1)


def test_a_job_that_runs_twice_at_once_does_not_fail_for_its_record(tmp_path, monkeypatch):
    """As between looking and writing the other one's record takes its place."""
    monkeypatch.setattr(records_module, "_PAUSES", (0.0,) * 3)
    records, other = Records(str(tmp_path)), replace(RECORD, attempt=2)
    look, refused = type(records.folder).writing, []

    def writing(folder, name):
        if len(refused) < 2:
            refused.append(name)
            raise ConflictError("another run is writing this file")
        return look(folder, name)

    monkeypatch.setattr(type(records.folder), "writing", writing)
    records.write_record(other)
    assert len(refused) == 2
    assert records.record(RECORD.run, RECORD.name) == other
    refused.clear()
    monkeypatch.setattr(records_module, "_PAUSES", ())
    with pytest.raises(ConflictError):
        records.write_record(RECORD)
