"""The pipeline as Kedro runs it, over a catalog of its own."""

from __future__ import annotations

from pathlib import Path

from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.ingestion.summary import no_counts
from batch_scoring.operations.annotations import NOTHING_WRITTEN
from batch_scoring.pipelines.ingest import create_pipeline
from tests.pipelines.ingest.ingestion import AT, Store, row, write_csv


def test_kedro_saves_readings_quarantine_sources_and_counts(tmp_path: Path):
    store = Store(tmp_path / "store")
    source = write_csv(tmp_path / "a.csv", row(0), row(1440, sensor="t"), row(1, value="x"))
    catalog = DataCatalog(
        {
            "raw_readings": RawReadings(str(source)),
            "annotations": MemoryDataset(NOTHING_WRITTEN),
            "readings": store.readings_set,
            "quarantine": store.quarantine_set,
            "sources": store.sources_set,
            "params:ingest": MemoryDataset({}),
            "params:device": MemoryDataset(None),
            "params:sensor": MemoryDataset(None),
            "params:at": MemoryDataset(AT),
        }
    )
    outputs = SequentialRunner().run(create_pipeline(), catalog)
    counts = no_counts(1) | {"rows": 3, "stored": 2, "refused": {"not_a_number": 1}}
    assert outputs["ingest_counts"].load() == counts
    assert [r[2] for r in store.readings()] == ["s", "t"]
    assert store.reasons() == [(4, "not_a_number")]
    assert len(store.sources()) == 1
