"""Say with which settings files that were not read can be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batch_scoring.core.errors import InputError
from batch_scoring.ingestion.inspection.inspect import inspect_files
from batch_scoring.ingestion.inspection.settings_text import params_text, shell_quoted
from batch_scoring.ingestion.source_files import SEE, SourceFile


def advice_on(files: Sequence[SourceFile], settings: Mapping[str, Any] | None) -> str:
    """Inspect files and return the settings to add, tried on a sample; without any, what shows more.

    Parameters
    ----------
    files : sequence of SourceFile
    settings : mapping, optional
        ``params:ingest`` with which they were not read.
    """
    try:
        found = inspect_files(files, settings)
    except (InputError, OSError):
        return SEE
    if not (found.is_readable and found.proposal.settings):
        return SEE
    return f"add --params {shell_quoted(params_text(found.proposal.settings))}; {SEE}"
