"""The tables of a workspace at their newest versions, and results kept by version."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from batch_scoring.core.errors import InputError
from batch_scoring.storage.folder import Entry, Folder
from batch_scoring.storage.row_table import RowTable, Update
from batch_scoring.storage.table_log import LOG

T = TypeVar("T")

# A page is made of what these tables have committed.
OF_RUNS = (
    *("readings", "windows", "predictions", "daily_totals", "incidents", "device_incidents"),
    *("gaps", "stays", "calibrations", "drift", "train_status"),
)
OF_PEOPLE = ("incident_actions", "silences")
# A look at a table behind a URL is a request that costs.
SECONDS_FRESH, SECONDS_FRESH_REMOTE = 1.0, 4.0
SECONDS_FRESH_FILES = 5.0
_MAX_KEPT = 64


class Workspace:
    """What the pages read. Threads may share it.

    Parameters
    ----------
    load, exists, save : callable
        Load an entry of the catalog by its name, say whether it has been written, and save to it.
    name : str
        The folder or URL, as a person knows it.
    published : Folder
        Of the published models.
    seconds_fresh : float
        For how long a table is not looked at again.
    """

    def __init__(
        self,
        load: Callable[[str], Any],
        exists: Callable[[str], bool],
        save: Callable[[str, Update], None],
        name: str,
        published: Folder,
        seconds_fresh: float = SECONDS_FRESH,
    ) -> None:
        self._seconds_fresh = seconds_fresh
        self._exists = exists
        self._save = save
        self.name = name
        self.published = published
        self._load = load
        self._lock, self._files_lock = threading.Lock(), threading.Lock()
        self._tables: dict[str, _Newest] = {}
        self._files: dict[str, tuple[float, Any]] = {}
        self._kept: OrderedDict[Hashable, tuple[tuple[int, ...], Any]] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}

    def table(self, name: str) -> RowTable:
        """Return the newest version of a table, at most a second old."""
        with self._lock:
            if name not in self._tables:
                self._tables[name] = _Newest(self._load(name), self._seconds_fresh)
            newest = self._tables[name]
        return newest.get()

    def file(self, name: str) -> Any:
        """Load an entry that people write, such as the calendar, at most a few seconds old."""
        with self._files_lock:
            read_at, value = self._files.get(name, (-SECONDS_FRESH_FILES, None))
            if time.monotonic() - read_at >= SECONDS_FRESH_FILES:
                value = self._load(name)
                self._files[name] = time.monotonic(), value
            return value

    def written(self, name: str) -> Any:
        """Load an entry that a run writes; None before the first one."""
        return self._load(name) if self._exists(name) else None

    def save(self, name: str, update: Update) -> None:
        """Commit an update to a table; the next look at it sees the change."""
        self._save(name, update)
        with self._lock:
            self._tables.pop(name, None)

    def version(self) -> str:
        """Return two times 16 hex digits: the first change when a run commits, the second when people act."""
        return f"{self._version(OF_RUNS)}-{self._version(OF_PEOPLE)}"

    def _version(self, names: Sequence[str]) -> str:
        positions = [f"{name}={self._position(name)}" for name in names]
        return hashlib.sha256(" ".join(positions).encode()).hexdigest()[:16]

    def _position(self, name: str) -> int | None:
        """Return the position of a table; None while it cannot be read, which pages of it say."""
        try:
            return self.table(name).position
        except (InputError, OSError):
            return None

    def kept(self, make: Callable[[], T], tables: Sequence[str], *key: Hashable) -> T:
        """Return a result, made once for these versions of the tables and this key.

        Keeps the newest result of each key, and a bounded number of keys, the last used.
        """
        name = (make.__qualname__, *key)
        positions = tuple(self.table(one).position for one in tables)
        with self._lock:
            if name in self._kept and self._kept[name][0] == positions:
                self._kept.move_to_end(name)
                return self._kept[name][1]
            making = self._making.setdefault((name, positions), threading.Lock())
        with making:  # of many that ask at once, one makes it
            with self._lock:
                if name in self._kept and self._kept[name][0] == positions:
                    return self._kept[name][1]
            try:
                value = make()
                with self._lock:
                    self._kept[name] = positions, value
                    self._kept.move_to_end(name)
                    while len(self._kept) > _MAX_KEPT:
                        self._kept.popitem(last=False)
            finally:
                with self._lock:
                    self._making.pop((name, positions), None)
        return value


class _Newest:
    """A table, opened anew when its log has gone on."""

    def __init__(self, table: RowTable, seconds_fresh: float) -> None:
        self._lock = threading.Lock()
        self._seconds_fresh = seconds_fresh
        self._table = table
        self._checked = -seconds_fresh
        self._seen: Entry | None = None

    def get(self) -> RowTable:
        with self._lock:
            now = time.monotonic()
            if now - self._checked >= self._seconds_fresh:
                if self._has_changed():
                    self._table = self._table.latest()
                    self._seen = self._commit(self._table.version) if self._table.exists else None
                self._checked = now
            return self._table

    def _has_changed(self) -> bool:
        """Whether there is a next commit, or another table in this one's place; two looks at the log."""
        version = self._table.version
        if self._seen is None or version < 0:
            return True
        return self._commit(version) != self._seen or self._commit(version + 1) is not None

    def _commit(self, version: int) -> Entry | None:
        return self._table.folder.entry(f"{LOG}/{version:020d}.json")
