"""Keep the ranked list of incidents: made anew of the newest days where something has changed."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from batch_scoring.core.digests import number_of
from batch_scoring.core.moments import EPOCH, HOUR_US, MICROSECOND, microseconds
from batch_scoring.core.text import number
from batch_scoring.incidents.devices import RollUpRules, roll_up
from batch_scoring.incidents.level_reading import read_levels, windows_reader
from batch_scoring.incidents.levels import VALUES
from batch_scoring.incidents.long_stays import MEASURED, SERIES, until_it_moved
from batch_scoring.incidents.silence import MEMORY_US
from batch_scoring.incidents.start import UNTIL
from batch_scoring.incidents.steps import describe_steps, lag_us, may_be_steps
from batch_scoring.storage.row_table import Change, RowTable
from batch_scoring.tables.arrow_arrays import are, empty_table, to_arrow, to_numpy
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import DEVICE_INCIDENTS, GAPS, INCIDENTS, OUTLIER, STAYS

logger = logging.getLogger(__name__)

# Raise it when the same incidents and gaps shall give another list.
VERSION = 15
STEP, GAPS_SEEN, RULES = "incidents", "gaps", "incidents.rules"


def update_ranking(
    incidents: RowTable,
    gaps: RowTable,
    rules: RollUpRules,
    n_days: int,
    predictions: RowTable | None,
    windows: RowTable | None,
    stays: RowTable | None,
    ranked: RowTable,
) -> Change | None:
    """Return the change of the list; None where there is nothing to make it of.

    Parameters
    ----------
    incidents, gaps : RowTable
        Schemas INCIDENTS and GAPS.
    rules : RollUpRules
    n_days : int
        The list has what ended in these newest days with predictions.
    predictions : RowTable or None
        Schema PREDICTIONS: they show which incidents are steps to another level.
    windows : RowTable or None
        The columns WINDOW_KEYS and features: they show whether a silent device was renamed.
    stays : RowTable or None
        Schema STAYS.
    ranked : RowTable
        Schema DEVICE_INCIDENTS.
    """
    incidents, gaps = incidents.not_before(ranked.progress(STEP)), gaps.not_before(ranked.progress(GAPS_SEEN))
    if not (incidents.exists or gaps.exists):
        return None
    first = _first_ranked(incidents, n_days)
    settings = [
        rules.slack_us,
        rules.outlier_windows,
        asdict(rules.silence),
        rules.calendar.fingerprint,
        rules.lasting_us,
        rules.flapping_us,
        rules.block_us,
    ]
    settings += [rules.devices.fingerprint] if rules.devices.fingerprint else []
    settings += [table.position for table in (windows, stays) if table is not None]
    made_of = number_of([VERSION, incidents.position, gaps.position, first.isoformat(), settings])
    progress = {STEP: incidents.position, GAPS_SEEN: gaps.position, RULES: made_of}
    if ranked.progress(RULES) == made_of:
        return Change(DEVICE_INCIDENTS, (), progress)
    since = microseconds(first)
    # What flaps is read from the beginning of its block, so that it keeps its id to the last.
    block = EPOCH + since // rules.block_us * rules.block_us * MICROSECOND
    # The open incident of a device that is gone ends with its days; its silence stays.
    found = recent_incidents(incidents, block)
    steps = find_steps(found, predictions, rules.lasting_us) if predictions is not None else {}
    read = windows_reader(windows) if windows is not None and windows.exists else None
    lasting = stays.read() if stays is not None and stays.exists else empty_table(STAYS)
    if predictions is not None and predictions.exists:
        lasting = _until_moved(lasting, predictions, microseconds(block))
    recent = _recent_gaps(gaps, microseconds(block), lasting)
    rows = roll_up(found, recent, rules, since, steps, read, lasting)
    is_outlier, is_open = are(rows["kind"], OUTLIER), are(rows["state"], "open")
    logger.info(
        "incidents: %s ranked, %d open; %s",
        number(int((~is_outlier).sum()), "device incident"),
        np.count_nonzero(is_open & ~is_outlier),
        number(int(is_outlier.sum()), "outlier reading"),
    )
    if ranked.schema == DEVICE_INCIDENTS and rows.equals(ranked.read().combine_chunks()):
        return Change(DEVICE_INCIDENTS, (), progress)
    return Change(DEVICE_INCIDENTS, [[rows]], progress, replaces_all=True)


def find_steps(incidents: pa.Table, predictions: RowTable, lasting_us: int) -> dict[str, str]:
    """Return advice on the incidents that are steps to another level, by their ids.

    Parameters
    ----------
    incidents : pyarrow.Table
        Schema INCIDENTS.
    predictions : RowTable
    lasting_us : int
        A level lasts that is there as long, microseconds.
    """
    some = incidents.filter(to_arrow(may_be_steps(incidents))).combine_chunks()
    if not some.num_rows or not predictions.exists:
        return {}
    start = to_numpy(some["start"])
    lag = lag_us(lasting_us)
    windows = read_levels(predictions, some, start - lag, start + lasting_us, (), VALUES, (lag,))
    texts = describe_steps(some, windows.combine_chunks(), lasting_us)
    return {name: text for name, text in zip(some["incident_id"].to_pylist(), texts, strict=True) if text}


def recent_incidents(incidents: RowTable, since: datetime) -> pa.Table:
    """Read the incidents that ended at ``since`` or later, UTC, or are open; schema INCIDENTS."""
    first = microseconds(since)
    found = [empty_table(INCIDENTS)]
    for file in incidents.files():
        is_closed = file.bounds.get("state") == ("closed", "closed")
        if is_closed and file.bounds.get("end", (0, first))[1] < first:
            continue
        for rows in incidents.batches(file):
            is_recent = (to_numpy(rows["end"]) >= first) | are(rows["state"], "open")
            found.append(rows.filter(to_arrow(is_recent & ~are(rows["state"], "forming"))))
    return pa.concat_tables(found).combine_chunks()


def _until_moved(stays: pa.Table, predictions: RowTable, since: int) -> pa.Table:
    """End the stays that are too long where the machine moved on unseen; schema STAYS."""
    now = max(file.last for file in predictions.files()) + 1 if predictions.files() else since
    start, end = to_numpy(stays["start"]), to_numpy(stays["end"], null=now)
    is_long = (end - start > to_numpy(stays["may_stay"]) * HOUR_US) & (end >= since)
    if not is_long.any():
        return stays
    some = stays.filter(to_arrow(is_long)).combine_chunks()
    windows = read_levels(predictions, some, start[is_long], end[is_long], (), MEASURED).combine_chunks()
    return pa.concat_tables([stays.filter(to_arrow(~is_long)), until_it_moved(some, windows)])


def _recent_gaps(gaps: RowTable, since: int, stays: pa.Table) -> pa.Table:
    """Read the last row of each series, and the gaps that show its rhythm then; schema GAPS.

    A gap ends a stay however old it is, so the gaps since the start of a stored stay are read, too.
    """
    first = since - MEMORY_US
    begin, limit = to_numpy(stays["start"]), to_numpy(stays["may_stay"])
    is_long = (begin < first) & (to_numpy(stays["end"], null=since) >= since) & np.isfinite(limit)
    series = row_fingerprints(stays.filter(to_arrow(is_long)), SERIES)
    earliest = int(begin[is_long].min(initial=first))
    found = [empty_table(GAPS)]
    for file in gaps.files():
        has_ended = file.bounds.get("state") == ("ended", "ended")
        if has_ended and file.bounds.get("end", (0, first))[1] < earliest:
            continue
        for rows in gaps.batches(file):
            end = to_numpy(rows["end"], null=first)
            is_due = end >= first
            if series.size:
                is_due |= (end >= earliest) & np.isin(row_fingerprints(rows, SERIES), series)
            found.append(rows.filter(to_arrow(is_due)))
    return pa.concat_tables(found).combine_chunks()


def _first_ranked(incidents: RowTable, n_days: int) -> datetime:
    """Return the first moment of the newest days with predictions, UTC."""
    newest = EPOCH + max(incidents.progress(UNTIL) or 0, 0) * MICROSECOND
    midnight = newest.replace(hour=0, minute=0, second=0, microsecond=0)
    return max(midnight - timedelta(days=n_days - 1), EPOCH)
