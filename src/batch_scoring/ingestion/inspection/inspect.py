"""Inspect files of readings: describe them, propose settings, and try these on a sample."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.ingestion.envelopes import TABLES
from batch_scoring.ingestion.file_formats import readable_form
from batch_scoring.ingestion.inner_files import inner_files
from batch_scoring.ingestion.inspection.proposal import ZONE, Proposal, in_envelope, nested, propose, without
from batch_scoring.ingestion.inspection.repeated_hour import repeated_hour, rounded_times
from batch_scoring.ingestion.inspection.roles import Roles, roles_as_read
from batch_scoring.ingestion.inspection.sample import take_sample
from batch_scoring.ingestion.inspection.table import Table, read_table
from batch_scoring.ingestion.inspection.trial import Trial, try_reading
from batch_scoring.ingestion.intervals import median_interval, suitable_window, windows_of_a_series
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.staging import open_database
from batch_scoring.ingestion.workbooks import sheet_names, sheets_alike

if TYPE_CHECKING:
    import duckdb

T = TypeVar("T")
Reader = Callable[[Mapping[str, Any]], Trial]

# Of many files some are looked at, spread over their names.
MOST_FILES = 6
_MOST_SHEETS = 10
ALL_SHEETS = "*"
# Settings that name what no column names: what is read without them is as good.
_NAMES = frozenset(("device", "sensor", "path"))
# Settings that are often not needed.
_KINDS = {
    "form": ("encoding", "comment", "delimiter", "skip_lines", "header"),
    "columns": ("columns", "shape", "wide"),
    "values": ("time_format", "decimal", "thousands", "missing", "unit_suffix", "words"),
}
# Of the readings; fewer contradictions are for the quarantine.
_MANY = 0.05


@dataclass(frozen=True)
class Inspection:
    """What is known of some files of one form.

    Attributes
    ----------
    files : list of SourceFile
    looked_at : list of SourceFile
        The files that a sample was taken from.
    is_partial : bool
        Whether a file was larger than its sample.
    table : Table or None
        The first sample as columns; None where it has none to show.
    roles : Roles or None
    as_is : Trial
        What the present settings give.
    proposal : Proposal
        The settings to add, as few as do; none where the files are read as they are.
    trial : Trial
        What the present settings and the proposal give.
    """

    files: list[SourceFile]
    looked_at: list[SourceFile]
    is_partial: bool
    table: Table | None
    roles: Roles | None
    as_is: Trial
    proposal: Proposal
    trial: Trial

    @property
    def is_readable(self) -> bool:
        """Whether the files can be read, as they are or with the proposal."""
        return self.trial.is_readable

    @cached_property
    def interval(self) -> float | None:
        """Median of the seconds between two readings of a series; None without two of one."""
        return median_interval([self.trial.readings])

    @property
    def window(self) -> str | None:
        """A length of window that holds several readings of a series; None without two of one."""
        return None if self.interval is None else suitable_window(self.interval)

    @property
    def n_windows(self) -> int | None:
        """How many of these windows most series have; None where only a part of the readings was read."""
        is_all = not self.is_partial and len(self.looked_at) == len(self.files)
        return windows_of_a_series(self.trial.readings, self.window) if self.window and is_all else None


def inspect_files(files: Sequence[SourceFile], settings: Mapping[str, Any] | None = None) -> Inspection:
    """Inspect files, which should be of one form; of a workbook, the first sheet that can be read.

    Of each file looked at, at most about a megabyte is read; the rest of the work is proportional to that.

    Parameters
    ----------
    files : sequence of SourceFile
        At least one.
    settings : mapping, optional
        ``params:ingest`` as configured.

    Raises
    ------
    InputError
        When no file can be opened.
    """
    present = dict(settings or {})
    found = _inspected(files, present)
    if found.looked_at[0].format != "workbook" or present.get("sheet") is not None:
        return found
    with found.looked_at[0].opened() as path:
        names = sheet_names(path)[:_MOST_SHEETS]
        n_alike = len(sheets_alike(path, ALL_SHEETS)) if len(names) > 1 else 0
    if len(names) < 2:
        return found
    if n_alike > 1:
        every = _inspected(files, {**present, "sheet": ALL_SHEETS})
        if every.is_readable:
            settings = {"sheet": ALL_SHEETS, **every.proposal.settings}
            return replace(every, as_is=found.as_is, proposal=replace(every.proposal, settings=settings))
    if found.is_readable:
        return _naming_sheets(found, names[0], names[1:])
    for name in names[1:]:
        other = _inspected(files, {**present, "sheet": name})
        if other.is_readable:
            settings = {"sheet": name, **other.proposal.settings}
            full = replace(found, trial=other.trial, table=other.table, roles=other.roles)
            others = [one for one in names if one != name]
            return _naming_sheets(
                replace(full, proposal=replace(other.proposal, settings=settings)), name, others
            )
    return found


def _naming_sheets(found: Inspection, name: str, others: Sequence[str]) -> Inspection:
    """Say which sheet is read, and which are not."""
    listed = ", ".join(map(repr, others))
    said = (
        f"the sheet {name!r} is read, and not {listed}; set ingest.sheet, or save them as files of their own"
    )
    assumed = [*found.proposal.assumed, ("", said)]
    return replace(found, proposal=replace(found.proposal, assumed=assumed))


def _inspected(files: Sequence[SourceFile], present: Mapping[str, Any]) -> Inspection:
    with ExitStack() as stack:
        folder = stack.enter_context(scratch_folder(present.get("temp_directory")))
        files = _with_inner(files, present, folder)
        chosen = _spread(files)
        samples, first_error = [], None
        for file in chosen:
            try:
                path = stack.enter_context(file.opened())
                samples.append(take_sample(file, path, folder))
            except (InputError, OSError) as error:
                first_error = first_error or InputError(str(error))
        if not samples:
            assert first_error is not None
            raise first_error
        database = _database(present, folder, stack)

        def read(proposed: Mapping[str, Any]) -> Trial:
            found = try_reading(samples, merged(present, nested(dict(proposed))), database)
            # A person knows the file, not its sample.
            return replace(found, errors=tuple(error.replace(str(folder), "") for error in found.errors))

        table = _first_telling(samples, present, folder)
        as_is = read({})
        roles = None if table is None else _roles(table, as_is, present)
        full, best = _proposed(table, roles, files, str(present.get("timezone", "UTC")), as_is, read)
    is_partial = any(one.size != file.size for one, file in zip(samples, chosen, strict=False))
    return Inspection(list(files), chosen, is_partial, table, roles, as_is, full, best)


def _database(present: Mapping[str, Any], folder: Path, stack: ExitStack) -> duckdb.DuckDBPyConnection | None:
    """Open one database for all trials; none where the settings are refused."""
    try:
        return stack.enter_context(open_database(read_settings(present), folder))
    except InputError:
        return None  # reading them says why


def merged(settings: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested settings with others added, which win.

    Examples
    --------
    >>> merged({"columns": {"device": "d"}}, {"columns": {"sensor": "s"}})
    {'columns': {'device': 'd', 'sensor': 's'}}
    """
    result = deepcopy(dict(settings))
    for name, value in more.items():
        there = result.get(name)
        both = isinstance(there, Mapping) and isinstance(value, Mapping)
        result[name] = merged(there, value) if both else value  # type: ignore[arg-type]
    return result


