"""Propose the settings under which a file would be read, and say what remains in doubt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import available_timezones

from batch_scoring.ingestion.envelopes import TABLES
from batch_scoring.ingestion.inspection.columns import Column
from batch_scoring.ingestion.inspection.numbers import MARKS, MISSING_WORDS
from batch_scoring.ingestion.inspection.path_template import (
    name_quantities,
    names_nothing,
    path_template,
    undated,
)
from batch_scoring.ingestion.inspection.remarks import holds_bytes, remarks
from batch_scoring.ingestion.inspection.repeated_hour import half_days
from batch_scoring.ingestion.inspection.roles import Roles
from batch_scoring.ingestion.inspection.table import Table
from batch_scoring.ingestion.inspection.times import ISO
from batch_scoring.ingestion.inspection.unread_forms import unread_forms
from batch_scoring.ingestion.interpretation import EXCEL
from batch_scoring.ingestion.numbers import NO_VALUES
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.shapes import is_arrival
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.text_bytes import without_compression
from batch_scoring.ingestion.time_spelling import OFFSETS

# As loggers name the zone of winter and summer.
_OF_A_YEAR = {
    "EST/EDT": "America/New_York",
    "CST/CDT": "America/Chicago",
    "MST/MDT": "America/Denver",
    "PST/PDT": "America/Los_Angeles",
    "CET/CEST": "Europe/Paris",
}
# Stands for a zone that only a person knows; no run takes it for one.
ZONE = "ZONE"
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
# What a column of times of day beside one of dates is named.
_CLOCKS = frozenset(("time", "zeit", "uhrzeit", "hora", "heure", "hour", "hours", "stunde", "stunden"))
_DELIMITER_WORDS = {"\t": "tab", " ": "space"}


@dataclass(frozen=True)
class Proposal:
    """Settings with dotted names below ``ingest``, and what a person should know of them.

    Attributes
    ----------
    settings : dict of str to Any
        Such as ``{"columns.timestamp": "when", "decimal": ","}``.
    lacking : list of str
        What no setting can give, a sentence each; a file with one cannot be read.
    assumed : list of (str, str)
        A setting, or nothing, and a sentence on what is assumed with it and may be otherwise.
    zone : str
        The zone that times without one are taken as, or :data:`ZONE` where it must be another one; empty
        where the times say theirs.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    assumed: list[tuple[str, str]] = field(default_factory=list)
    zone: str = ""

    @property
    def stated(self) -> dict[str, Any]:
        """The settings with the zone that is assumed: a command that names it can be seen to be wrong."""
        return {**self.settings, **({"timezone": self.zone} if self.zone else {})}

    @property
    def changes_meaning(self) -> bool:
        """Whether readings may be understood otherwise where all of them can be read without the proposal."""
        return any(name in self.settings for name in ("missing", "words", "wide.sensors")) or any(
            name in ("wide.not_sensors", "columns.timestamp") for name, _ in self.assumed
        )

    @property
    def doubts(self) -> list[str]:
        """What a person should look at: assumptions of the proposed settings, or of none."""
        return [sentence for name, sentence in self.assumed if not name or name in self.settings]


def propose(table: Table, roles: Roles, files: Sequence[SourceFile], timezone: str = "UTC") -> Proposal:
    """Propose all settings that a file may need; which of them it does need is for a trial to find.

    Parameters
    ----------
    table : Table
    roles : Roles
    files : sequence of SourceFile
        All files of the same form, with names relative to their folder.
    timezone : str
        The zone that times without one are taken as.
    """
    proposal = Proposal()
    if not roles.time:
        clocks = [one.name for one in table.columns if one.time is not None and one.time.holds == "clock"]
        proposal.lacking.append(
            (f"{clocks[0]} is a time of day without a date" if clocks else "no column is a time")
            + "; expected one such as 2026-03-02T00:00:00Z: add it to the file"
        )
    halved = next(filter(None, map(half_days, roles.time)), None)
    if halved is not None:
        proposal.lacking.append(halved)
        proposal.assumed.append(("", halved))
    unread = _unread_clock(table, roles)
    if unread is not None:
        proposal.lacking.append(
            f"{unread.name}: {unread.texts[0]!r} is not a known time of day; expected one such as 17:05:00"
        )
    if _are_pairs(table.columns):
        proposal.lacking.append(
            "each column of values has times of its own; write each pair of columns to a file of its own"
        )
    proposal.lacking.extend(unread_forms(table.columns, roles))
    if table.form is not None:
        _propose_form(table, proposal)
    if table.envelope in TABLES:
        proposal.settings["envelope"] = table.envelope
    _propose_columns(roles, files, proposal, table.envelope in TABLES)
    arrival = [one.name for one in table.columns if one.is_clearly_time and is_arrival(one.name)]
    if arrival and len(roles.time) == 1 and roles.time[0].name not in arrival:
        said = f"{roles.time[0].name} is taken as the time, and not {arrival[0]}, when a hub got the event"
        proposal.assumed.append(("columns.timestamp", said))
    proposal = replace(proposal, zone=_propose_times(roles, timezone, proposal))
    values = [roles.value] if roles.value is not None else roles.sensors
    if not values and not proposal.lacking:
        encoded = [column for column in table.columns if column.is_encoded]
        what = "".join(f", and {holds_bytes(column)}: decode them first" for column in encoded[:1])
        proposal.lacking.append(
            f"no column holds numbers{what}; expected one of measured values, or one a sensor"
        )
    # Who writes dates with points often writes thousands with them.
    is_by_points = any(one.time is not None and one.time.formats[0].startswith("%d.") for one in roles.time)
    is_by_commas = table.form is not None and table.form.delimiter == ","
    _propose_numbers(values, proposal, is_by_commas, is_by_points)
    proposal.assumed.extend(("", said) for said in remarks(table.columns, roles))
    return proposal


