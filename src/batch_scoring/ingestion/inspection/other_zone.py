"""Find a file whose times another time zone would change; those with offsets are the same by any zone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.core.scratch import scratch_folder
from batch_scoring.ingestion.inner_files import inner_files
from batch_scoring.ingestion.inspection.sample import take_sample
from batch_scoring.ingestion.inspection.trial import try_reading
from batch_scoring.ingestion.settings import read_settings
from batch_scoring.ingestion.source_files import SourceFile

_AT_ONCE = 100


def changed_by(zone: str, files: Sequence[SourceFile], settings: Mapping[str, Any]) -> SourceFile | None:
    """Return the first file whose sample gets other times by this zone than by the setting; None without.

    Parameters
    ----------
    zone : str
        An IANA name.
    files : sequence of SourceFile
    settings : mapping
        ``params:ingest``.
    """
    parts = (files[start : start + _AT_ONCE] for start in range(0, len(files), _AT_ONCE))
    return next(filter(None, (_first(zone, part, settings) for part in parts)), None)


def _first(zone: str, files: Sequence[SourceFile], settings: Mapping[str, Any]) -> SourceFile | None:
    if _are_the_same(zone, files, settings):
        return None
    if len(files) == 1:
        return files[0]
    half = len(files) // 2
    return _first(zone, files[:half], settings) or _first(zone, files[half:], settings)


def _are_the_same(zone: str, files: Sequence[SourceFile], settings: Mapping[str, Any]) -> bool:
    with scratch_folder(settings.get("temp_directory")) as folder:
        inner = [one for file in files for one in inner_files(file, read_settings(settings), folder)]
        with ExitStack() as stack:
            samples = [_sample(file, folder, stack) for file in inner]
            now, then = (try_reading(samples, one) for one in (settings, {**settings, "timezone": zone}))
    return now.gives_the_same(then)


def _sample(file: SourceFile, folder: Path, stack: ExitStack) -> SourceFile:
    try:
        return take_sample(file, stack.enter_context(file.opened()), folder)
    except (InputError, OSError):
        return file  # of some forms a sample cannot be taken; reading a broken one says why
