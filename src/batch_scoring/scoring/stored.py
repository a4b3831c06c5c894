"""Compare windows with the stored predictions of a piece of time."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa

from batch_scoring.scoring.scope import Scope
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_table import RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import positions, strings, to_numpy
from batch_scoring.tables.schemas import WINDOW_KEY


class StoredPredictions:
    """The predictions of a piece of time that a run may replace or remove.

    Parameters
    ----------
    predictions : RowTable
    files : sequence of DataFile
        Those that may hold such a prediction.
    scope : Scope
    renewed : sequence of str
        Sensors whose predictions go where their windows are gone.
    span : (int, int)
        The piece, ``[start, end)``, microseconds since the epoch.

    Attributes
    ----------
    rows : Upsert
    """

    def __init__(
        self,
        predictions: RowTable,
        files: Sequence[DataFile],
        scope: Scope,
        renewed: Sequence[str],
        span: tuple[int, int],
    ) -> None:
        self._scope, self._renewed, self._span = scope, renewed, span
        self._sensors: list[Int] = []
        self.rows = Upsert(
            predictions,
            files,
            WINDOW_KEY,
            lambda rows: to_numpy(rows["window_fingerprint"]).view(np.uint64),
            ["window_fingerprint", *(["window_end"] if renewed else [])],
            among=self._may_be_gone if renewed else lambda rows: np.zeros(rows.num_rows, bool),
        )

    def removed(self, failed: Collection[str]) -> list[tuple[DataFile, Bool]]:
        """Return the files that lose predictions, each with a mask; sensors that failed keep theirs."""
        if self._renewed:
            are_kept = np.isin(
                np.concatenate([np.zeros(0, np.int64), *self._sensors]),
                [place for place, sensor in enumerate(self._renewed) if sensor in failed],
            )
            self.rows.remove_unseen(are_kept)
        return self.rows.removed()

    def _may_be_gone(self, rows: pa.Table) -> Bool:
        sensor = positions(rows["sensor"], strings(self._renewed))
        self._sensors.append(sensor)
        start = to_numpy(rows["window_start"])
        is_inside: Bool = (start >= self._span[0]) & (start < self._span[1])
        return is_inside & (sensor >= 0) & self._scope.mask(rows)
