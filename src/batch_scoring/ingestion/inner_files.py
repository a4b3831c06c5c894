"""The files in an archive, and the sheets of a workbook: read as files of a folder would be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from batch_scoring.core.errors import InputError
from batch_scoring.core.scratch import scratch_folder
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
    whole : SourceFile
        The archive or workbook.
    copy : str
        Where its bytes are, unpacked.
    """

    whole: SourceFile
    copy: str

    @contextmanager
    def opened(self) -> Iterator[str]:
        """The path of its bytes, for the time of the block."""
        yield self.copy

    def has_changed(self) -> bool:
        """Whether the archive was replaced or deleted since it was listed."""
        return self.whole.has_changed()


def inner_files(
    file: SourceFile,
    settings: IngestSettings,
    stack: ExitStack,
    chosen: Callable[[Sequence[str]], Collection[str]] = set,
) -> Sequence[SourceFile]:
    """Return the files of readings in an archive or workbook, by name; the file itself where it is one.

    What cannot be unpacked is one file, too: reading it says why.

    Parameters
    ----------
    file : SourceFile
    settings : IngestSettings
    stack : ExitStack
        Until it is closed, the files can be read.
    chosen : callable, optional
        Returns which of their names to unpack; all by default.
    """
    is_book = file.format == "workbook" and is_pattern(settings.sheet)
    if not is_book and file.format != "archive":
        return [file]
    try:
        path = stack.enter_context(file.opened())
        names = sheets_alike(path, settings.sheet) if is_book else archived(path)
        names.sort(key=lambda name: name.encode())
        if len(names) < (1 if is_book else 2):
            return [file]
        folder = stack.enter_context(scratch_folder(settings.temp_directory))
        copies = (write_sheets if is_book else unpack)(path, chosen(names), folder)
    except InputError:
        return [file]
    return [
        InnerFile(
            name=f"{file.name}/{name}",
            path=f"{file.path}/{name}",
            size=Path(copies[name]).stat().st_size if name in copies else 0,
            changed_ns=file.changed_ns,
            clock=file.clock,
            within=file.name,
            whole=file,
            copy=copies.get(name, ""),
        )
        for name in names
    ]
