"""A sensor's incidents day by day: each day is made of its predictions and what the day before handed on."""

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

# Of the predictions that are read. To be counted up when the same predictions shall make other incidents.
_JUDGED = pa.schema([PREDICTIONS.field(name) for name in JUDGED])
VERSION = 1


@dataclass(frozen=True)
class HandedOn:
    """What a day leaves unfinished: a digest, and when asked for the rows, schema UNFINISHED."""

    digest: str
    rows: Callable[[], pa.Table]

    @classmethod
    def of(cls, rows: pa.Table) -> HandedOn:
        """Rows at hand."""
        return cls(table_digest(rows), lambda: rows)


NOTHING = HandedOn.of(empty_table(UNFINISHED))


@dataclass(frozen=True)
class SensorDay:
    """The files of one sensor and day; all but the predictions are of an earlier run, and any may be missing.

    Attributes
    ----------
    sensor : str
    is_last : bool
        Whether the sensor has no later day. The incidents that are open then are in this day's file.
    predictions, incidents, unfinished : pyarrow.parquet.ParquetFile or None
    """

    sensor: str
    is_last: bool
    predictions: pq.ParquetFile | None
    incidents: pq.ParquetFile | None
    unfinished: pq.ParquetFile | None

    def stored(self, before: HandedOn, rules: JoinRules) -> HandedOn | None:
        """What the day hands on, if all that is stored of it is made of these inputs; reads footers only."""
        if self.incidents is None or self.unfinished is None or self.predictions_digest == "":
            return None
        made_of = self._made_of(before, rules)
        if any(footer_text(file, "inputs") != made_of for file in (self.incidents, self.unfinished)):
            return None
        return HandedOn(footer_text(self.unfinished, "digest"), self.unfinished.read)

    def join(self, before: HandedOn, rules: JoinRules) -> tuple[Stream, Stream, list[pa.Table]]:
        """The day's incidents, what it leaves unfinished, and a list that holds the latter's rows as well.

        The incidents must be read first, to their end. Only devices with an anomaly at the day's end
        are held in memory.
        """
        made_of = {"inputs": self._made_of(before, rules)}
        unfinished_footer = dict(made_of)
        unfinished: list[pa.Table] = []

        def incidents() -> Iterator[pa.Table]:
            for windows, earlier in self._ranges(before):
                closed, going_on = join_windows(windows, earlier, rules)
                unfinished.append(going_on)
                yield self._told(closed, going_on)
            unfinished_footer["digest"] = table_digest(handed_on(unfinished))

        return (
            Stream(INCIDENTS, incidents(), made_of),
            Stream(UNFINISHED, iter(unfinished), unfinished_footer),
            unfinished,
        )

    def _told(self, closed: pa.Table, going_on: pa.Table) -> pa.Table:
        rows = incidents_table(closed, self.sensor, "closed")
        if not self.is_last:
            return rows
        still_open = incidents_table(going_on.filter(going_on["is_incident"]), self.sensor, "open")
        both = pa.concat_tables([rows, still_open])
        return both.sort_by([("device", "ascending"), ("start", "ascending")])

    @property
    def predictions_digest(self) -> str:
        """Empty where it is not known."""
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
    """The rows that :meth:`SensorDay.join` found unfinished."""
    return pa.concat_tables([empty_table(UNFINISHED), *unfinished]).combine_chunks()


def _what_matters(predictions: pa.Table) -> pa.Table:
    """The anomalies, and each device's last window: until then it was seen."""
    if predictions.num_rows == 0:
        return predictions
    device = predictions["device"].combine_chunks()
    is_last = np.append(to_numpy(pc.not_equal(device[1:], device[:-1])), True)
    return predictions.filter(to_arrow(is_last | to_numpy(predictions["is_anomaly"])))
