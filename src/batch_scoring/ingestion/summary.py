"""Judge and count what a run read of its files, and say it in the log."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from batch_scoring.core.moments import as_text
from batch_scoring.core.text import number
from batch_scoring.ingestion.new_readings import NewReadings
from batch_scoring.ingestion.plain_rows import PlainRows
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.source_files import SourceFile

if TYPE_CHECKING:
    from batch_scoring.ingestion.staging import StagingArea

logger = logging.getLogger(__name__)

# Above this share of a file's readings in the future, a clock is wrong.
_MOSTLY = 0.9
# What to do about rows refused for a reason.
ADVICE = {
    "future_timestamp": "set this machine's clock, or raise ingest.max_future",
    "missing_device": "name its column in ingest.columns.device, or the device in ingest.device",
    "missing_sensor": "name its column in ingest.columns.sensor, or the sensor in ingest.sensor",
    "bad_timestamp": "set ingest.time_format",
    "implausible_time": "set the clocks of the devices, or ingest.time_format or ingest.min_time",
    "not_a_number": "set ingest.decimal, ingest.words, ingest.missing or ingest.unit_suffix",
    "new_device": "if they are devices and no values, raise ingest.max_new_devices and run `kedro readings "
    "retry` with the file's name; else set ingest.columns.device",
    "no_value": "set ingest.words or ingest.missing if these are values",
    "bad_quality": "add what is good, too, to ingest.quality.good",
    "out_of_range": "set ingest.ranges or ingest.convert",
    "conflict": "take the newest file with ingest.on_conflict=newest",
    "same_time": "several readings have one time: keep them with ingest.same_time=mean",
}


def no_counts(sources: int) -> dict[str, Any]:
    """Return the counts of a run that has read nothing of its files."""
    return {
        "sources": sources,
        "refused_sources": 0,
        "rows": 0,
        "stored": 0,
        "already_stored": 0,
        "refused": {},
        "missing": 0,
        "merged": 0,
        "superseded": 0,
        "replaced": 0,
        "shortfalls": [],
    }


def counts_of(new: NewReadings, sources: int, shortfalls: list[str]) -> dict[str, Any]:
    """Count the rows of a run by what became of them.

    ``sources`` are the files to read, with those that were refused as a whole. ``rows`` is the sum of
    ``stored``, ``already_stored``, ``refused``, ``missing``, ``merged`` and ``superseded``.
    """
    aside = _total(new.rows.aside_by_source().values())
    return no_counts(sources) | {
        "refused_sources": len(new.rows.failed),
        "rows": sum(new.rows.rows_by_source().values()),
        "stored": new.stored,
        "already_stored": new.already_stored,
        "refused": dict(sorted(_total(new.rows.refused_by_source().values()).items())),
        "missing": aside["missing_value"],
        "merged": aside["merged"],
        "superseded": aside["superseded"],
        "replaced": new.replaced,
        "shortfalls": shortfalls,
    }


def shortfalls_of(
    found: PlainRows | StagingArea,
    read: Mapping[int, SourceFile],
    settings: IngestSettings,
    latest: datetime,
) -> list[str]:
    """Return a sentence for each file that was mostly refused.

    Which events share a file is chance: of them, all of a run are judged together.
    """
    if isinstance(found, PlainRows):
        return []
    n_rows, refused, aside = found.rows_by_source(), found.refused_by_source(), found.aside_by_source()
    files = {number: [number] for number, file in read.items() if file.format != "events"}
    events = [number for number, file in read.items() if file.format == "events"]
    if events:
        files[events[0]] = events
    sentences = []
    for first, numbers in files.items():
        reasons = _total(refused.get(number, {}) for number in numbers)
        # The reading of a duplicate is stored.
        bad = reasons.total() - reasons["duplicate"]
        others = _total(aside.get(number, {}) for number in numbers)
        total = sum(n_rows.get(number, 0) for number in numbers) - others["missing_value"]
        if not bad:
            continue
        where = read[first].path + (f" and {len(numbers) - 1} more" if len(numbers) > 1 else "")
        if reasons["future_timestamp"] > _MOSTLY * total:
            sentences.append(
                f"{where}: {reasons['future_timestamp']:,} of {total:,} readings are later than "
                f"{latest:%Y-%m-%d %H:%M} UTC (now plus ingest.max_future); {ADVICE['future_timestamp']}; "
                "they are read again once they are not in the future"
            )
        elif bad == total or bad - reasons["no_value"] > settings.max_refused_share * total:
            reason = max(sorted(reasons), key=lambda one: (one != "duplicate", reasons[one]))
            with_reason = next(n for n in numbers if reason in refused.get(n, {}))
            text = found.first_refused(with_reason, reason)
            is_same_time = reason == "conflict" and others["same_time"] > reasons["conflict"] / 2
            advice = ADVICE.get("same_time" if is_same_time else reason, "mend the file")
            sentences.append(
                f"{where}: {bad:,} of {total:,} rows are refused, most as {reason}, the first with {text!r}; "
                f"{advice}; the quarantine has the rows, and `kedro readings inspect` says more of the file"
            )
    return sentences


def log_summary(counts: dict[str, Any], n_files: int, new: NewReadings | None = None) -> None:
    """Log what a run read and what became of it."""
    if not counts["sources"]:
        logger.info("nothing new in %s", number(n_files, "source file"))
        return
    bad = counts["refused_sources"]
    total = f"{sum(counts['refused'].values()):,} refused"
    reasons = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in counts["refused"].items())
    others = {
        "missing": "without a value",
        "merged": "joined with others of their time",
        "superseded": "of older files",
        "replaced": "stored ones replaced",
    }
    more = "".join(f", {counts[key]:,} {text}" for key, text in others.items() if counts[key])
    span = new.rows.span() if new is not None else None
    logger.info(
        "%d of %s read%s: %s, %s stored, %s already stored, %s%s%s",
        counts["sources"] - bad,
        number(n_files, "source file"),
        f", {bad} refused as a whole" if bad else "",
        number(counts["rows"], "row"),
        f"{counts['stored']:,}",
        f"{counts['already_stored']:,}",
        f"{total} ({reasons})" if reasons else total,
        more,
        f"; times from {as_text(span[0])} to {as_text(span[1])}" if span else "",
    )
    if new is not None and not isinstance(new.rows, PlainRows):
        _warn(counts, new.rows)


def _warn(counts: dict[str, Any], area: StagingArea) -> None:
    for settings, names in area.shown.items():
        more = f" and {len(names) - 1:,} more" if len(names) > 1 else ""
        logger.info("%r%s: read with %s", names[0], more, settings)
    same_time = _total(area.aside_by_source().values())["same_time"]
    others = counts["refused"].get("conflict", 0) - same_time
    if same_time:
        logger.warning(
            "%s rows (%.0f %%) share their time with another value of their series in the same file, and "
            "only the first is kept; set ingest.same_time=mean to keep the mean",
            f"{same_time:,}",
            100 * same_time / counts["rows"],
        )
    if others:
        logger.warning(
            "%s rows conflict with stored readings, which are kept; see the quarantine. "
            "To take the newest file, set ingest.on_conflict=newest",
            f"{others:,}",
        )
    hours = area.repeated_hours
    if hours is not None and hours.undecided:
        logger.warning(
            "%s readings fell into the hour that came twice when clocks were set back (%s, %s), and the "
            "order of rows does not tell which: taken as the second time; send times with an offset",
            f"{hours.undecided:,}",
            area.settings.timezone,
            as_text(hours.when),
        )
    if hours is not None and hours.ordered:
        logger.info(
            "%s readings of the hour that came twice when clocks were set back (%s) were assigned by their "
            "order",
            f"{hours.ordered:,}",
            as_text(hours.when),
        )


def _total(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    return sum(map(Counter, counts), Counter())