def in_envelope(table: Table, files: Sequence[SourceFile]) -> list[Proposal]:
    """Return what may read a known envelope, best first: it names the device, or a tag or the file does."""
    envelope = {"envelope": table.envelope}
    tags = [column for column in table.columns if column.name.startswith(("tags.", "metric."))]
    telling = [column for column in tags if column.fit("device")]
    telling.sort(key=lambda column: (min(column.distinct, 2), column.fit("device")), reverse=True)
    by_tag = [Proposal(envelope | {"columns.device": column.name}) for column in telling[:1]]
    by_file = Proposal(dict(envelope))
    _fix_by_name("device", files[0], by_file)
    return [Proposal(dict(envelope)), *by_tag, by_file]


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with dotted names as nested ones.

    Examples
    --------
    >>> nested({"columns.timestamp": "t", "decimal": ","})
    {'columns': {'timestamp': 't'}, 'decimal': ','}
    """
    tree: dict[str, Any] = {}
    for name, value in settings.items():
        *groups, last = name.split(".", 1)
        branch = tree
        for group in groups:
            branch = branch.setdefault(group, {})
        branch[last] = value
    return tree


def _propose_form(table: Table, proposal: Proposal) -> None:
    form = table.form
    assert form is not None
    if form.encoding not in ("utf-8", "utf-16"):
        proposal.settings["encoding"] = form.encoding
        proposal.assumed.append(
            (
                "encoding",
                f"the encoding is taken as {form.encoding}: look at the names below",
            )
        )
    if form.comment:
        proposal.settings["comment"] = form.comment
    proposal.settings["delimiter"] = _DELIMITER_WORDS.get(form.delimiter, form.delimiter)
    proposal.settings["skip_lines"] = form.skip_lines
    proposal.settings["header"] = form.header or "none"


def _propose_columns(roles: Roles, files: Sequence[SourceFile], proposal: Proposal, is_opened: bool) -> None:
    settings = proposal.settings
    if len(roles.time) == 1 and roles.time[0].name:
        settings["columns.timestamp"] = roles.time[0].name
    elif len(roles.time) > 1:
        settings["columns.timestamp"] = _template(roles)
    if roles.shape == "long":
        settings["shape"] = "long"
        for role, column in (("sensor", roles.sensor), ("value", roles.value)):
            assert column is not None
            settings[f"columns.{role}"] = column.name
            if role == "sensor" and not column.fit(role):
                said = f"{column.name}: taken as the names of sensors, such as {column.texts[0]!r}"
                proposal.assumed.append(("columns.sensor", said))
    elif roles.shape == "wide":
        settings["shape"] = "wide"
        if is_opened or any(one.number is not None and not one.number.is_plain for one in roles.sensors):
            # Of themselves only columns of numbers are sensors, and in JSON no numbers in quotes.
            settings["wide.sensors"] = [column.name for column in roles.sensors]
        usual = list(IngestSettings().wide.not_sensors)
        more = [column.name for column in roles.left_out if column.name.casefold() not in usual]
        settings["wide.not_sensors"] = [*usual, *more]
        if roles.left_out:
            listed = ", ".join(column.name for column in roles.left_out)
            proposal.assumed.append(
                (
                    "wide.not_sensors",
                    f"left out, as they measure nothing: {listed}; set ingest.wide.not_sensors",
                )
            )
    else:
        assert roles.value is not None
        settings["columns.value"] = roles.value.name
    if roles.device is not None:
        settings["columns.device"] = roles.device.name
    needed = [role for role in ("device", "sensor") if getattr(roles, role) is None]
    if roles.shape == "wide":
        needed.remove("sensor")
    if needed:
        _propose_path(roles, files, needed, proposal)


def _unread_clock(table: Table, roles: Roles) -> Column | None:
    """Return a column of times of day beside one of dates that was not understood; None without one."""
    look = roles.time[0].time if len(roles.time) == 1 else None
    if look is None or look.holds != "date":
        return None
    clocks = [one for one in table.columns if one.words and one.words[-1] in _CLOCKS]
    return next((one for one in clocks if one not in roles.time and one.number is None), None)


def _are_pairs(columns: Sequence[Column]) -> bool:
    """Whether columns of times and of numbers take turns, so that each sensor has its own times."""
    kinds = [one.is_clearly_time and not one.is_no_sensor for one in columns if one.texts and one.name]
    times, values = columns[::2], columns[1::2]
    return (
        len(columns) > 3
        and kinds == [True, False] * len(values)
        and all(one.number for one in values)
        and (len({one.texts for one in times}) > 1)
    )


def _template(roles: Roles) -> str:
    parts = [f"{{{column.name}}}" for column in roles.time]
    return "".join(part + mark for part, mark in zip(parts, [*roles.time_marks, ""], strict=True))


def _propose_path(
    roles: Roles, files: Sequence[SourceFile], needed: Sequence[str], proposal: Proposal
) -> None:
    """Take what no column says from the paths of the files, or fix it by the name of the one file."""
    # In one archive or workbook, its own name tells nothing apart.
    outer = f"{files[0].within}/" if len({file.within for file in files}) == 1 else ""
    names = [PurePosixPath(file.name.removeprefix(outer)) for file in files]
    suffix = Counter(name.suffix for name in names).most_common(1)[0][0]  # of readings, not of notes
    alike = [file for file, name in zip(files, names, strict=True) if name.suffix == suffix]
    stems = [name for name in names if name.suffix == suffix]
    is_named = not (outer and all(names_nothing(name.stem) for name in stems))
    template = path_template(stems, needed) if is_named else None
    if len(needed) == 2 and template is not None and name_quantities(names):
        folder = _folder_of(files[0])
        proposal.settings["path"] = template.replace("{device}", "{sensor}")
        proposal.settings["device"] = folder
        proposal.assumed.append(
            ("device", f"the files name the sensors; no device is named: taken as {folder!r}, their folder")
        )
        return
    if template is not None:
        proposal.settings["path"] = template
    else:
        _fix_by_name(needed[0], alike[0], proposal)
    if "sensor" in needed and (template is None or "{sensor}" not in template):
        assert roles.value is not None
        sensor = roles.value.name.rpartition("[].")[2]
        proposal.settings["sensor"] = sensor
        proposal.assumed.append(("sensor", f"no column names the sensor: taken as {sensor!r}, its column"))


def _fix_by_name(role: str, file: SourceFile, proposal: Proposal) -> None:
    path = PurePosixPath(without_compression(file.path))
    # Tomorrow's file has another date.
    name, what = undated(path.stem), "the name of the file"
    if not name or (file.within and names_nothing(path.stem)):
        name, what = _folder_of(file) or path.stem, "the name of the archive" if file.within else "its folder"
    proposal.settings[role] = name
    proposal.assumed.append((role, f"no column names the {role}: taken as {name!r}, {what}"))


def _folder_of(file: SourceFile) -> str:
    """Return the name of the folder, archive or workbook that a file lies in."""
    parent = PurePosixPath(file.path).parent
    return undated(parent.stem) or parent.stem if file.within.endswith(parent.name) else parent.name


def _propose_times(roles: Roles, timezone: str, proposal: Proposal) -> str:
    """Propose how times are read; returns the zone that they are taken as, empty where they say theirs."""
    if not roles.time:
        return ""
    looks = [column.time for column in roles.time]
    first = looks[0]
    form = roles.time_format or (first.formats[0] if first else ISO)
    if form != ISO:
        proposal.settings["time_format"] = form
    name = roles.time[0].name or "the column without a name"
    if form == EXCEL:
        proposal.assumed.append(
            ("time_format", f"{name}: the numbers are taken as days of a spreadsheet since 1899-12-30")
        )
    if first is not None and first.is_doubtful:
        text = roles.time[0].texts[0]
        others = ", ".join(repr(one) for one in first.formats[1:])
        proposal.assumed.append(
            (
                "",
                f"{name}: {text!r} may be day or month first; taken as {form!r}; else set "
                f"ingest.time_format to {others}",
            )
        )
    has_zone = any(look.has_zone for look in looks if look is not None) or "%z" in form
    is_typed = any("tz=" in column.type for column in roles.time)
    if has_zone or is_typed or (first is None and roles.time[0].number is not None):
        return ""
    stated = next(filter(None, (_zone_in(column.name) for column in roles.time)), None)
    if stated is not None:
        if stated != timezone:
            proposal.settings["timezone"] = stated
        proposal.assumed.append(("timezone", f"{name}: the zone is taken from the name of the column"))
        return ""
    proposal.assumed.append(
        (
            "",
            f"{name}: the times have no zone and are taken as {timezone}; else set ingest.timezone, such "
            "as Europe/Berlin",
        )
    )
    return timezone


def _zone_in(name: str) -> str | None:
    """Return the zone that the name of a column of times states, of whole hours; None without one.

    Examples
    --------
    >>> _zone_in("Date Time, GMT-06:00"), _zone_in("time (UTC)"), _zone_in("GMT+05:30"), _zone_in("when")
    ('Etc/GMT+6', 'UTC', None, None)
    >>> _zone_in("Date-Time (EST/EDT)"), _zone_in("Date-Time (EST)"), _zone_in("Timestamp (Europe/Paris)")
    ('America/New_York', 'Etc/GMT+5', 'Europe/Paris')
    """
    named: list[str] = re.findall(r"[A-Z][A-Za-z_]+/[A-Z][A-Za-z_/]+", name)
    for zone in (_OF_A_YEAR.get(one, one) for one in named):
        if zone in available_timezones():
            return zone
    short = [OFFSETS[one][:3] for one in re.findall(r"[A-Z]{3,4}", name) if one in OFFSETS]
    found = re.search(r"\b(?:GMT|UTC)(?: ?([+-]\d{1,2})(?::?(\d\d))?)?(?!\w)", name)
    stated = [found[1] or "0"] if found is not None and not int(found[2] or 0) else []
    hours = int((short + stated + ["99"])[0])
    if abs(hours) > 12:
        return None
    # In these names, west of Greenwich is plus.
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def _propose_numbers(
    values: Sequence[Column], proposal: Proposal, is_by_commas: bool, is_by_points: bool
) -> None:
    looks = [(column, column.number) for column in values if column.number is not None]
    if not looks:
        return
    settings = proposal.settings
    decimal, thousands = max(
        MARKS,
        key=lambda marks: (sum(look.readable.get(marks, 0.0) for _, look in looks), -MARKS.index(marks)),
    )
    unsure = [column.name for column, look in looks if look.is_ambiguous]
    if unsure and is_by_commas:  # who has a decimal comma seldom writes commas between columns
        decimal, thousands = ".", ","
    settings["decimal"] = decimal
    if thousands:
        settings["thousands"] = thousands
    if unsure:
        proposal.assumed.append(
            (
                "",
                f"{', '.join(unsure)}: the comma may be a decimal mark or separate thousands; taken as "
                + (
                    "thousands, set ingest.decimal to ',' else"
                    if thousands == ","
                    else "a decimal mark, set ingest.thousands to ',' else"
                ),
            )
        )
    grouped = [column.name for column, _ in looks if decimal == "." and _may_be_grouped(column)]
    if grouped and not thousands and is_by_points:
        proposal.assumed.append(
            (
                "",
                f"{', '.join(grouped)}: each number has a point and three digits behind it; if it separates "
                "thousands, set ingest.thousands to '.' and ingest.decimal to ','",
            )
        )
    missing: Counter[str] = Counter()
    units: dict[str, None] = {}
    words: dict[str, float] = {}
    for _, look in looks:
        missing.update(look.missing)
        units |= dict.fromkeys(look.units)
        words |= look.words
    if missing:
        listed = [_value(text) for text in missing if text.casefold() not in NO_VALUES]
        if listed:
            settings["missing"] = listed
        numbers = [f"{text} ({n} times)" for text, n in missing.items() if not isinstance(_value(text), str)]
        if numbers:
            proposal.assumed.append(
                ("missing", f"taken as missing, being far from all others: {', '.join(numbers)}")
            )
        texts = [text for text in missing if isinstance(_value(text), str)]
        unknown = [
            f"{text} ({missing[text]} times)" for text in texts if text.casefold() not in MISSING_WORDS
        ]
        if unknown:
            proposal.assumed.append(("missing", f"taken as missing, being no numbers: {', '.join(unknown)}"))
    if units:
        settings["unit_suffix"] = list(units)
    if words:
        settings["words"] = {word.lower(): int(number) for word, number in words.items()}
        said = ", ".join(f"{word} = {number:g}" for word, number in words.items())
        proposal.assumed.append(("words", f"words are taken as numbers: {said}"))


def _may_be_grouped(column: Column) -> bool:
    """Whether each number may be written in groups of three, as 1.234 is in German."""
    return len(column.texts) > 1 and all(_GROUPED.fullmatch(text) for text in column.texts)


def _value(text: str) -> Any:
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return text
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def without(settings: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return settings without some of them."""
    left_out = set(names)
    return {name: value for name, value in settings.items() if name not in left_out}
