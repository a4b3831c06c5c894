"""Say what a person can mend behind the errors of DuckDB and of the system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from batch_scoring.core.errors import InputError, MachineError
from batch_scoring.core.system_errors import system_error
from batch_scoring.core.text import printable


@contextmanager
def naming_file(path: str) -> Iterator[None]:
    """Name the file in errors of DuckDB and of the system."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.Error, OSError) as error:
        trouble = system_error(error, path)
        if trouble is not None and not str(trouble).startswith(f"{printable(path)}: "):
            raise trouble from error  # not of this file, so no other one can be read either
        reason = trouble or f"{path}: cannot be read ({first_line_of(error)}); fix or remove the file"
        raise InputError(f"{reason}; nothing of it was ingested") from error


@contextmanager
def telling_of_limits(folder: Path) -> Iterator[None]:
    """Tell which limit was reached, when one was."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        if "max_temp_directory_size" in str(error):
            raise MachineError(
                f"{folder}: the disk is full; make room, or name another folder in ingest.temp_directory"
            ) from error
        raise MachineError(
            f"ingest.memory_limit: more memory is needed ({first_line_of(error)}); raise it"
        ) from error


def first_line_of(error: Exception) -> str:
    """Return the first line of an error's text."""
    return str(error).splitlines()[0]
