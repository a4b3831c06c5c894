"""Find where the paths of files name device and sensor, and whether files are named after a quantity."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import PurePosixPath

from batch_scoring.ingestion.inspection.columns import QUANTITIES, name_words
from batch_scoring.ingestion.path_ids import DATE
from batch_scoring.ingestion.time_spelling import spelled_usually

_NUMBERED = re.compile(r"(?i)(sheet|tabelle|feuil|hoja|foglio|blad)[-_ ]?\d+")
_YEAR_BEHIND = re.compile(r"[-_ ]?(19|20)\d\d$")

_DATED = re.compile(
    rf"(?P<before>.*?)(?P<one>[-_. ]*)(?<!\d)(?P<date>{DATE})(?!\d)(?P<two>[-_. ]*)(?P<after>.*)"
)


def path_template(names: Sequence[PurePosixPath], needed: Sequence[str]) -> str | None:
    """Return where the paths of files name what is needed; None where they do not tell it apart.

    Examples
    --------
    >>> path_template([PurePosixPath("a/1.csv"), PurePosixPath("b/1.csv")], ["device"])
    '{device}/*.csv'
    >>> path_template([PurePosixPath(f"{one}/raw/1.csv") for one in "ab"], ["device"])
    '{device}/*/*.csv'
    >>> path_template([PurePosixPath(f"{one}/{part}/t.csv") for one in "ab" for part in "xy"], ["device"])
    '{device}/{sensor}/*.csv'
    >>> path_template([PurePosixPath(f"{one}_2026-03-02.csv") for one in "ab"], ["device"])
    '{device}_{date}.csv'
    """
    depths = {len(name.parts) for name in names}
    if len(names) < 2 or len(depths) > 1:
        return None
    suffixes = {"".join(name.suffixes) for name in names}
    # A date in the names may have points, too.
    suffix = suffixes.pop() if len(suffixes) == 1 else names[0].suffix
    depth = depths.pop()
    folders = {name.parent for name in names}
    telling = [level for level in range(depth - 1) if _names_something([name.parts[level] for name in names])]
    if depth > 1 and len(needed) == 2:
        roles = dict.fromkeys(telling or [depth - 2], "{device}")
        return _joined_levels(roles, depth, "{sensor}" + suffix)
    # Files of the same names in several folders: the folder tells what they are of.
    is_folder = (
        depth > 1
        and len(folders) > 1
        and (
            len({name.name for name in names}) < len(names)
            or len(folders) == len(names)
            or not any(undated(name.name.removesuffix(suffix)) for name in names)
        )
    )
    if not is_folder:
        return _of_names([name.name.removesuffix(suffix) for name in names], f"{{{needed[0]}}}", suffix)
    # Of two folders, the inner one names a part of the machine.
    *_, outer, inner = [None, *(telling or [depth - 2])]
    assert inner is not None
    roles = {inner: "{device}"} if outer is None else {outer: "{device}", inner: "{sensor}"}
    return _joined_levels(roles, depth, f"*{suffix}")


def undated(stem: str) -> str:
    """Return what stands before a date in the name of a file, or behind it; the name where it has none.

    Examples
    --------
    >>> undated("log_2026-03-02_raw"), undated("20260302T0700Z pump"), undated("2026"), undated("unit 2000")
    ('log', 'pump', '', 'unit 2000')
    """
    found = _dated(stem)
    return stem if found is None else found["before"] or found["after"]


def _dated(stem: str) -> re.Match[str] | None:
    found = _DATED.fullmatch(stem)
    # Beside other things, a year alone may be a number like any other.
    return None if found is None or len(found["date"]) == len("2026") < len(stem) else found


def _of_names(stems: Sequence[str], role: str, suffix: str) -> str | None:
    """Return where names without folders tell what they are of; None where only their dates differ."""
    found = [match for match in map(_dated, stems) if match is not None]
    marks = {
        (one["one"], one["two"], one["after"] if one["before"] else "", one["before"] > "") for one in found
    }
    if len(found) < len(stems) or len(marks) > 1:
        return f"{role}{suffix}"
    if len(set(map(undated, stems))) == 1:
        return None
    ((one, two, after, is_before),) = marks
    return f"{role}{one}{{date}}{two}{after}{suffix}" if is_before else f"{{date}}{two}{role}{suffix}"


def names_nothing(stem: str) -> bool:
    """Whether a file or sheet is named after a month, or as programs number sheets.

    Examples
    --------
    >>> [names_nothing(one) for one in ("März", "Sheet 1", "May 2026", "pump 1")]
    [True, True, True, False]
    """
    if _NUMBERED.fullmatch(stem):
        return True
    words = spelled_usually(f"1 {_YEAR_BEHIND.sub('', stem)} 2026")
    for form in ("%d %b %Y", "%d %B %Y"):
        with suppress(ValueError):
            datetime.strptime(words, form)
            return True
    return False


def name_quantities(names: Sequence[PurePosixPath]) -> bool:
    """Whether files of one folder are named after what is measured.

    Examples
    --------
    >>> name_quantities([PurePosixPath("temp_in.csv"), PurePosixPath("flow-2.csv")])
    True
    >>> name_quantities([PurePosixPath("pump-1.csv"), PurePosixPath("flow.csv")])
    False
    """
    return all(len(name.parts) == 1 and QUANTITIES & set(name_words(name.stem)) for name in names)


def _names_something(parts: Sequence[str]) -> bool:
    """Whether folders of one level differ, and not only by dates and numbers."""
    return len(set(parts)) > 1 and not all(re.fullmatch(r"(\w+=)?[\d._-]+", part) for part in parts)


def _joined_levels(roles: Mapping[int, str], depth: int, last: str) -> str:
    """Join a template of the levels from the first with a role on."""
    return "/".join([*(roles.get(level, "*") for level in range(min(roles), depth - 1)), last])