def _with_inner(
    files: Sequence[SourceFile], present: Mapping[str, Any], folder: Path
) -> Sequence[SourceFile]:
    """Return files, of archives and workbooks those in them; of many, of the ones to look at."""
    if all(one.format not in ("archive", "workbook") for one in _spread(files)):
        return files
    try:
        settings = read_settings(present)
    except InputError:
        return files  # reading them says why
    return [file for one in _spread(files) for file in inner_files(one, settings, folder, _spread)]


def _spread(files: Sequence[T]) -> list[T]:
    step = max(1, -(-len(files) // MOST_FILES))
    return list(files[::step])


def _first_telling(samples: Sequence[SourceFile], settings: Mapping[str, Any], folder: Path) -> Table | None:
    """Return the first sample with times and numbers, as notes or labels beside the readings have none."""
    first: Table | None = None
    for sample in samples:
        table = _look_at(sample, settings, folder)
        if table is not None and table.roles.time and (table.roles.value or table.roles.sensors):
            return table
        first = first or table
    return first


def _look_at(sample: SourceFile, settings: Mapping[str, Any], folder: Path) -> Table | None:
    try:
        with sample.opened() as path:
            table = read_table(*readable_form(path, sample.format, read_settings(settings), folder))
        if table is None or sample.format != "workbook":
            return table
        return replace(table, what="workbook")
    except (InputError, pa.ArrowException, OSError, EOFError, RecursionError, zlib.error):
        return None  # reading it says why


def _roles(table: Table, as_is: Trial, present: Mapping[str, Any]) -> Roles:
    """Return the roles that the columns have where all is read, or else those they may have."""
    is_read = as_is.is_readable and not as_is.in_error and table.envelope is None
    known = roles_as_read(table.columns, read_settings(present)) if is_read else None
    return known or table.roles


def _proposed(
    table: Table | None,
    roles: Roles | None,
    files: Sequence[SourceFile],
    timezone: str,
    as_is: Trial,
    read: Reader,
) -> tuple[Proposal, Trial]:
    """Return the settings that read the files best, as few as do."""
    if table is None or roles is None:
        return Proposal(), as_is
    if table.envelope is not None and table.envelope not in TABLES:
        for wrapped in in_envelope(table, files):
            trial = read(wrapped.settings)
            if trial.is_readable and trial.outcome[:2] <= as_is.outcome[:2]:
                return _fewest(wrapped, trial, read)
    full = propose(table, roles, files, timezone)
    if as_is.is_readable and not as_is.in_error and not full.changes_meaning:
        return replace(full, settings={}), as_is
    if full.lacking:
        return replace(full, settings={}), as_is
    trial = read(full.settings)
    if trial.outcome[:2] > as_is.outcome[:2]:
        full, trial = replace(full, settings={}), as_is
    full, trial = _fewest(full, trial, read)
    full = _naming_lost(full, roles, trial)
    hour = repeated_hour(roles.time[0]) if roles.time and "conflict" in trial.refused else None
    if hour is not None:
        return replace(full, assumed=[*full.assumed, ("", hour)], zone=ZONE), trial
    rounded = rounded_times(roles.time[0]) if roles.time else None
    return _keeping_all(full, trial, read, _telling_apart(table, roles), rounded)


def _fewest(proposal: Proposal, trial: Trial, read: Reader) -> tuple[Proposal, Trial]:
    """Leave out each setting without which the same is stored, those of one kind at once where that goes."""
    settings, best = dict(proposal.settings), trial
    kinds = [
        [name for name in settings if _kind(name) == kind] for kind in dict.fromkeys(map(_kind, settings))
    ]
    groups = [*kinds, *([name] for kind in kinds if len(kind) > 1 for name in kind)]
    for group in groups:
        fewer = without(settings, group)
        if fewer == settings:
            continue
        found = read(fewer)
        is_as_good = found.outcome <= best.outcome if set(group) <= _NAMES else found.gives_the_same(best)
        if group == ["time_format"]:  # of itself, ingestion takes several formats
            is_as_good = is_as_good or found.outcome[:2] < best.outcome[:2]
        if is_as_good:
            settings, best = fewer, found
    return replace(proposal, settings=settings), best


def _naming_lost(proposal: Proposal, roles: Roles, trial: Trial) -> Proposal:
    """Say which columns of numbers give no reading."""
    stored = trial.readings["sensor"].unique().to_pylist()
    known = frozenset(stored)
    lost = [
        one.name
        for one in roles.sensors
        if one is not roles.value
        and one.name not in known
        and not any(one.name.endswith(name) or name.endswith(one.name) for name in stored)
    ]
    if not lost or trial.errors:
        return proposal
    sentence = f"no reading comes from {', '.join(lost)}; to store them, name them in ingest.wide.sensors"
    return replace(proposal, assumed=[*proposal.assumed, ("", sentence)])


def _telling_apart(table: Table, roles: Roles) -> list[str]:
    """Return the columns without a role that tell the rows of one time apart, as ids of sensors do."""
    ids = [one for one in (*roles.time, roles.device, roles.sensor) if one is not None]
    measured = {*ids, roles.value, *roles.sensors}
    others = [
        one
        for one in table.columns
        if one not in measured
        and 1 < one.distinct <= len(one.texts) // 2
        and (one.is_id or all(map(str.isdigit, one.texts)))
        and all(len(one.texts) == len(other.texts) for other in ids)
    ]
    n_rows = len(set(zip(*(one.texts for one in ids), strict=False)))
    rows = {other.name: len(set(zip(*(one.texts for one in (*ids, other)), strict=True))) for other in others}
    return [name for name, n in rows.items() if n == len(ids[0].texts) > n_rows] if ids else []


def _keeping_all(
    proposal: Proposal, trial: Trial, read: Reader, telling_apart: Sequence[str], rounded: str | None
) -> tuple[Proposal, Trial]:
    """Propose to join the readings of one time, where many contradict each other and nothing tells why."""
    conflicts = trial.refused.get("conflict")
    if trial.errors or conflicts is None or conflicts.rows < _MANY * trial.readings.num_rows:
        return proposal, trial
    if rounded or telling_apart:
        sentence = rounded or (
            f"{conflicts.rows:,} rows have a time, device and sensor of another row; they differ in "
            f"{telling_apart[0]}: set ingest.columns.device or ingest.columns.sensor to it"
        )
        if not trial.is_readable:
            return replace(proposal, lacking=[sentence]), trial
        return replace(proposal, assumed=[*proposal.assumed, ("", sentence)]), trial
    settings = {**proposal.settings, "same_time": "mean"}
    found = read(settings)
    if found.in_error >= trial.in_error:
        return proposal, trial
    sentence = (
        f"{conflicts.rows:,} rows have a time, device and sensor of another row; their mean is taken. If "
        "they are of several devices or sensors, set ingest.columns"
    )
    return replace(proposal, settings=settings, assumed=[*proposal.assumed, ("same_time", sentence)]), found


def _kind(name: str) -> str:
    return next((kind for kind, names in _KINDS.items() if name.partition(".")[0] in names), name)
