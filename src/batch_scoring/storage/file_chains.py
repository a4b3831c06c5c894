"""Order the files of a table so that few of them are open at a time."""

from __future__ import annotations

from collections.abc import Iterable

from batch_scoring.storage.data_file import DataFile


def file_chains(files: Iterable[DataFile]) -> list[list[DataFile]]:
    """Group files whose sensors follow one another: a group is read file by file, in order.

    Jobs of a sensor each, every hour, leave hundreds of files a day. Read group by group, no more are open
    than a sensor has.

    Parameters
    ----------
    files : iterable of DataFile
        Each sorted by sensor.

    Examples
    --------
    >>> files = [DataFile(name, 1, 1, bounds={"sensor": bounds}) for name, bounds in
    ...          [("1", ("a", "b")), ("2", ("c", "c")), ("3", ("b", "d")), ("4", ("e", "f"))]]
    >>> [[file.name for file in chain] for chain in file_chains(files)]
    [['1', '2', '4'], ['3']]
    """
    chains: list[list[DataFile]] = []
    for file in sorted(files, key=lambda one: _bounds(one)[0]):
        low = _bounds(file)[0]
        for chain in chains:
            if _bounds(chain[-1])[1] < low:
                chain.append(file)
                break
        else:
            chains.append([file])
    return chains


def _bounds(file: DataFile) -> tuple[bytes, bytes]:
    """Return the first and the last sensor in the order of their bytes; without statistics, anything."""
    low, high = file.bounds.get("sensor", (None, None))
    return (b"", b"\xff") if low is None else (low.encode(), high.encode())
