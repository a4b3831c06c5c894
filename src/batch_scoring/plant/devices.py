"""Which ids are one machine: a device that is renamed or replaced goes on under a new id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa

from batch_scoring.core.errors import InputError
from batch_scoring.core.moments import microseconds
from batch_scoring.tables.arrays import Bool, Int
from batch_scoring.tables.arrow_arrays import (
    are,
    as_rows,
    distinct,
    empty_table,
    positions,
    strings,
    to_arrow,
)
from batch_scoring.tables.fingerprints import row_fingerprints
from batch_scoring.tables.schemas import DEVICES

ALL = "*"
_NEVER = 2**62


class Devices:
    """The devices that people have listed.

    Parameters
    ----------
    rows : pyarrow.Table, optional
        Schema DEVICES, as :func:`check_devices` allows them.

    Attributes
    ----------
    machines : dict of str to tuple of str
        By the id in use all ids of the machine, the one in use first; machines of one id are left out.
    former : frozenset of str
        The ids that are not in use.
    retired : dict of str to int
        When each retired id ceased to send, microseconds since the epoch.
    fingerprint : list of int
        Changes with what is written; empty where nothing is.
    """

    def __init__(self, rows: pa.Table | None = None) -> None:
        rows = empty_table(DEVICES) if rows is None else rows
        self.fingerprint: list[int] = sorted(row_fingerprints(rows, DEVICES.names).tolist())
        written = list(as_rows(rows))
        self.retired = {row["id"]: microseconds(row["retired"]) for row in written if row["retired"]}
        self._groups = {row["id"]: row["group"] for row in written if row["group"]}
        before = {row["id"]: row["replaces"] for row in written if row["replaces"]}
        self._had_windows = {*before.values(), *self.retired}
        ids: dict[str, list[str]] = {}
        for name in dict.fromkeys([*before.values(), *before]):
            ids.setdefault(_first_of(name, before), []).append(name)
        self.machines: dict[str, tuple[str, ...]] = {}
        self._oldest: dict[str, str] = {}
        followed = set(before.values())
        for first, names in ids.items():
            # Of several that went on for one, the others are retired.
            last = max((n for n in names if n not in followed), key=lambda n: self.retired.get(n, _NEVER))
            self.machines[last] = (last, *(name for name in names if name != last))
            self._oldest |= dict.fromkeys(names, first)
        self._newest = {name: last for last, names in self.machines.items() for name in names}
        self.former = frozenset(name for name, last in self._newest.items() if name != last)

    def newest(self, name: str) -> str:
        """Return the id in use of an id's machine."""
        return self._newest.get(name, name)

    def all_newest(self, names: frozenset[str] | None) -> frozenset[str] | None:
        """Return the ids in use of these ids; None, for all, stays."""
        return names and frozenset(map(self.newest, names))

    def ids_of(self, name: str) -> tuple[str, ...]:
        """Return all ids of an id's machine, the one in use first."""
        return self.machines.get(self.newest(name), (name,))

    def former_of(self, names: Iterable[str]) -> list[str]:
        """List the former ids of machines that are among ids in use."""
        return [name for one in names for name in self.machines.get(one, ())[1:]]

    def with_newest(self, rows: pa.Table) -> pa.Table:
        """Put the id in use in place of each former one, column ``device``."""
        return _renamed(rows, self._newest)

    def with_oldest(self, rows: pa.Table) -> pa.Table:
        """Put the first id of its machine in place of each id, column ``device``: it never changes."""
        return _renamed(rows, self._oldest)

    def are_like(self, names: pa.Array, pattern: str) -> Bool:
        """Mark the ids that match a pattern with ``*`` and ``?``, as one of the machine or its group does."""
        if pattern == ALL:
            return np.ones(len(names), bool)
        if _is_plain(pattern):
            members = [
                one for name, group in self._groups.items() if group == pattern for one in self.ids_of(name)
            ]
            return positions(names, strings(sorted({*self.ids_of(pattern), *members}))) >= 0
        return np.array([self._is_like(name, pattern) for name in names.to_pylist()], bool)

    def _is_like(self, name: str, pattern: str) -> bool:
        return any(is_like(one, pattern) for one in (*self.ids_of(name), *self._groups_of(name)))

    def are_in_group_like(self, names: pa.Array, pattern: str) -> Bool:
        """Mark the ids whose machine is in a group that matches; ``*`` matches those of none, too."""
        if pattern == ALL:
            return np.ones(len(names), bool)
        return np.array(
            [any(is_like(one, pattern) for one in self._groups_of(name)) for name in names.to_pylist()],
            bool,
        )

    def _groups_of(self, name: str) -> list[str]:
        return [self._groups[one] for one in self.ids_of(name) if one in self._groups]

    def without_windows(self, names: pa.ChunkedArray) -> list[str]:
        """List the ids that are replaced or retired, and not among those of all windows."""
        return sorted(self._had_windows.difference(distinct(names).to_pylist()))

    def may_be_missing(self, names: pa.Array, at: int) -> Bool:
        """Mark the ids that are expected to send at a time: neither retired nor one of several of a machine.

        Which of several sends is not known here; the silence of the machine is an incident.
        """
        gone = [name for name, time in self.retired.items() if time <= at]
        left_out = strings(sorted({*gone, *self._newest}))
        return positions(names, left_out) < 0

    def gone_at(self, names: pa.Array) -> Int:
        """Return when each id was retired, shape (n,), microseconds since the epoch; far off where never."""
        known = strings(sorted(self.retired))
        times = np.array([*(self.retired[name] for name in sorted(self.retired)), _NEVER], np.int64)
        return times[positions(names, known)]


