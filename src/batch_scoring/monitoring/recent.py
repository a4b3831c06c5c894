"""Read one sensor's recent predictions with its models, by device range."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.digests import digest_of
from batch_scoring.detection.detectors import DETECTORS
from batch_scoring.monitoring.drift import STATUSES, DriftLimits, WatchedModels, drift_table
from batch_scoring.monitoring.settings import MonitorParameters
from batch_scoring.registry.published import PublishedModel
from batch_scoring.tables.arrow_arrays import to_numpy
from batch_scoring.tables.device_ranges import BATCH_ROWS, device_ranges, read_batches, read_pieces
from batch_scoring.tables.schemas import DRIFT, MODEL_KEYS, PREDICTIONS, WATCHED
from batch_scoring.tables.streams import Stream, footer_text

# Increase when the same inputs must give another table.
VERSION = 1

_WATCHED = pa.schema([PREDICTIONS.field(name) for name in WATCHED])
_MODELS = pa.schema([MODEL_KEYS.field(name) for name in ("device", "trained_from")])


@dataclass(frozen=True)
class Recent:
    """The predictions of a sensor in a range; read on demand.

    Attributes
    ----------
    sensor : str
    files : tuple of pyarrow.parquet.ParquetFile
        The files with predictions in the range.
    published : PublishedModel or None
        The champion.
    span : (int, int)
        ``[start, end)``, µs since the epoch.
    limits : DriftLimits
    counts : Counter
        Devices by status; complete when the stream has been read.
    """

    sensor: str
    files: tuple[pq.ParquetFile, ...]
    published: PublishedModel | None
    span: tuple[int, int]
    limits: DriftLimits
    counts: Counter[str] = field(default_factory=Counter)

    @classmethod
    def find(
        cls,
        sensor: str,
        files: Sequence[pq.ParquetFile],
        published: PublishedModel | None,
        settings: MonitorParameters,
        until: int | None,
    ) -> Recent | None:
        """Find the predictions of the last ``monitor.range``; None without predictions."""
        there = [(file, *_extent(file)) for file in files if file.metadata.num_rows]
        ended = [one for one in there if until is None or one[1] < until]
        if not ended:
            return None
        newest = max(last for _, _, last in ended)
        end = newest if until is None else min(newest, until)
        start = end - settings.range // timedelta(microseconds=1)
        inside = tuple(file for file, first, last in ended if last > start and first < end)
        return cls(sensor, inside, published, (start, end), settings.limits)

    def inputs(self) -> str:
        """Digest of all inputs of the table; empty where they are unknown."""
        digests = [[footer_text(file, name) for name in ("digest", "scores")] for file in self.files]
        if not all(map(all, digests)):
            return ""
        made_of = {
            "version": VERSION,
            "span": self.span,
            "limits": asdict(self.limits),
            "predictions": digests,
            "models": self.published.manifest.sha256 if self.published else "",
            "model_version": self.published.manifest.version if self.published else "",
        }
        return digest_of(made_of)

    def stream(self, inputs: str) -> Stream:
        """Compute the table while it is read, and count the devices."""
        footer = {"inputs": inputs}

        def parts() -> Iterator[pa.Table]:
            for part in self._parts():
                for entry in pc.value_counts(part["status"]).to_pylist():
                    self.counts[entry["values"]] += entry["counts"]
                yield part
            footer["statuses"] = json.dumps({name: self.counts[name] for name in STATUSES})

        return Stream(DRIFT, parts(), footer)

    @staticmethod
    def counted(stored: pq.ParquetFile) -> dict[str, int]:
        """Count the devices by status of a stored table."""
        counts: dict[str, int] = json.loads(footer_text(stored, "statuses") or "{}")
        return {name: count for name, count in counts.items() if count}

    def _parts(self) -> Iterator[pa.Table]:
        published = self.published
        watched = WatchedModels(
            published.manifest.version if published else "",
            published is not None and DETECTORS[published.models.info.detector].states_tail_probability,
        )
        models = published.models.batches(_MODELS.names) if published else iter(())
        # All days together are as many rows as one would be alone.
        rows = max(BATCH_ROWS // len(self.files), 1_024)
        days = [(_WATCHED, _pieces(file, rows)) for file in self.files]
        for *parts, its_models in device_ranges([*days, (_MODELS, models)], {len(days)}):
            yield drift_table(
                pa.concat_tables(parts), its_models, self.sensor, self.span, watched, self.limits
            )


def _pieces(file: pq.ParquetFile, rows: int) -> Iterator[pa.Table]:
    return (part.select(list(WATCHED)) for part in read_pieces(file, WATCHED, rows))


def _extent(file: pq.ParquetFile) -> tuple[int, int]:
    """Return when a file's first window starts and its last one ends: from the footer, or else the rows."""
    metadata = file.metadata
    place = {metadata.schema.column(i).name: i for i in range(metadata.num_columns)}
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    start, end = (
        [group.column(place[name]).statistics for group in groups] for name in ("window_start", "window_end")
    )
    if all(one is not None and one.has_min_max for one in (*start, *end)):
        # As stored, in microseconds: converting to a datetime would import pandas.
        return min(one.min_raw for one in start), max(one.max_raw for one in end)
    first, last = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for rows in read_batches(file, ("window_start", "window_end")):
        first = min(first, int(to_numpy(rows["window_start"]).min()))
        last = max(last, int(to_numpy(rows["window_end"]).max()))
    return first, last
