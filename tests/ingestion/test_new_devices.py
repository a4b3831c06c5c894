"""Too many new devices at once, and values in the place of devices, are refused and said."""

from pathlib import Path

import pyarrow as pa
import pytest

from tests.pipelines.ingest.ingestion import Store, row, write_csv, write_parquet

pytestmark = pytest.mark.slow

DAY = 1_767_571_200_000_000


def write(path: Path, kind: str, devices: list[str], minute: int = 0) -> Path:
    if kind == "csv":
        return write_csv(path.with_suffix(".csv"), *(row(minute, one) for one in devices))
    n = len(devices)
    time = pa.array([DAY + minute * 60_000_000] * n, pa.timestamp("us", "UTC"))
    return write_parquet(
        path.with_suffix(".parquet"), time=time, device=devices, sensor=["s"] * n, value=[1.0] * n
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_run_with_too_many_new_devices_refuses_these_and_stores_the_others(
    store: Store, tmp_path: Path, kind: str
):
    store.ingest(write(tmp_path / "raw" / "1", kind, ["a", "b"]).parent, max_new_devices=2)
    write(tmp_path / "raw" / "2", kind, ["a", "b", "x", "y", "z"], minute=1)
    counts = store.ingest(tmp_path / "raw", max_new_devices=2)
    assert (counts["stored"], counts["refused"]) == (2, {"new_device": 3})
    (said,) = counts["shortfalls"]
    assert "3 of 5 rows are refused, most as new_device, the first with 'x'" in said
    assert "ingest.max_new_devices" in said
    assert {one["device"] for one in store.quarantine()} == {"x", "y", "z"}
    write(tmp_path / "raw" / "3", kind, ["a", "b", "u", "v"], minute=2)
    assert store.ingest(tmp_path / "raw", max_new_devices=2)["refused"] == {}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_values_in_the_place_of_devices_are_refused_in_a_first_run_too(
    store: Store, tmp_path: Path, kind: str
):
    values = [f"{20 + n / 100:.2f}" for n in range(150)]
    counts = list(store.ingest_stepwise(write(tmp_path / "1", kind, values)))[-1]
    assert counts["refused"] == {"new_device": 150}
    assert "set ingest.columns.device" in counts["shortfalls"][0]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_devices_with_numbers_of_rooms_are_devices(store: Store, tmp_path: Path, kind: str):
    rooms = [f"{floor}.{room}" for floor in range(10) for room in range(100, 115)]
    for minute in range(2):
        write(tmp_path / "raw" / f"{minute}", kind, rooms, minute)
    assert store.ingest(tmp_path / "raw")["stored"] == 300
    write(tmp_path / "raw" / "2", kind, rooms, 2)
    assert store.ingest(tmp_path / "raw")["stored"] == 150
