"""Say with which settings files that were not read can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.inspection.inspect import inspect_files
from batch_scoring.ingestion.inspection.proposal import nested
from batch_scoring.ingestion.inspection.settings_text import params_text, shell_quoted
from batch_scoring.ingestion.source_files import SEE, SourceFile

# What stands before settings that a command is to get.
ADD = "add --params "


def advice_on(files: Sequence[SourceFile], settings: Mapping[str, Any] | None) -> str:
    """Inspect files and return the settings to add, tried on a sample; without any, what shows more.

    Parameters
    ----------
    files : sequence of SourceFile
    settings : mapping, optional
        ``params:ingest`` with which they were not read.
    """
    found = settings_for(files, settings)
    return f"{ADD}{shell_quoted(params_text(found))}; {SEE}" if found else SEE


def settings_for(files: Sequence[SourceFile], settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings, with dotted names below ``ingest``, that let files be read; may be none.

    The parameters are those of :func:`advice_on`.
    """
    try:
        found = inspect_files(files, settings)
    except (InputError, OSError):
        return {}
    return found.proposal.settings if found.is_readable else {}


def in_python(text: str, files: Sequence[SourceFile], settings: Mapping[str, Any] | None) -> str:
    """Say in the words of Python what a command says of files that were not read."""
    said = text.removesuffix(f"; {SEE}").partition(f"; {ADD}")[0]
    found = settings_for(files, settings) if said != text else {}
    return f"{said}; pass settings={{'ingest': {nested(found)}}}" if found else said
