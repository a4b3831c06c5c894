"""Keep since when each machine stays at the level that it is at, and the stays that lasted too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from batch_scoring.core.digests import number_of
from batch_scoring.core.moments import HOUR_US
from batch_scoring.storage.data_file import DataFile
from batch_scoring.storage.row_changes import changes_since
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.storage.table_log import RETENTION
from batch_scoring.tables.arrays import UInt
from batch_scoring.tables.arrow_arrays import are, empty_table, strings, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import PREDICTIONS, STAYS, TIMESTAMP

# Raise it when the same predictions shall give other stays.
VERSION = 1
STEP, RULES = "stays", "stays.rules"

_SERIES = ("sensor", "device")
_COLUMNS = ("sensor", "device", "window_start", "may_stay")
# A window in which a machine comes to a level.
_TURNS = pa.schema([PREDICTIONS.field(name) for name in _COLUMNS])
_LONG_AGO = -(2**62)


def update_stays(predictions: RowTable, stays: RowTable) -> Change | None:
    """Return the change of the stays since they were found last; None where nothing was scored.

    Whatever came in which order, the stays after it are those of all predictions. Those that began in days
    whose predictions were dropped for their age stay.

    Parameters
    ----------
    predictions : RowTable
        Schema PREDICTIONS; in a table that nothing was added to since an upgrade no machine stays anywhere.
    stays : RowTable
        Schema STAYS.
    """
    seen = stays.progress(STEP)
    predictions = predictions.not_before(seen)
    if not predictions.exists or "may_stay" not in predictions.schema.names:
        return None
    number = number_of([VERSION, predictions.id])
    changes = changes_since(predictions, seen, _COLUMNS) if stays.progress(RULES) == number else None
    if changes is not None and changes.are_none:
        return None
    stored = pa.concat_tables([empty_table(STAYS), *_batches(stays)]).combine_chunks()
    kept_from = predictions.progress(RETENTION) or _LONG_AGO
    is_dropped = to_numpy(stored["start"]) < kept_from
    if changes is None:
        known, new = stored.filter(to_arrow(is_dropped)), _turns(predictions, predictions.files())
    else:
        new = pa.concat_tables([_turning(changes.gained), _turns(predictions, changes.files)])
        again = _to_find_anew(stored, new, _turning(changes.lost))
        is_new = ~np.isin(row_fingerprints(new, _SERIES), again)
        new = pa.concat_tables(
            [new.filter(to_arrow(is_new)), _turns(predictions, _files(predictions, again), again)]
        )
        known = stored.filter(to_arrow(is_dropped | ~np.isin(row_fingerprints(stored, _SERIES), again)))
    found = _stays(known, new)
    before, after = (row_fingerprints(rows, STAYS.names) for rows in (stored, found))
    ends, has_ended = are(stored["state"], "last"), are(found["state"], "ended")
    # The last rows are written anew each hour: the stays that have ended are not, with them.
    stays_there = has_ended & np.isin(after, before)
    removed = stored.filter(to_arrow(ends | ~np.isin(before, after)))
    return Change(
        STAYS,
        [[found.filter(to_arrow(has_ended & ~stays_there))], [found.filter(to_arrow(~has_ended))]],
        {STEP: predictions.position, RULES: number},
        rewritten=lambda: _without(stays, removed),
        by_month=True,
    )


def _turning(rows: pa.Table) -> pa.Table:
    return rows.filter(to_arrow(to_numpy(rows["may_stay"].is_valid()))).select(_COLUMNS).cast(_TURNS)


def _turns(predictions: RowTable, files: Iterable[DataFile], series: UInt | None = None) -> pa.Table:
    """Read when machines come to a level, of some series or of all; schema _TURNS."""
    found = [empty_table(_TURNS)]
    for file in files:
        for rows in predictions.batches(file, _COLUMNS):
            turns = _turning(rows)
            if series is not None:
                turns = turns.filter(to_arrow(np.isin(row_fingerprints(turns, _SERIES), series)))
            found.append(turns)
    return pa.concat_tables(found).combine_chunks()


def _files(predictions: RowTable, series: UInt) -> list[DataFile]:
    return predictions.files() if series.size else []


def _to_find_anew(stored: pa.Table, new: pa.Table, lost: pa.Table) -> UInt:
    """Return the series, as fingerprints, whose turns do not all come after their last stored one."""
    last = stored.filter(to_arrow(are(stored["state"], "last")))
    rows = pa.concat_tables([last.select(_SERIES), new.select(_SERIES), lost.select(_SERIES)])
    series, number = np.unique(row_fingerprints(rows, _SERIES), return_inverse=True)
    since = np.full(series.size, _LONG_AGO)
    since[number[: last.num_rows]] = to_numpy(last["start"])
    of_new = number[last.num_rows :][: new.num_rows]
    is_late = to_numpy(new["window_start"]) <= since[of_new]
    return series[np.unique(np.concatenate([of_new[is_late], number[last.num_rows + new.num_rows :]]))]


def _stays(known: pa.Table, turns: pa.Table) -> pa.Table:
    """Find the stays from each turn to the next, and keep the last of each series and those too long.

    Parameters
    ----------
    known : pyarrow.Table
        Schema STAYS: of each series what was before its turns.
    turns : pyarrow.Table
    """
    is_last = are(known["state"], "last")
    rows = known.filter(to_arrow(is_last)).select(["sensor", "device", "start", "may_stay"])
    rows = pa.concat_tables([rows, turns.rename_columns(rows.column_names)])
    order = [(name, "ascending") for name in ("sensor", "device", "start")]
    rows = rows.sort_by(order).combine_chunks()
    series, start, hours = (
        row_fingerprints(rows, _SERIES),
        to_numpy(rows["start"]),
        to_numpy(rows["may_stay"]),
    )
    goes_on = np.append(series[1:] == series[:-1], False)[: series.size]
    end = np.append(start[1:], 0)[: start.size]
    is_kept = ~goes_on | (end - start > hours * HOUR_US)
    mask = pa.py_buffer(np.packbits(goes_on, bitorder="little"))
    ends = pa.Array.from_buffers(TIMESTAMP, end.size, [mask, to_arrow(end).buffers()[1]])
    columns = {
        **{name: rows[name] for name in rows.column_names},
        "end": ends,
        "state": strings(["last", "ended"]).take(to_arrow(goes_on.astype(np.int64))),
    }
    found = pa.Table.from_arrays([columns[name] for name in STAYS.names], schema=STAYS)
    return pa.concat_tables(
        [known.filter(to_arrow(~is_last)), found.filter(to_arrow(is_kept))]
    ).combine_chunks()


def _batches(stays: RowTable) -> Iterator[pa.Table]:
    for file in stays.files() if stays.exists else ():
        yield from stays.batches(file)


def _without(stays: RowTable, removed: pa.Table) -> Iterator[tuple[DataFile, Sequence[pa.Table]]]:
    """Yield the files that lose rows, each with the rows that stay."""
    keys = row_fingerprints(removed, STAYS.names)
    for file in stays.files() if keys.size else ():
        tables = list(stays.batches(file))
        kept = [rows.filter(to_arrow(~np.isin(row_fingerprints(rows, STAYS.names), keys))) for rows in tables]
        if sum(rows.num_rows for rows in kept) < file.rows:
            yield file, kept
