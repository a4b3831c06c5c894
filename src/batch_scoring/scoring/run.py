"""Score what is due in the windows, and keep the daily totals of the predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from batch_scoring.core.digests import number_of
from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.registry.published import PublishedModel
from batch_scoring.scoring.due import DueWindows, latest_end
from batch_scoring.scoring.marks import Mark, mark_progress, read_mark
from batch_scoring.scoring.outcome import Outcome
from batch_scoring.scoring.scope import Scope
from batch_scoring.scoring.sensor_ranges import score_ranges
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.upsert import Upsert
from batch_scoring.tables.arrow_arrays import are, strings, to_numpy
from batch_scoring.tables.schemas import PREDICTIONS, WINDOW_KEY

Models = Mapping[str, Callable[[], PublishedModel]]

# The numbers of a sensor without models, and of one whose models cannot be read.
_NO_MODELS, _FAILED = 1, -1


@dataclass
class ScoreRun:
    """A run of ``score``: what it finds, what it commits, and what the daily totals gain by it.

    Attributes
    ----------
    windows : RowTable
    models : mapping of str to callable
        The champion of each sensor.
    scope : Scope
    settings : int
        Number of the settings that the windows were aggregated with.
    outcome : Outcome
    before, after : dict of str to Mark
        Of the sensors with due windows.
    totals : list of pyarrow.Table
        Schema DAILY, of the new predictions; complete after the commit.
    modelled : dict of str to list of pyarrow.Array
        Devices with a model, of the sensors with due windows.
    lost : list of pyarrow.Table
        Columns of WINDOW_KEY of the predictions that were replaced.
    failed : dict of str to str
        Why a sensor could not be scored.
    """

    windows: RowTable
    models: Models
    scope: Scope
    settings: int
    outcome: Outcome = field(default_factory=Outcome)
    before: dict[str, Mark] = field(default_factory=dict)
    after: dict[str, Mark] = field(default_factory=dict)
    totals: list[pa.Table] = field(default_factory=list)
    modelled: dict[str, list[pa.Array]] = field(default_factory=dict)
    lost: list[pa.Table] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    table: RowTable | None = None
    change: Change | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the run scores all that is due, of all sensors and devices."""
        selection = self.scope.selection
        return self.scope.is_standard and selection.sensors is None and selection.shard is None

    def update(self, predictions: RowTable) -> Change | None:
        """Return the change of the predictions; None where nothing is due."""
        self.table, self.outcome = predictions, Outcome()
        for kept in (self.before, self.after, self.totals, self.modelled, self.lost, self.failed):
            kept.clear()
        overall = read_mark(predictions)
        sensors = self._sensors(overall)
        shard = self.scope.selection.shard
        self.before |= {sensor: read_mark(predictions, sensor, shard) for sensor in sensors}
        works = self._works()
        until = min(microseconds(self.scope.closed_at), latest_end(self.windows))
        due = [file for work in works for file in work.files()[0]]
        # With other settings, predictions of windows that are gone go, too.
        renewed = [s for s, mark in self.before.items() if mark.settings not in (0, self.settings)]
        stored = Upsert(
            predictions,
            [
                file
                for file in predictions.files()
                if (renewed and file.may_have("sensor", renewed))
                or any(file.overlaps(one.first, one.last + 1) for one in due)
            ],
            WINDOW_KEY,
            lambda rows: to_numpy(rows["window_fingerprint"]).view(np.uint64),
            ["window_fingerprint"],
            among=lambda rows: to_numpy(pc.is_in(rows["sensor"], value_set=strings(renewed))),
        )
        progress: dict[str, int] = {}
        lacking: dict[str, int] = {}

        def parts() -> Iterator[Iterator[pa.Table]]:
            for work in works:
                for _, tables in work.pieces():
                    yield self._scored(tables, stored, lacking)
            stored.remove_unseen()
            self._advance(lacking, until)
            for sensor, mark in self.after.items():
                progress.update(mark_progress(self.before[sensor], mark, sensor, shard))
            if self.is_whole:
                progress.update(mark_progress(overall, self._overall(overall, until)))

        self.change = Change(PREDICTIONS, parts(), progress, rewritten=lambda: stored.rewritten(self.lost))
        return self.change

    def _sensors(self, overall: Mark) -> list[str]:
        """List the sensors that may have due windows."""
        wanted = self.scope.selection.sensors
        if wanted is not None:
            return sorted(wanted, key=str.encode)
        is_whole = overall.lacking or not self.scope.is_timely or overall.settings not in (0, self.settings)
        if is_whole:
            return self.windows.distinct("sensor")
        files, _ = DueWindows(self.windows, None, overall, self.scope).files()
        return self.windows.distinct("sensor", files)

    def _works(self) -> list[DueWindows]:
        """Group the sensors by how far they have been scored."""
        groups: dict[Mark, list[str]] = {}
        for sensor, mark in self.before.items():
            is_renewed = mark.settings not in (0, self.settings)
            gained = mark.lacking and mark.lacking != self._number(sensor)
            again = is_renewed or gained or not self.scope.is_timely
            groups.setdefault(Mark() if again else replace(mark, lacking=0), []).append(sensor)
        return [DueWindows(self.windows, tuple(some), mark, self.scope) for mark, some in groups.items()]

    def _number(self, sensor: str) -> int:
        """Number the models of a sensor."""
        if sensor not in self.models:
            return _NO_MODELS
        try:
            return number_of(self.models[sensor]().manifest.sha256)
        except InputError:
            return _NO_MODELS

    def _scored(
        self, tables: Iterable[pa.Table], stored: Upsert, lacking: dict[str, int]
    ) -> Iterator[pa.Table]:
        for part in score_ranges(tables, self.models, stored, self.scope.rescore):
            self.outcome.add(part)
            if part.error:
                self.failed[part.sensor] = part.error
            if are(part.totals["status"], "no_model").any():
                lacking[part.sensor] = self._number(part.sensor)
            self.modelled.setdefault(part.sensor, []).append(part.modelled)
            self.totals.append(part.totals)
            if part.predictions.num_rows:
                yield part.predictions

    def _advance(self, lacking: Mapping[str, int], until: int) -> None:
        for sensor, mark in self.before.items():
            if not self.scope.is_standard:
                self.after[sensor] = mark
                continue
            if sensor in self.failed:
                self.after[sensor] = replace(mark, lacking=_FAILED)
                continue
            again = mark.lacking and mark.lacking != self._number(sensor)
            self.after[sensor] = Mark(
                mark.version if until < mark.until else self.windows.version,
                max(mark.until, until),
                lacking.get(sensor, 0 if again else mark.lacking),
                self.settings,
            )

    def _overall(self, before: Mark, until: int) -> Mark:
        is_lacking = any(mark.lacking for mark in self.after.values())
        is_late = until < before.until
        return Mark(
            before.version if is_late else self.windows.version,
            max(before.until, until),
            int(is_lacking),
            self.settings,
        )
