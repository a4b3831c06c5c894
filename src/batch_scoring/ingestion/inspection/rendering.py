"""Show an inspection: as text for a terminal, or as plain values for JSON."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from batch_scoring.core.text import number, printable, read_length, text_table
from batch_scoring.ingestion.inspection.columns import Column
from batch_scoring.ingestion.inspection.inspect import Inspection
from batch_scoring.ingestion.inspection.proposal import nested
from batch_scoring.ingestion.inspection.roles import Roles
from batch_scoring.ingestion.inspection.settings_text import params_text, shell_quoted, value_text, yaml_text
from batch_scoring.ingestion.inspection.trial import Trial
from batch_scoring.ingestion.summary import ADVICE
from batch_scoring.ingestion.units import unit_of
from batch_scoring.tables.schemas import READINGS

_WIDTH = 80
_FIRST_ROWS = 5
_MOST_COLUMNS = 30
_USUAL_WINDOW = "5m"  # aggregate.window, where nothing else is set
_SHAPES = {
    "long": "long: a row is one measurement",
    "wide": "wide: a column is a sensor",
    "series": "one series: a time and a value",
}


def as_text(found: Inspection, readings: str, needed_windows: int = 0, given: str = "") -> str:
    """Write an inspection for a terminal, in lines of mostly 80 letters.

    Parameters
    ----------
    found : Inspection
    readings : str
        The file, folder or glob, as a person named it.
    needed_windows : int
        How many windows a series needs for a model.
    given : str, optional
        Parameters of the inspection, as ``--params`` takes them; the command has them, too.
    """
    blocks = [_what(found, readings), _columns(found), _outcome("Read as it is", found.as_is)]
    if found.proposal.settings:
        blocks.append(_outcome("With these settings", found.trial))
    blocks += [_command(found, readings, given), _first_rows(found.trial), _window(found, needed_windows)]
    blocks += [_doubts(found), _verdict(found)]
    return "\n\n".join(filter(None, blocks))


def as_values(found: Inspection, readings: str) -> dict[str, Any]:
    """Return an inspection as plain values."""
    table, roles = found.table, found.roles
    return {
        "readings": readings,
        "files": len(found.files),
        "looked_at": [file.path for file in found.looked_at],
        "is_partial": found.is_partial,
        "format": None if table is None else table.what,
        "text": None if table is None or table.form is None else _form_values(table.form),
        "shape": None if roles is None else roles.shape,
        "columns": [] if table is None else [_column_values(one, roles) for one in table.columns],
        "as_is": _trial_values(found.as_is),
        "settings": nested(found.proposal.settings),
        "params": ",".join(_settings(found)),
        "with_settings": _trial_values(found.trial),
        "window": found.window,
        "windows_of_a_series": found.n_windows,
        "lacking": found.proposal.lacking,
        "doubts": found.proposal.doubts,
        "is_readable": found.is_readable,
    }


def sentence(found: Inspection) -> str:
    """Say in one sentence why files cannot be read, and what to do."""
    if found.proposal.lacking:
        return "; ".join(found.proposal.lacking)
    if found.trial.errors:
        is_one = len(found.trial.errors) < len(found.looked_at) and found.trial.readings.num_rows
        more = "; other files can be read: move this one elsewhere, or name those by a glob" if is_one else ""
        return found.trial.errors[0] + more
    refused = found.trial.in_error
    if not refused:
        return "there are no rows; expected a row for each time"
    reason, most = max(found.trial.refused.items(), key=lambda item: item[1].rows)
    return (
        f"{refused:,} of {refused + found.trial.readings.num_rows:,} rows would be refused, most as "
        f"{reason}, such as {most.first!r} in row {most.row}; "
        f"{ADVICE.get(reason, 'set what the file means in ingest.…')}"
    )


def _what(found: Inspection, readings: str) -> str:
    table = found.table
    lines = [printable(readings)]
    if len(found.files) > 1:
        lines[0] += f": {len(found.files):,} files, {len(found.looked_at)} of them looked at"
    if table is None:
        return lines[0]
    what = table.what
    if table.form is not None:
        form = table.form
        skipped = f", {number(form.skip_lines, 'line')} above the header" if form.skip_lines else ""
        header = number(form.header, "header line") if form.header else "no header"
        names = {"\t": "tab", " ": "space"}
        marks = names.get(form.delimiter, repr(form.delimiter))
        comment = f", comments with {form.comment}" if form.comment else ""
        of_text = f"{table.what} in {form.encoding}, delimiter {marks}"
        what = f"{of_text if table.what == 'text' else table.what}, {header}{skipped}{comment}"
    lines.append(what)
    if found.roles is not None:
        lines.append(_SHAPES[found.roles.shape])
    part = "beginning, middle and end" if found.is_partial else "all"
    lines.append(f"{number(table.n_rows, 'row')} looked at ({part})")
    return "\n".join(lines)


def _columns(found: Inspection) -> str:
    if found.table is None or not found.table.columns:
        return ""
    rows = [("column", "looks like", "role")] + [
        (_short(column.name, 24), _short(_look(column), 34), _role(column, found.roles))
        for column in found.table.columns[:_MOST_COLUMNS]
    ]
    more = len(found.table.columns) - _MOST_COLUMNS
    return text_table(rows) + (f"\n… and {more} more" if more > 0 else "")


def _look(column: Column) -> str:
    if not column.texts:
        return "empty"
    first = column.texts[0]
    if column.time is not None and column.is_clearly_time:
        return f"{column.time.holds} {first} ({column.time.formats[0]})"
    if column.time is not None and column.time.holds == "clock":
        return f"time of day {first}"
    if column.number is not None:
        kind = "words" if column.number.words else "numbers"
        unit = f" {next(iter(column.number.units))}" if column.number.units else ""
        missing = f", missing: {', '.join(column.number.missing)}" if column.number.missing else ""
        return f"{kind} such as {first}{'' if unit.strip() in first else unit}{missing}"
    if column.distinct == 1:
        return f"always {first}"
    return f"{column.distinct} texts such as {first}"


def _role(column: Column, roles: Roles | None) -> str:
    if roles is None:
        return ""
    known = (("timestamp", roles.time), ("device", [roles.device]), ("sensor", [roles.sensor]))
    for role, columns in (*known, ("value", [roles.value]), ("a sensor", roles.sensors)):
        if column in columns:
            unit = unit_of(column.name) if role in ("a sensor", "value") else None
            return f"{role}, in {unit}" if unit else role
    return "–"


def _outcome(title: str, trial: Trial) -> str:
    if trial.errors:
        # What an error proposes is proposed below, and tried.
        error = trial.errors[0].partition("; name what it is")[0]
        return "\n".join(_wrapped(f"{title}: not read. {error}"))
    missing = f", {trial.missing:,} without a value" if trial.missing else ""
    stored = number(trial.readings.num_rows, "reading")
    lines = [f"{title}: {stored} stored, {trial.in_error:,} refused{missing}"]
    for reason, one in sorted(trial.refused.items(), key=lambda item: -item[1].rows):
        first = f": {_short(one.first, 40)!r}" if one.first else ""
        lines.append(f"  {one.rows:,} {reason}, the first in row {one.row}{first}")
    return "\n".join(lines)


def _command(found: Inspection, readings: str, given: str) -> str:
    """Write the command that reads the files, and its settings as a file of them."""
    settings, zone = found.proposal.settings, found.proposal.zone
    if not found.is_readable and not (settings and found.trial.readings.num_rows):
        return ""
    folder = re.sub(r"\W+", "_", Path(readings.rstrip("/*")).name.partition(".")[0]).strip("_") or "own"
    params = f"readings={value_text(readings)},data=data/{folder}"
    # What is given is behind what is assumed: the last one counts.
    params = ",".join(filter(None, [params, *_settings(found), given]))
    lines = [f"  kedro run --params {shell_quoted(params)}"]
    if zone and "ingest.timezone" not in given:
        said = f"The times have no zone: in place of {zone} write theirs, such as Europe/Berlin."
        lines += ["", said]
    if settings:
        text = textwrap.indent(yaml_text({"ingest": nested(found.proposal.stated)}), "  ")
        lines += ["", "or in conf/local/parameters_ingest.yml", "", text]
    return "\n".join(lines)


def _settings(found: Inspection) -> list[str]:
    """Return the settings of the readings and the window, as ``--params`` takes them."""
    window = "" if found.window in (None, _USUAL_WINDOW) else f"aggregate.window={found.window}"
    return [text for text in (params_text(found.proposal.stated), window) if text]


def _first_rows(trial: Trial) -> str:
    rows = trial.readings.slice(0, _FIRST_ROWS).to_pylist()
    if not rows:
        return ""
    listed = [tuple(READINGS.names)]
    for row in rows:
        texts = {name: _short(str(row[name]), 24) for name in READINGS.names}
        texts["timestamp"] = row["timestamp"].strftime("%Y-%m-%dT%H:%M:%SZ")
        listed.append(tuple(texts[name] for name in READINGS.names))
    return "The first readings as they are stored\n\n" + text_table(listed, right=["value"])


def _window(found: Inspection, needed: int) -> str:
    if found.interval is None or found.window is None:
        return ""
    usual = "the default" if found.window == _USUAL_WINDOW else "aggregate.window"
    lines = [f"A reading every {read_length(found.interval)}: windows of {found.window} ({usual})"]
    if found.n_windows is not None and found.n_windows < needed:
        few = (
            f"Too short for a model: most series have {number(found.n_windows, 'window')}, and a model needs "
            f"{needed:,} (train.fit.min_windows of train.share); add readings of a longer time"
        )
        lines += _wrapped(few)
    return "\n".join(lines)


def _doubts(found: Inspection) -> str:
    doubts = found.proposal.doubts
    lines = [line for doubt in doubts for line in _wrapped(f"- {doubt}")]
    return "\n".join(["To check", *lines]) if lines else ""


def _verdict(found: Inspection) -> str:
    if not found.is_readable:
        return ""
    return "It can be read with these settings." if found.proposal.settings else "It can be read as it is."


def _wrapped(text: str) -> Iterator[str]:
    yield from textwrap.wrap(printable(text), _WIDTH, subsequent_indent="  ", break_long_words=False)


def _short(text: str, width: int) -> str:
    shown = printable(text)
    return shown if len(shown) <= width else shown[: width - 1] + "…"


def _form_values(form: Any) -> dict[str, Any]:
    names = ("encoding", "delimiter", "comment", "skip_lines", "header")
    return {name: getattr(form, name) for name in names}


def _column_values(column: Column, roles: Roles | None) -> dict[str, Any]:
    role = _role(column, roles)
    return {
        "name": column.name,
        "looks_like": _look(column),
        "role": None if role == "–" else role.removeprefix("a ").partition(", in ")[0],
        "unit": unit_of(column.name),
        "why": None if roles is None else roles.reasons.get(column.name),
    }


def _trial_values(trial: Trial) -> dict[str, Any]:
    rows: Sequence[dict[str, Any]] = trial.readings.slice(0, _FIRST_ROWS).to_pylist()
    return {
        "stored": trial.readings.num_rows,
        "missing": trial.missing,
        "refused": {
            reason: {"rows": one.rows, "first": one.first, "row": one.row}
            for reason, one in trial.refused.items()
        },
        "errors": list(trial.errors),
        "first": [row | {"timestamp": row["timestamp"].isoformat()} for row in rows],
    }
