"""Opens many Parquet files one after the other; of blobs, the footers of the next ones are on their way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from batch_scoring.storage.folder import Entry, Folder

if TYPE_CHECKING:
    from batch_scoring.storage.blob import BlobFolder

# Footers fetched at a time, and how far ahead of the file that is opened: 64 kB each.
_CONNECTIONS = 8
_AHEAD = 32


def open_ahead(folder: Folder, entries: Sequence[Entry]) -> list[Callable[[], Any]]:
    """For each file a function that gives what ``pyarrow.parquet.ParquetFile`` opens.

    Parameters
    ----------
    folder : Folder
    entries : sequence of Entry
        In the order in which they will probably be opened.
    """
    if not entries or not entries[0].version:
        return [partial(folder.open_ranges, entry.name, entry) for entry in entries]
    footers = _Footers(folder, entries)  # type: ignore[arg-type]
    return [partial(footers.open, place) for place in range(len(entries))]


class _Footers:
    """The footers of many blobs, fetched some at a time."""

    def __init__(self, folder: BlobFolder, entries: Sequence[Entry]) -> None:
        self._folder = folder
        self._entries = entries
        self._asked: dict[int, Future[bytes]] = {}
        self._furthest = -1
        self._n_opened = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_CONNECTIONS, "footers")

    def open(self, place: int) -> Any:
        """The file of one blob; a second time its footer is fetched anew."""
        with self._lock:
            # A run about one sensor opens few files: look further ahead only as more are opened.
            self._n_opened += 1
            end = min(place + min(2 * self._n_opened, _AHEAD), len(self._entries))
            for ahead in {place, *range(max(place, self._furthest + 1), end)} - self._asked.keys():
                fetched = self._threads.submit(self._folder.read_footer, self._entries[ahead])
                self._asked[ahead] = fetched
            self._furthest = max(self._furthest, end - 1)
            footer = self._asked.pop(place)
        return self._folder.open_ranges(self._entries[place].name, self._entries[place], footer.result)
