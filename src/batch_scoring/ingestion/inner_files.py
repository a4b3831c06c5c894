"""The files in an archive, and the sheets of a workbook: read as files of a folder would be."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.archives import unpack
from batch_scoring.ingestion.file_formats import archived
from batch_scoring.ingestion.settings import IngestSettings
from batch_scoring.ingestion.source_files import SourceFile
from batch_scoring.ingestion.workbooks import is_pattern, sheets_alike, write_sheets


@dataclass(frozen=True, kw_only=True)
class InnerFile(SourceFile):
    """A file in an archive, or a sheet of a workbook, named as if this were a folder.

    Attributes
    ----------
    copy : str
        Where its bytes are, unpacked.
    broken : str
        Why it could not be unpacked, which opening it says; empty where it could.
    was_replaced : bool
        Whether the archive was replaced or deleted after it was listed, until it was unpacked. What happens
        to it afterwards is of the next run.
    """

    copy: str
    broken: str
    was_replaced: bool

    @contextmanager
    def opened(self) -> Iterator[str]:
        """The path of its bytes, for the time of the block."""
        if self.broken:
            raise InputError(f"{self.path}: cannot be unpacked ({self.broken}); copy the archive here again")
        yield self.copy

    def has_changed(self) -> bool:
        """Whether its bytes may be others than those of the archive that was listed."""
        return self.was_replaced


def inner_files(
    file: SourceFile,
    settings: IngestSettings,
    folder: Path,
    chosen: Callable[[Sequence[str]], Collection[str]] = set,
) -> Sequence[SourceFile]:
    """Return the files of readings in an archive or workbook, by name; the file itself where it is one.

    What cannot be unpacked is one file, too: reading it says why.

    Parameters
    ----------
    file : SourceFile
    settings : IngestSettings
    folder : Path
        Takes them; as long as it is there, the files can be read.
    chosen : callable, optional
        Returns which of their names to unpack; all by default.
    """
    is_book = file.format == "workbook" and is_pattern(settings.sheet)
    if not is_book and file.format != "archive":
        return [file]
    try:
        with file.opened() as path:
            names = sheets_alike(path, settings.sheet) if is_book else archived(path)
            names.sort(key=lambda name: name.encode())
            if len(names) < (1 if is_book else 2):
                return [file]
            mine = Path(tempfile.mkdtemp(dir=folder))
            wanted = chosen(names)
            copies, broken = (
                (write_sheets(path, wanted, mine), dict[str, str]())
                if is_book
                else unpack(path, wanted, mine)
            )
        was_replaced = file.has_changed()
    except (InputError, OSError):
        return [file]
    return [
        InnerFile(
            name=f"{file.name}/{name}",
            path=f"{file.path}/{name}",
            size=Path(copies[name]).stat().st_size if name in copies else 0,
            changed_ns=file.changed_ns,
            clock=file.clock,
            within=file.name,
            copy=copies.get(name, ""),
            broken=broken.get(name, ""),
            was_replaced=was_replaced,
        )
        for name in names
    ]
