"""Ids of devices and sensors: as path segments, as names of files, and selected for a run."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from batch_scoring.core.errors import InputError

# Common file systems allow 255 bytes a path segment; the rest is for suffixes.
MAX_SEGMENT_BYTES = 200
# Names that Windows keeps for devices, whatever follows behind a dot.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
_CASE, _CASE_DIGITS = "+", 16  # percent-encoding leaves no plus in a segment


def path_segment(identifier: str) -> str:
    """Encode an id as one segment of a path; :func:`from_path_segment` decodes it.

    For names in tables, MLflow and URLs; files have :func:`file_name`. Everything but letters, digits, ``-``,
    ``.``, ``_`` and ``~`` is percent-encoded. A leading dot or underscore is encoded too: such names are
    hidden files to Arrow and to shells.

    Examples
    --------
    >>> path_segment("../../etc/x"), path_segment("Pumpe №7/Süd")
    ('%2E.%2F..%2Fetc%2Fx', 'Pumpe%20%E2%84%967%2FS%C3%BCd')
    """
    text = quote(identifier, safe="")
    if text[:1] in (".", "_"):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    return text


def fits_in_path(identifier: str) -> bool:
    """Whether the path segment of an id is not too long for a file's name."""
    # A byte becomes three at the most: most ids are short, and need not be encoded to know.
    is_short = 3 * len(identifier.encode()) <= MAX_SEGMENT_BYTES
    return is_short or len(path_segment(identifier)) <= MAX_SEGMENT_BYTES


def from_path_segment(segment: str) -> str:
    """Decode an id that :func:`path_segment` encoded.

    Examples
    --------
    >>> from_path_segment(path_segment("..")) == ".."
    True
    """
    return unquote(segment)


def file_name(identifier: str, *, is_cased: bool = True) -> str:
    """Name a file or folder after an id, safe on every system; :func:`id_of_file` reads it back.

    Windows and macOS take ``a`` and ``A`` for one name, so capital letters are kept behind a ``+``: bit i of
    the hexadecimal number is the case of the i-th letter; of many letters, it is a digest. Windows keeps
    names such as ``con`` and ``aux.txt`` for itself, and drops a dot at the end.

    Parameters
    ----------
    identifier : str
    is_cased : bool
        Whether another id may differ in the case of letters alone.

    Examples
    --------
    >>> file_name("vibration"), file_name("Temp"), file_name("TEMP"), file_name("aux.txt"), file_name("a.")
    ('vibration', 'Temp+1', 'TEMP+f', '%61ux.txt', 'a%2E')
    """
    text = path_segment(identifier)
    if _RESERVED.fullmatch(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text.endswith("."):
        text = f"{text[:-1]}%2E"
    letters = [letter for letter in identifier if letter.isascii() and letter.isalpha()]
    capitals = f"{sum(letter.isupper() << place for place, letter in enumerate(letters)):x}"
    if capitals == "0" or not is_cased:
        return text
    if len(capitals) > _CASE_DIGITS:
        capitals = hashlib.sha256(identifier.encode()).hexdigest()[:_CASE_DIGITS]
    return f"{text}{_CASE}{capitals}"


def id_of_file(name: str) -> str:
    """Return the id that :func:`file_name`, or :func:`path_segment`, named a file or folder after.

    Examples
    --------
    >>> id_of_file("TEMP+f"), id_of_file("TEMP"), id_of_file("%61ux.txt")
    ('TEMP', 'TEMP', 'aux.txt')
    """
    return from_path_segment(name.partition(_CASE)[0])


class Shard(NamedTuple):
    """One of ``of`` parts of all devices, by a hash of their ids; the first one is part 1."""

    part: int
    of: int

    def __str__(self) -> str:
        return f"{self.part}/{self.of}"


@dataclass(frozen=True)
class Selection:
    """The devices and sensors of a run.

    Attributes
    ----------
    devices, sensors : frozenset of str or None
        The selected ids; None means all of them.
    shard : Shard or None
        Only the devices of this part.

    Examples
    --------
    >>> Selection.read(7, ["temperature"]).devices
    frozenset({'7'})
    >>> Selection.read("all", None) == Selection()
    True
    """

    devices: frozenset[str] | None = None
    sensors: frozenset[str] | None = None
    shard: Shard | None = None

    @classmethod
    def read(cls, device: Any, sensor: Any, shard: Any = None) -> Selection:
        """Read ``device`` and ``sensor`` (one id, a list, or None or "all" for all) and ``shard`` ("2/8")."""
        return cls(_read_ids("device", device), _read_ids("sensor", sensor), _read_shard(shard))

    def has_device(self, device: str) -> bool:
        """Whether the run includes this device."""
        return self.devices is None or device in self.devices

    def has_sensor(self, sensor: str) -> bool:
        """Whether the run includes this sensor."""
        return self.sensors is None or sensor in self.sensors


def _read_ids(kind: str, value: Any) -> frozenset[str] | None:
    if value is None or value == "all":
        return None
    values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
    if not values:
        raise InputError(f"{kind}: the list is empty; expected at least one {kind}, or leave it out for all")
    for one in values:
        if isinstance(one, bool) or not isinstance(one, (str, int, float)):
            raise InputError(f"{kind}: {one!r} is not a valid id; expected text or a number, such as '007'")
    return frozenset(str(one) for one in values)


def _read_shard(value: Any) -> Shard | None:
    if value is None:
        return None
    part, _, of = str(value).partition("/")
    shard = Shard(int(part), int(of)) if part.isdecimal() and of.isdecimal() else Shard(0, 0)
    if not 1 <= shard.part <= shard.of:
        raise InputError(f"shard: {value!r} is not valid; expected N/M with 1 ≤ N ≤ M, such as 2/8")
    return shard


def require_known(kind: str, wanted: Iterable[str] | None, known: Iterable[str]) -> None:
    """Raise unless every requested id exists.

    Parameters
    ----------
    kind : str
        ``"device"`` or ``"sensor"``, for the message.
    wanted : iterable of str or None
        The requested ids; None requests all and is always valid.
    known : iterable of str
        All ids.

    Raises
    ------
    InputError
        Naming the first unknown id and up to three similar ones.

    Examples
    --------
    >>> require_known("sensor", ["vibraton"], ["vibration", "power"])
    Traceback (most recent call last):
    batch_scoring.core.errors.InputError: sensor 'vibraton' is not among the 2 known; did you mean ...
    """
    if wanted is None:
        return
    there = set(known)
    for identifier in sorted(set(wanted) - there):
        close = difflib.get_close_matches(identifier, sorted(there), n=3, cutoff=0.5)
        # '7', '007' and '7.0' are three ids; other spellings of the same number are the likeliest mistake.
        close = [k for k in sorted(there) if _same_numbers(k, identifier)][:3] or close
        hint = f"did you mean {', '.join(map(repr, close))}?" if close else _examples(there)
        raise InputError(f"{kind} {identifier!r} is not among the {len(there)} known; {hint}")


def _same_numbers(left: str, right: str) -> bool:
    if _LEADING_ZEROS.sub("", left) == _LEADING_ZEROS.sub("", right):
        return True
    try:
        return float(left) == float(right)
    except ValueError:
        return False


def _examples(known: set[str]) -> str:
    return f"expected one such as {', '.join(map(repr, sorted(known)[:3]))}" if known else "none exists yet"
