"""Read the log of a Delta table: what commits changed since a version, and what they recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from batch_scoring.storage.folder import Folder

LOG = "_delta_log"
DATE = "date"
# Under these names a commit says what it is about, and which change it is.
CLAIMS, DAYS, ID = "claims", "days", "id"
# The name under which a table records the time before which its rows were removed for their age.
RETENTION = "retention"

Action = Mapping[str, Any]
_KINDS = ("add", "remove")


@dataclass(frozen=True)
class Commit:
    """What a commit says of itself.

    Attributes
    ----------
    version : int
    id : str
        Of the change; empty for another program's.
    claims : tuple of str or None
        The names of what it is about; None where it does not say.
    days : frozenset of date
        UTC days that it is about: those it names, and those of files whose rows it added, rewrote or removed.
    """

    version: int
    id: str
    claims: tuple[str, ...] | None
    days: frozenset[date]


class TableLog:
    """The log up to a version; each commit is read once.

    Parameters
    ----------
    folder : Folder
        Of the table.
    version : int
    known : dict, optional
        Commits that were read before; adds the ones read now.
    """

    def __init__(self, folder: Folder, version: int, known: dict[int, list[Action]] | None = None) -> None:
        self._folder = folder
        self._version = version
        self._read: dict[int, list[Action]] = {} if known is None else known

    def actions(self, version: int) -> list[Action]:
        """Read the actions of a commit.

        Raises
        ------
        FileNotFoundError
            When the commit is no longer logged.
        ValueError
            When the log is damaged.
        """
        if version not in self._read:
            log, _ = self._folder.read(log_file(version))
            self._read[version] = [json.loads(line) for line in log.splitlines() if line.strip()]
        return self._read[version]

    @cached_property
    def progress(self) -> dict[str, int]:
        """What was recorded last, by name; ``deltalake`` reads the whole log for each name.

        Raises
        ------
        FileNotFoundError
            When a commit after the last checkpoint is missing.
        """
        found: dict[str, int] = {}
        checkpoints: dict[int, list[str]] = {}
        for entry in self._folder.below(LOG).entries(".parquet"):
            text, _, kind = entry.name.partition(".")
            if text.isdecimal() and int(text) <= self._version and kind.startswith("checkpoint"):
                checkpoints.setdefault(int(text), []).append(entry.name)
        newest = max(checkpoints, default=-1)
        for name in checkpoints.get(newest, ()):
            with pq.ParquetFile(self._folder.open_ranges(f"{LOG}/{name}")) as file:
                notes = file.read(["txn.appId", "txn.version"])["txn"].to_pylist()
            found |= {note["appId"]: note["version"] for note in notes if note and note["appId"] is not None}
        for number in range(newest + 1, self._version + 1):
            notes = [action["txn"] for action in self.actions(number) if "txn" in action]
            found |= {note["appId"]: note["version"] for note in notes}
        return found

    def changes_since(self, version: int) -> tuple[dict[str, int], set[str]]:
        """Find the files whose rows changed after a version.

        Returns
        -------
        added : dict of str to int
            The files that hold rows added or rewritten since, each with the version that did. Compaction adds
            no rows, but may join such rows with others.
        removed : set of str
            The files of the version whose rows were rewritten or removed since, or joined with newer ones.

        Raises
        ------
        FileNotFoundError, ValueError
            See :meth:`actions`.
        """
        added: dict[str, int] = {}
        removed: set[str] = set()
        compacted: dict[str, set[str]] = {}  # from which files of the version

        def of_version(name: str) -> set[str]:
            return compacted.get(name, {name})

        for number in range(version + 1, self._version + 1):
            actions = self.actions(number)
            for adds, removes in _by_partition(actions):
                gone = [unquote(one["path"]) for one in removes]
                known = [added.pop(name) for name in gone if name in added]
                former = set().union(*(of_version(name) for name in gone))
                for one in removes:
                    if one["dataChange"]:
                        removed |= of_version(unquote(one["path"]))
                for one in adds:
                    name = unquote(one["path"])
                    if one["dataChange"]:
                        added[name] = number
                    elif known:
                        added[name] = max(known)
                        removed |= former
                    else:
                        compacted[name] = former
        return added, removed

    def commits_since(self, version: int) -> list[Commit]:
        """Describe the commits after a version, in order.

        Raises
        ------
        FileNotFoundError, ValueError
            See :meth:`actions`.
        """
        return [_commit(number, self.actions(number)) for number in range(version + 1, self._version + 1)]

    def may_follow(self, version: int, claims: Iterable[str], removed: Iterable[str], all_rows: bool) -> bool:
        """Whether a change that does not know a commit may be made after it all the same.

        Parameters
        ----------
        version : int
            Of the commit.
        claims : iterable of str
            What the change is about; see :func:`are_apart`.
        removed : iterable of str
            Files that it replaces.
        all_rows : bool
            Whether it replaces all rows.
        """
        actions = self.actions(version)
        if any(kind in action for action in actions for kind in ("metaData", "protocol")):
            return False
        gone = {unquote(action["remove"]["path"]) for action in actions if "remove" in action}
        if gone.intersection(removed) or (all_rows and any("add" in action for action in actions)):
            return False
        theirs = _commit(version, actions).claims or ()
        return all(are_apart(mine, other) for mine in claims for other in theirs)


def log_file(version: int) -> str:
    """Return the name of a commit's file, relative to the table's folder."""
    return f"{LOG}/{version:020d}.json"


def are_apart(mine: str, other: str) -> bool:
    """Whether two changes may be made by two runs at once.

    A name is a path: of everything, of a sensor, of a part of it. Where two paths first differ, they must
    give two values to one key.

    Examples
    --------
    >>> are_apart("scores/sensor=a", "scores/sensor=b"), are_apart("scores", "scores/sensor=b")
    (True, False)
    >>> are_apart("scores/sensor=a/of 3=1", "scores/sensor=a/of 2=1")
    False
    """
    for x, y in zip(mine.split("/"), other.split("/"), strict=False):
        if x != y:
            (key, is_pair, _), (other_key, is_other_pair, _) = x.partition("="), y.partition("=")
            return key == other_key or not (is_pair or is_other_pair)
    return False


def _commit(version: int, actions: Iterable[Action]) -> Commit:
    notes: Action = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
    files = [action[kind] for action in actions for kind in _KINDS if kind in action]
    days = [(file.get("partitionValues") or {}).get(DATE) for file in files if file["dataChange"]]
    return Commit(
        version,
        notes.get(ID, ""),
        tuple(notes[CLAIMS]) if CLAIMS in notes else None,
        frozenset(date.fromisoformat(day) for day in (*days, *notes.get(DAYS, ())) if day is not None),
    )


def _by_partition(actions: Iterable[Action]) -> Iterator[tuple[list[Action], list[Action]]]:
    """Group what a commit adds and removes by the values of the partition columns.

    Days whose files were joined to a file of their month have that one's values.
    """
    found: dict[str, tuple[list[Action], list[Action]]] = {}
    files = [(kind, action[kind]) for action in actions for kind in _KINDS if kind in action]
    are_known = all(file.get("partitionValues") is not None for _, file in files)
    gaining = [file["partitionValues"] for kind, file in files if kind == "add"] if are_known else []
    for kind, file in files:
        values = file["partitionValues"] if are_known else {}
        if are_known and kind == "remove" and not file["dataChange"] and values not in gaining:
            values = {name: f"{day[:8]}01" for name, day in values.items()}
        key = json.dumps(values, sort_keys=True)
        found.setdefault(key, ([], []))[_KINDS.index(kind)].append(file)
    yield from found.values()
