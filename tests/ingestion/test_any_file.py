"""Files of any delimiter, encoding, time format, shape and damage: no row is lost, an error is a sentence."""

from __future__ import annotations

import gzip
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kedro.io import DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.raw_readings import RawReadings
from batch_scoring.ingestion.inspection import inspect_files
from batch_scoring.ingestion.inspection.rendering import as_text, as_values, sentence
from tests.pipelines.ingest.ingestion import Store

pytestmark = pytest.mark.slow

AT = "2026-06-01T00:00Z"
START = datetime(2026, 3, 11, 22, tzinfo=UTC)
# Two thousand with the profile of `make test-long`.
_USUAL = settings().max_examples
EXAMPLES = 2 * _USUAL // 5 if _USUAL <= 25 else 10 * _USUAL

DELIMITERS = [",", ";", "\t", "|"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]
TIMES = [
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%y %H:%M:%S",
    "%d-%b-%Y %H:%M",
    "%Y%m%d%H%M%S",
    "%H:%M",
    "yesterday %d",
    "epoch",
    "epoch_ms",
    "excel",
]
NUMBERS = ["{:.2f}", "{:.3e}", "{:,.2f}", "{:.2f} °C", "n{:.0f}"]
FIELDS = ["?", "NA", "", "-200", "ON", "OFF", '"', "#", "1.2.3", "é", "nan", "1e999", "\x00"]
NAMES = ["temp", "hum", "Öl [°C]", "", "id", "value", "a b", '"x"']


@dataclass(frozen=True)
class Written:
    """A file, and its number of rows; None where a title may be taken for one, or one is several readings."""

    content: bytes
    suffix: str
    n_rows: int | None


@st.composite
def written_files(draw: st.DrawFn) -> Written:
    """A text file of a table, more or less damaged."""
    mark, form, number = (draw(st.sampled_from(some)) for some in (DELIMITERS, TIMES, NUMBERS))
    is_wide, has_device = draw(st.booleans()), draw(st.integers(0, 9)) > 1
    sensors = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3)) if is_wide else []
    names = ["time", *(["device"] if has_device else []), *(sensors or ["sensor", "value"])]
    bad = draw(st.dictionaries(st.integers(0, 39), st.sampled_from(FIELDS), max_size=8))
    rows = []
    for step in range(draw(st.integers(0, 20))):
        fields = [_time(START + timedelta(minutes=30 * step), form)]
        fields += [f"unit-{step % 2}"] if has_device else []
        fields += [number.format(20 + place + step % 5) for place in range(len(sensors))] or [
            "temp",
            number.format(20 + step % 5),
        ]
        if step in bad:
            fields[draw(st.integers(0, len(fields) - 1))] = bad[step]
        rows.append([_quoted(field, mark) for field in fields])
    lines = [mark.join(row) for row in rows]
    if draw(st.booleans()):
        lines = [line for n, line in enumerate(lines) if n not in bad or draw(st.booleans())]
    above = draw(st.sampled_from([[], ["# made by a logger"], ["A title"], [""]]))
    head = [mark.join(_quoted(name, mark) for name in names)] if draw(st.integers(0, 9)) else []
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = "".join(line + end for line in [*above, *head, *lines])
    encoding = draw(st.sampled_from(ENCODINGS))
    content = text.encode(encoding, "replace")
    n_rows = None if is_wide or not head or above == ["A title"] else len(lines)
    if above and above[0][:1] == "#" and n_rows is not None:  # lines that begin as this comment does
        n_rows -= sum(line.startswith("#") for line in lines)
    if draw(st.integers(0, 9)) == 0:
        return Written(gzip.compress(content), ".csv.gz", n_rows)
    return Written(content, draw(st.sampled_from([".csv", ".txt", ".tsv"])), n_rows)


def _time(time: datetime, form: str) -> str:
    numbers = {"epoch": f"{time.timestamp():.0f}", "epoch_ms": f"{time.timestamp() * 1e3:.0f}"}
    numbers["excel"] = f"{time.timestamp() / 86400 + 25569:.6f}"
    return numbers.get(form) or time.strftime(form)


def _quoted(field: str, mark: str) -> str:
    return '"' + field.replace('"', '""') + '"' if mark in field or '"' in field else field


@settings(max_examples=EXAMPLES)
@given(written_files())
def test_no_row_of_a_table_is_lost_and_no_run_ends_well_with_nothing_stored(file):
    with tempfile.TemporaryDirectory() as folder:
        store, place = Store(Path(folder) / "store"), Path(folder) / f"a{file.suffix}"
        place.write_bytes(file.content)
        try:
            counts = store.ingest(place, at=AT)
        except InputError as error:
            assert "\n" not in str(error)
            assert store.readings() == []
            return
        refused = sum(counts["refused"].values())
        assert counts["rows"] == counts["stored"] + refused + counts["missing"] + counts["already_stored"]
        assert len(store.readings()) == counts["stored"]
        assert len(store.quarantine()) == refused
        assert counts["stored"] or counts["missing"] or counts["shortfalls"] or not counts["rows"]
        assert counts["rows"] == file.n_rows or file.n_rows is None or counts["shortfalls"]


@settings(max_examples=EXAMPLES // 2)
@given(written_files())
def test_whatever_a_table_is_it_can_be_inspected(file):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"a{file.suffix}"
        place.write_bytes(file.content)
        found = inspect_files(RawReadings(str(place)).load())
        assert found.trial.outcome[:2] <= found.as_is.outcome[:2]
        assert as_values(found, str(place))["is_readable"] == found.is_readable
        assert as_text(found, str(place))
        assert found.is_readable or "\n" not in sentence(found)
        if found.is_readable and found.proposal.settings:
            assert found.trial.readings.num_rows > 0


@settings(max_examples=EXAMPLES)
@given(
    st.binary(max_size=300),
    st.sampled_from(
        [".csv", ".json", ".jsonl", ".parquet", ".csv.gz", ".csv.bz2", ".csv.zst", ".zip", ".avro"]
    ),
)
@example(b'{"a":' * 2000, ".json")
@example(b"[" * 5000, ".jsonl")
@example(b"a," * 70_000 + b"\n1,2\n", ".csv")
@example(b"\x1f\x8b", ".csv.gz")
@example(b"\x1f\x8b", ".jsonl.gz")
@example(b"BZh9", ".csv.bz2")
@example(b"no bzip2", ".csv.bz2")
@example(b"\x28\xb5\x2f\xfd", ".csv.zst")
def test_any_bytes_are_at_most_one_sentence(content, suffix):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / f"a{suffix}"
        place.write_bytes(content)
        try:
            files = RawReadings(str(place)).load()
        except DatasetError as error:
            assert isinstance(error.__cause__, InputError)
            return
        try:
            found = inspect_files(files)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert found.is_readable == bool(found.trial.readings.num_rows)
        try:
            counts = Store(Path(folder) / "store").ingest(place, at=AT)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert counts["stored"] or counts["shortfalls"] or not counts["rows"]
