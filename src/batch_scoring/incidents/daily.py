"""Find a sensor's incidents day by day, from its predictions and the open runs of the day before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch_scoring.core.digests import digest_of
from batch_scoring.core.prefetch import prefetched
from batch_scoring.incidents.joining import JoinRules, incidents_table, join_windows
from batch_scoring.tables.arrow_arrays import empty_table, to_arrow, to_numpy
from batch_scoring.tables.device_ranges import device_ranges, read_batches
from batch_scoring.tables.fingerprints import table_digest
from batch_scoring.tables.schemas import INCIDENTS, JUDGED, PREDICTIONS, UNFINISHED
from batch_scoring.tables.streams import Stream, footer_text

# Columns of the predictions that are read.
_JUDGED = pa.schema([PREDICTIONS.field(name) for name in JUDGED])
# Raise it when the same predictions shall give other incidents.
VERSION = 1


@dataclass(frozen=True)
class HandedOn:
    """The runs a day leaves unfinished: their digest, and a function for the rows, schema UNFINISHED."""

    digest: str
    rows: Callable[[], pa.Table]

    @classmethod
    def of(cls, rows: pa.Table) -> HandedOn:
        """Wrap rows in memory."""
        return cls(table_digest(rows), lambda: rows)


NOTHING = HandedOn.of(empty_table(UNFINISHED))


@dataclass(frozen=True)
class SensorDay:
    """Files of one sensor and day; any may be missing, and all but the predictions are of an earlier run.

    Attributes
    ----------
    sensor : str
    is_last : bool
        Whether the sensor has no later day. This day's file then contains the open incidents.
    predictions, incidents, unfinished : pyarrow.parquet.ParquetFile or None
    """

    sensor: str
    is_last: bool
    predictions: pq.ParquetFile | None
    incidents: pq.ParquetFile | None
    unfinished: pq.ParquetFile | None

    def stored(self, before: HandedOn, rules: JoinRules) -> HandedOn | None:
        """Return what the day handed on if its stored files are of these inputs; reads footers only."""
        if self.incidents is None or self.unfinished is None or self.predictions_digest == "":
            return None
        made_of = self._made_of(before, rules)
        if any(footer_text(file, "inputs") != made_of for file in (self.incidents, self.unfinished)):
            return None
        return HandedOn(footer_text(self.unfinished, "digest"), self.unfinished.read)

    def join(self, before: HandedOn, rules: JoinRules) -> tuple[Stream, Stream, list[pa.Table]]:
        """Return the day's incidents, its unfinished runs, and a list that collects the latter's rows.

        The incidents must be read first and completely. Only devices with an anomaly at the day's end
        are held in memory.
        """
        made_of = {"inputs": self._made_of(before, rules)}
        unfinished_footer = dict(made_of)
        unfinished: list[pa.Table] = []

        def incidents() -> Iterator[pa.Table]:
            for windows, earlier in self._ranges(before):
                closed, going_on = join_windows(windows, earlier, rules)
                unfinished.append(going_on)
                yield self._reported(closed, going_on)
            unfinished_footer["digest"] = table_digest(handed_on(unfinished))

        return (
            Stream(INCIDENTS, incidents(), made_of),
            Stream(UNFINISHED, iter(unfinished), unfinished_footer),
            unfinished,
        )

    def _reported(self, closed: pa.Table, going_on: pa.Table) -> pa.Table:
        rows = incidents_table(closed, self.sensor, "closed")
        if not self.is_last:
            return rows
        still_open = incidents_table(going_on.filter(going_on["is_incident"]), self.sensor, "open")
        both = pa.concat_tables([rows, still_open])
        return both.sort_by([("device", "ascending"), ("start", "ascending")])

    @property
    def predictions_digest(self) -> str:
        """Digest of the predictions; empty if unknown."""
        return footer_text(self.predictions, "digest") if self.predictions is not None else "none"

    def _made_of(self, before: HandedOn, rules: JoinRules) -> str:
        made_of = {
            "version": VERSION,
            "rules": asdict(rules),
            "predictions": self.predictions_digest,
            "before": before.digest,
            "is_last": self.is_last,
        }
        return digest_of(made_of)

    def _ranges(self, before: HandedOn) -> Iterator[list[pa.Table]]:
        batches = map(_what_matters, prefetched(read_batches(self.predictions, JUDGED)))
        return device_ranges([(_JUDGED, batches), (UNFINISHED, [before.rows()])])


def handed_on(unfinished: list[pa.Table]) -> pa.Table:
    """Concatenate the rows that :meth:`SensorDay.join` left unfinished."""
    return pa.concat_tables([empty_table(UNFINISHED), *unfinished]).combine_chunks()


def _what_matters(predictions: pa.Table) -> pa.Table:
    """Select the anomalies and each device's last window, which shows until when it was observed."""
    if predictions.num_rows == 0:
        return predictions
    device = predictions["device"].combine_chunks()
    is_last = np.append(to_numpy(pc.not_equal(device[1:], device[:-1])), True)
    return predictions.filter(to_arrow(is_last | to_numpy(predictions["is_anomaly"])))
