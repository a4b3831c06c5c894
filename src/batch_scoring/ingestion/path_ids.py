"""Find a file's device and sensor in its path, or in the settings."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import unquote

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.settings import IngestSettings

_ROLES = ("device", "sensor")
_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"[-_T. ]?\d\d[-_:.h]?\d\d(?:[-_:.]?\d\d)?Z?"
_ONE_DATE = (
    rf"(?:{_YEAR}(?:[-_.]?{_MONTH}[-_.]?{_DAY}(?:{_CLOCK})?|[-_.]{_MONTH})?|{_DAY}[-_.]{_MONTH}[-_.]{_YEAR})"
)
# A day with or without a time, a month or a year, as names of files have them, and from one to another.
DATE = rf"{_ONE_DATE}(?:[-_. ]+(?:to[-_. ]+)?{_ONE_DATE})?"


@dataclass(frozen=True)
class FileIds:
    """The device and the sensor of all readings of a file, by the names of these roles.

    Attributes
    ----------
    given : dict of str to str
        As settings name them, or where ``ingest.path`` says they are: these count first.
    spare : dict of str to str
        As folders such as ``device=unit-a`` name them: of a file without such a column.
    """

    given: dict[str, str] = field(default_factory=dict)
    spare: dict[str, str] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, str]:
        """Both."""
        return self.spare | self.given


def file_ids(path: str, settings: IngestSettings) -> FileIds:
    """Return the device and the sensor of all readings of a file, as far as settings or its path state them.

    Parameters
    ----------
    path : str
        Of the file, a local path or a URL.
    settings : IngestSettings

    Raises
    ------
    InputError
        When the path does not fit ``ingest.path``.

    Examples
    --------
    >>> file_ids("in/unit-a/temp.csv", IngestSettings(path="{device}/{sensor}.csv")).given
    {'device': 'unit-a', 'sensor': 'temp'}
    >>> file_ids("in/press-1/motor/temp.csv", IngestSettings(path="{device}/{device}/{sensor}.csv")).given
    {'device': 'press-1/motor', 'sensor': 'temp'}
    >>> file_ids("in/p-1-2026-03-02.csv", IngestSettings(path="{device}-{date}.csv")).given
    {'device': 'p-1'}
    >>> file_ids("in/device=unit%20a/1.parquet", IngestSettings()).spare
    {'device': 'unit a'}
    """
    named = {role: getattr(settings, role) for role in _ROLES if getattr(settings, role) is not None}
    folders = (part.partition("=") for part in PurePath(path).parts[:-1])
    spare = {name: unquote(value) for name, equals, value in folders if equals and name in _ROLES and value}
    if settings.path is None:
        return FileIds(named, spare)
    pattern = settings.path.strip("/")
    n_parts = pattern.count("/") + 1
    tail = "/".join(PurePath(path).as_posix().split("/")[-n_parts:])
    found = _pattern(pattern).fullmatch(tail)
    if found is None:
        raise InputError(
            f"{path}: does not fit ingest.path, {settings.path!r}; change that, or read this file by itself"
        )
    parts = {
        role: [text for name, text in found.groupdict().items() if name.startswith(role)] for role in _ROLES
    }
    given = {role: "/".join(texts) for role, texts in parts.items() if texts}
    return FileIds(given | named, spare)


def _pattern(template: str) -> re.Pattern[str]:
    """Translate a template; the last part may leave out the suffixes of the name.

    A role that it names several times has a group for each.
    """

    def translated(place: int, part: str) -> str:
        if part in ("{device}", "{sensor}"):
            return f"(?P<{part[1:-1]}{place}>[^/]+?)"
        return {"*": "[^/]*", "{date}": DATE}.get(part, re.escape(part))

    parts = re.split(r"(\{device\}|\{sensor\}|\{date\}|\*)", template)
    text = "".join(translated(place, part) for place, part in enumerate(parts))
    has_suffix = "." in re.sub(r"\{\w+\}", "", template.rpartition("/")[2])
    return re.compile(text + ("" if has_suffix else r"(\.[A-Za-z0-9]+)*"))
