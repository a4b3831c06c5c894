"""Score one sensor and day by device range: memory does not grow with the fleet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch_scoring.core.prefetch import computed, prefetched
from batch_scoring.core.stopwatch import stopwatch
from batch_scoring.detection.model import FleetModel
from batch_scoring.registry.published import PublishedModel
from batch_scoring.scoring.device_range import ScoredRange, score_range
from batch_scoring.scoring.digests import PredictionsDigest, ScoresDigest
from batch_scoring.scoring.outcome import Outcome
from batch_scoring.scoring.scope import Scope
from batch_scoring.tables.arrow_arrays import to_arrow
from batch_scoring.tables.device_ranges import device_ranges, read_batches
from batch_scoring.tables.schemas import MODELS, PREDICTIONS, STATUS
from batch_scoring.tables.streams import Stream, footer_text

_WINDOWS, _EARLIER, _MODELS = range(3)


@dataclass(frozen=True)
class Partition:
    """The files of one sensor and day; those of an earlier run may be missing."""

    windows: pq.ParquetFile
    predictions: pq.ParquetFile | None
    status: pq.ParquetFile | None

    def is_done(self, published: PublishedModel | None) -> bool:
        """Whether nothing has changed since every one of its windows was scored; reads footers only.

        The status is written last, so it describes the stored predictions.
        """
        if self.predictions is None or self.status is None:
            return False
        if not all(footer_text(self.predictions, name) for name in ("digest", "scores")):
            return False  # of an earlier project version: rewritten, not scored again
        wanted = self._footer(published, is_complete=True)
        return all(footer_text(self.status, name) == value for name, value in wanted.items())

    def score(
        self, published: PublishedModel | None, scope: Scope, outcome: Outcome
    ) -> tuple[Stream, Stream]:
        """Score the partition: its whole predictions and status, computed while they are read.

        The predictions must be read first, to their end; counted in ``outcome`` on the way.

        Raises
        ------
        InputError
            While the predictions are read: when the models are damaged or do not fit the windows.
        """
        status: list[pa.Table] = []
        footer: dict[str, str] = {}
        status_footer: dict[str, str] = {}

        def predictions() -> Iterator[pa.Table]:
            digest, scores = PredictionsDigest(), ScoresDigest()
            is_complete = True
            for part in self._ranges(published, scope):
                status.append(part.status)
                is_complete &= part.is_complete
                outcome.add(part)
                digest.update(part.predictions)
                scores.update(part.predictions)
                yield part.predictions
            footer["digest"], footer["scores"] = digest.hexdigest(), scores.hexdigest()
            status_footer.update(self._footer(published, is_complete))

        return Stream(PREDICTIONS, predictions(), footer), Stream(STATUS, iter(status), status_footer)

    def _ranges(self, published: PublishedModel | None, scope: Scope) -> Iterator[ScoredRange]:
        version = published.manifest.version if published else ""
        models: Iterable[pa.Table] = (part.table for part in published.models.parts()) if published else ()
        info = published.models.info if published else None
        sources = [
            (self.windows.schema_arrow, prefetched(stopwatch.each("read", read_batches(self.windows)))),
            (PREDICTIONS, _as_now(stopwatch.each("read", read_batches(self.predictions)))),
            (info.schema if info else MODELS, stopwatch.each("read", models)),
        ]

        def work(tables: list[pa.Table]) -> ScoredRange:
            model = FleetModel(tables[_MODELS], info) if info else None
            return score_range(tables[_WINDOWS], tables[_EARLIER], model, version, scope)

        # Reading, scoring and writing go on at the same time; the results come in the order of the devices.
        ranges = prefetched(device_ranges(sources, {_MODELS}))
        return prefetched(computed(stopwatch.timed("score", work), ranges, len(os.sched_getaffinity(0))))

    def _footer(self, published: PublishedModel | None, is_complete: bool) -> dict[str, str]:
        return {
            "windows": footer_text(self.windows, "digest"),
            "model": published.manifest.sha256 if published else "none",
            "complete": "yes" if is_complete else "no",
        }


def _as_now(predictions: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Upgrade predictions of any project version; rows without a window fingerprint are scored again."""
    for rows in predictions:
        if rows.column_names != PREDICTIONS.names:
            named = {name: rows[name] for name in PREDICTIONS.names if name in rows.column_names}
            named["window_fingerprint"] = to_arrow(np.zeros(rows.num_rows, np.uint64))
            missing = [field for field in PREDICTIONS if field.name not in named]
            named |= {field.name: pa.nulls(rows.num_rows, field.type) for field in missing}
            yield pa.table([named[name] for name in PREDICTIONS.names], schema=PREDICTIONS)
        else:
            yield rows.cast(PREDICTIONS)
