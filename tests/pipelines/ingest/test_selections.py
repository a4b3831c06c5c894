"""A run about some devices or sensors takes theirs, and leaves the others for later."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_scoring.core.errors import InputError
from tests.pipelines.ingest.ingestion import (
    Store,
    row,
    write_csv,
)

pytestmark = pytest.mark.slow


def test_a_selection_takes_its_rows_and_leaves_the_others_for_later(store: Store, tmp_path: Path):
    rows = [
        row(0, "7"),
        row(0, "007"),
        row(0, "7.0"),
        row(0, "7", "t"),
        row(1, "7", value="x"),
        ",7,,",
        "broken",
    ]
    source = write_csv(tmp_path / "a.csv", *rows, row(1, "007", value="x"))
    assert store.ingest(source, device=7)["rows"] == 4
    assert {r[1] for r in store.readings()} == {"7"}
    assert store.ingest(source, device="7")["sources"] == 0
    assert store.ingest(source, device="7", sensor="s")["sources"] == 0
    store.ingest(source, device="007", sensor="s")
    assert {r[1] for r in store.readings()} == {"7", "007"}
    assert store.reasons() == [(6, "not_a_number"), (7, "missing_timestamp"), (9, "not_a_number")]
    store.ingest(source)
    once = Store(tmp_path / "once")
    once.ingest(source)
    assert store.rows() == once.rows()
    assert store.ingest(source, device="007")["sources"] == 0


def test_a_changed_file_is_read_for_all_that_was_ever_taken_of_it(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0, "7"), row(0, "8", value="x"))
    store.ingest(source)
    write_csv(source, row(0, "7"), row(0, "8", value="x"), row(1, "7"))
    store.ingest(source, device="7")
    assert store.reasons() == [(3, "not_a_number")]
    assert len(store.readings()) == 2


def test_an_unknown_id_is_an_error_with_suggestions_and_nothing_is_ingested(store: Store, tmp_path: Path):
    source = write_csv(tmp_path / "a.csv", row(0, "pump-1", "vibration"))
    with pytest.raises(InputError, match="did you mean 'vibration'"):
        store.ingest(source, sensor="vibraton")
    with pytest.raises(InputError, match="did you mean 'pump-1'"):
        store.ingest(source, device="pump-2")
    assert store.files() == {}
    store.ingest(source)
    with pytest.raises(InputError, match="did you mean 'vibration'"):
        store.ingest(source, sensor="vibraton")
    with pytest.raises(InputError, match="did you mean 'pump-1'"):
        store.ingest(source, device="pump-2")


def test_an_id_is_known_from_earlier_runs_and_from_the_quarantine(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "1.csv", row(0, "old"), row(0, "broken", "t", "x")))
    source = write_csv(tmp_path / "2.csv", row(0, "new"))
    assert store.ingest(source, device=["old"])["stored"] == 0
    assert store.ingest(source, device=["broken"], sensor="t")["stored"] == 0
    assert store.ingest(source, device=["new"], sensor="t")["stored"] == 0
    assert store.ingest(source, device=["new"])["stored"] == 1
