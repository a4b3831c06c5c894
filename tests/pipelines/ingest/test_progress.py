"""A long ingest says how far it is, whatever it waits for."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from batch_scoring.core import progress
from batch_scoring.ingestion import staging
from tests.pipelines.ingest.ingestion import Store, write_csv, write_parquet

ROWS = 300_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_reading_and_storing_are_shown_from_none_to_all(
    store: Store, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    for name, value in (("BEFORE_LOOKS", 0.0), ("BETWEEN_LOOKS", 0.001), ("BETWEEN_LINES", 0.0)):
        monkeypatch.setattr(progress, f"SECONDS_{name}", value)
    monkeypatch.setattr(staging, "_MEGABYTE", 1)
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        time = pa.array(1_767_571_200_000_000 + np.arange(ROWS) * 1_000_000).cast(pa.timestamp("us", "UTC"))
        write_parquet(path, timestamp=time, device=["d"] * ROWS, sensor=["s"] * ROWS, value=np.arange(ROWS))
    else:
        write_csv(path, *(f"{1_767_571_200 + n},d,s,{n}" for n in range(ROWS)))
    with caplog.at_level(logging.INFO):
        assert store.ingest(path)["stored"] == ROWS
    for step, total, unit in (("reading", path.stat().st_size, "MB"), ("storing", ROWS, "readings")):
        lines = [line for line in caplog.messages if line.startswith(f"ingest: {step}:")]
        found = [re.fullmatch(rf"ingest: {step}: ([\d,]+) of ([\d,]+) {unit}", line) for line in lines]
        numbers = [int(one[1].replace(",", "")) for one in found if one]
        assert len(numbers) == len(lines) > 0
        assert numbers == sorted(numbers)
        assert {int(one[2].replace(",", "")) for one in found if one} == {total}
