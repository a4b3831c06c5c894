"""Open many Parquet files in turn, prefetching the footers of the next blobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from batch_scoring.storage.folder import Entry, Folder

if TYPE_CHECKING:
    from batch_scoring.storage.blob import BlobFolder

# Footers fetched at a time, and prefetched ahead of the opened file: 64 kB each.
_CONNECTIONS = 8
_AHEAD = 32


def open_ahead(folder: Folder, entries: Sequence[Entry]) -> list[Callable[[], Any]]:
    """Return for each file a function that opens it for ``pyarrow.parquet.ParquetFile``.

    Parameters
    ----------
    folder : Folder
    entries : sequence of Entry
        In the order in which they are expected to be opened.
    """
    if not entries or not entries[0].version:
        return [partial(folder.open_ranges, entry.name, entry) for entry in entries]
    footers = _Footers(folder, entries)  # type: ignore[arg-type]
    return [partial(footers.open, place) for place in range(len(entries))]


class _Footers:
    """Footers of many blobs, fetched a few at a time."""

    def __init__(self, folder: BlobFolder, entries: Sequence[Entry]) -> None:
        self._folder = folder
        self._entries = entries
        self._asked: dict[int, Future[bytes]] = {}
        self._furthest = -1
        self._n_opened = 0
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(_CONNECTIONS, "footers")

    def open(self, place: int) -> Any:
        """Open one blob; opening it again fetches its footer again."""
        with self._lock:
            # A run for one sensor opens few files: prefetch further only as more are opened.
            self._n_opened += 1
            end = min(place + min(2 * self._n_opened, _AHEAD), len(self._entries))
            for ahead in {place, *range(max(place, self._furthest + 1), end)} - self._asked.keys():
                fetched = self._threads.submit(self._folder.read_footer, self._entries[ahead])
                self._asked[ahead] = fetched
            self._furthest = max(self._furthest, end - 1)
            footer = self._asked.pop(place)
        return self._folder.open_ranges(self._entries[place].name, self._entries[place], footer.result)