NOTHING_KNOWN = Devices()


def check_devices(rows: pa.Table, where: list[str]) -> None:
    """Refuse what cannot be: an id twice, a circle, or two devices in use that go on for one.

    Parameters
    ----------
    rows : pyarrow.Table
        Schema DEVICES.
    where : list of str
        The file and the row of each, for messages.

    Raises
    ------
    InputError
        Naming the row and the column.
    """
    seen: dict[str, str] = {}
    before: dict[str, str] = {}
    in_use: dict[str, tuple[str, str]] = {}
    for row, place in zip(as_rows(rows), where, strict=True):
        name, former, retired = row["id"], row["replaces"], row["retired"]
        if name in seen:
            raise InputError(
                f"{place}, column 'id': {name!r} is there twice, first in {seen[name]}; keep one"
            )
        seen[name] = place
        if former is None:
            continue
        before[name] = former
        if _first_of(name, before) == name:
            raise InputError(
                f"{place}, column 'replaces': {name!r} and {former!r} replace each other in a circle; the "
                "first id of a machine replaces none"
            )
        if retired is not None:
            continue
        if former in in_use:
            other, first = in_use[former]
            raise InputError(
                f"{place}, column 'replaces': {former!r} is replaced by {other!r} already ({first}), and "
                "both are in use; write when one of them ended into its column 'retired'"
            )
        in_use[former] = name, place


def are_like(names: pa.Array, pattern: str) -> Bool:
    """Mark the names that match a pattern with ``*`` and ``?``, shape (n,)."""
    if pattern == ALL:
        return np.ones(len(names), bool)
    if _is_plain(pattern):
        return are(names, pattern)
    return np.array([is_like(name, pattern) for name in names.to_pylist()], bool)


def is_like(name: str, pattern: str) -> bool:
    """Whether a name matches a pattern with ``*`` and ``?``.

    Brackets may stand for themselves, as around the unit in a sensor's name, or for one of their characters,
    as the pages write ``[*]`` for an asterisk.

    Examples
    --------
    >>> is_like("Temp [°C]", "Temp [°C]"), is_like("a*", "a[*]"), is_like("ab", "a[*]")
    (True, True, False)
    """
    if _is_plain(pattern):
        return name == pattern
    return fnmatchcase(name, pattern) or ("[" in pattern and fnmatchcase(name, pattern.replace("[", "[[]")))


def _is_plain(pattern: str) -> bool:
    """Whether it is a name and no pattern: names are looked up at once, patterns are tried on each name."""
    return not any(special in pattern for special in "*?[")


def _first_of(name: str, before: Mapping[str, str]) -> str:
    """Return the first id of a machine; in a circle the id itself."""
    at, seen = name, {name}
    while at in before:
        at = before[at]
        if at in seen:
            return name
        seen.add(at)
    return at


def _renamed(rows: pa.Table, names: Mapping[str, str]) -> pa.Table:
    if not names or not rows.num_rows:
        return rows
    there = distinct(rows["device"])
    wanted = strings([names.get(name, name) for name in there.to_pylist()])
    if wanted.equals(there):
        return rows
    place = rows.schema.get_field_index("device")
    column = wanted.take(to_arrow(positions(rows["device"], there)))
    return rows.set_column(place, rows.schema.field(place), column)
