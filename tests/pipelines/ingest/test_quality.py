"""Readings whose file says that they are bad are refused where a setting names its column."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.pipelines.ingest.ingestion import (
    Store,
    row,
    write_csv,
    write_json_lines,
    write_lines,
    write_parquet,
)
from tests.pipelines.ingest.test_events import land

pytestmark = pytest.mark.slow

TEXTS = ["Good", "bad", " GOOD ", "", "Uncertain"]
CODES = [192, 0, 192, None, 64]
REFUSED = [1, 3, 4]
QUALITY = {"column": "Quality"}


def record(n: int, **more: Any) -> dict[str, Any]:
    time, device, sensor, value = row(n, value=n).split(",")
    return {"timestamp": time, "device": device, "sensor": sensor, "value": float(value)} | more


def long_csv(path: Path, said: list[Any]) -> Path:
    lines = [f"{row(n, value=n)},{'' if one is None else one}" for n, one in enumerate(said)]
    return write_csv(path / "long.csv", *lines, header="timestamp,device,sensor,value,QUALITY")


def wide_csv(path: Path, said: list[Any]) -> Path:
    lines = [f"2026-01-05T00:0{n}:00Z,d1,{'' if one is None else one},{n}" for n, one in enumerate(said)]
    return write_csv(path / "wide.csv", *lines, header="timestamp,device,quality,s")


def parquet(path: Path, said: list[Any]) -> Path:
    times = [datetime(2026, 1, 5, 0, n, tzinfo=UTC) for n in range(len(said))]
    return write_parquet(
        path / "long.parquet",
        timestamp=pa.array(times, pa.timestamp("us", "UTC")),
        device=["d1"] * len(said),
        sensor=["s"] * len(said),
        value=[float(n) for n in range(len(said))],
        quality=said,
    )


def wide_parquet(path: Path, said: list[Any]) -> Path:
    times = [datetime(2026, 1, 5, tzinfo=UTC) + n * timedelta(minutes=1) for n in range(len(said))]
    return write_parquet(
        path / "wide.parquet",
        timestamp=pa.array(times, pa.timestamp("us", "UTC")),
        device=["d1"] * len(said),
        quality=said,
        s=[float(n) for n in range(len(said))],
    )


def json_lines(path: Path, said: list[Any]) -> Path:
    return write_json_lines(path / "rows.jsonl", *(record(n, quality=one) for n, one in enumerate(said)))


def json_array(path: Path, said: list[Any]) -> Path:
    """With the readings in a list, and what is said of each beside it."""
    items = [record(n, meta={"quality": one}) for n, one in enumerate(said)]
    return write_lines(path / "rows.json", [json.dumps({"readings": items})])


def events(path: Path, said: list[Any]) -> Path:
    return land(path, *(json.dumps(record(n, quality=one)) for n, one in enumerate(said)))


@pytest.mark.parametrize("write", [long_csv, wide_csv, parquet, wide_parquet, json_lines, json_array, events])
@pytest.mark.parametrize("said", [TEXTS, CODES], ids=["texts", "codes"])
def test_only_good_readings_are_stored_and_the_others_kept_as_refused(store: Store, tmp_path, write, said):
    store.ingest(write(tmp_path, said), quality=QUALITY, max_refused_share=1.0)

    assert [value for *_, value in store.readings()] == [0.0, 2.0]
    assert [refused["reason"] for refused in store.quarantine()] == ["bad_quality"] * 3
    assert [float(refused["value"]) for refused in store.quarantine()] == REFUSED


def test_what_is_good_is_for_a_person_to_say(store: Store, tmp_path: Path):
    quality = QUALITY | {"good": ["good", "Uncertain", 0]}
    store.ingest(long_csv(tmp_path, TEXTS), quality=quality, max_refused_share=1.0)
    store.ingest(wide_csv(tmp_path, [0, 0.0, 192]), quality=quality, max_refused_share=1.0)

    assert [value for *_, value in store.readings()] == [0.0, 1.0, 2.0, 4.0]


def test_a_file_without_the_column_is_read_as_it_is(store: Store, tmp_path: Path):
    store.ingest(write_csv(tmp_path / "plain.csv", row(0), row(1)), quality=QUALITY)

    assert len(store.readings()) == 2
    assert store.quarantine() == []


def test_without_the_setting_a_column_of_texts_says_nothing(store: Store, tmp_path: Path):
    store.ingest(long_csv(tmp_path, TEXTS))

    assert len(store.readings()) == 5
