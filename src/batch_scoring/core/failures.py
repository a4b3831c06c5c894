"""Decide what a command says of an error: one sentence for every kind, and a log file for what is a bug."""

from __future__ import annotations

import logging
import platform
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from batch_scoring import __version__
from batch_scoring.core.errors import InputError
from batch_scoring.core.redaction import without_secrets
from batch_scoring.core.system_errors import causes, system_error

LOG_PREFIX = "batch_scoring_error_"
_LOG = "batch_scoring_log"
# The extra that brings a library, by its package.
_EXTRAS = {
    "ingest": ("duckdb", "fastavro", "python_calamine", "pytz"),
    "train": ("matplotlib", "mlflow", "narwhals", "pandas", "sklearn", "skops", "threadpoolctl"),
    "viz": ("kedro_viz",),
    "azure": ("azure", "aiohttp", "msrest", "opentelemetry"),
    "metrics": ("prometheus_client",),
    "s3": ("botocore", "obstore"),
    "dask": ("dask", "distributed"),
    "validate": ("pandera", "polars"),
    "serve": ("jinja2", "markupsafe", "starlette", "uvicorn"),
}
_LONGEST_REASON = 300


def sentence_of(
    error: BaseException, explain: Callable[[BaseException], InputError | None] = lambda _: None
) -> InputError:
    """Return the one sentence that a command ends with.

    Parameters
    ----------
    error : BaseException
        What ended it.
    explain : callable, optional
        Finds what a person can correct behind an error of another library; None for nothing.

    Returns
    -------
    InputError
        What a person can correct, as raised; else what a missing library, the system or ``explain`` says.
        Of any other error the traceback is written to a file that the sentence names.
    """
    return (
        user_error_of(error)
        or missing_extra(error)
        or system_error(error)
        or explain(error)
        or _unexpected(error)
    )


def user_error_of(error: BaseException | None) -> InputError | None:
    """The InputError that an exception is or was raised from."""
    return next((one for one in causes(error) if isinstance(one, InputError)), None)


def missing_extra(error: BaseException | None) -> InputError | None:
    """Name the extra to install where a library of one is missing."""
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__ or error.__context__
    package = ((error.name if error is not None else None) or "").partition(".")[0]
    for extra, packages in _EXTRAS.items():
        if package in packages:
            return InputError(f"{package} is not installed; pip install 'batch_scoring[{extra}]'")
    return None


def traceback_of(error: BaseException) -> str:
    """Return an error's traceback without secrets."""
    return without_secrets("".join(traceback.format_exception(error)))


def is_verbose() -> bool:
    """Whether the log is at DEBUG, where tracebacks are shown, too."""
    return logging.getLogger("batch_scoring").isEnabledFor(logging.DEBUG)


def _unexpected(error: BaseException) -> InputError:
    *_, first = causes(error)
    reason = without_secrets(" ".join(f"{type(first).__name__}: {first}".rstrip(": ").split()))
    reason = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…"
    if isinstance(first, RecursionError):
        reason = f"something is nested too deeply to be read ({reason})"
    log = _log_of(error)
    where = f"send the log file {log}" if log else "run again with --verbose and send what is printed"
    return InputError(f"an unexpected error ended this run: {reason}; {where}")


def _log_of(error: BaseException) -> Path | None:
    """Return the file with the traceback, written when the error is first asked about."""
    if not hasattr(error, _LOG):
        with suppress(AttributeError):  # an error of a library may take no attributes
            setattr(error, _LOG, _write_log(error))
    return getattr(error, _LOG) if hasattr(error, _LOG) else _write_log(error)


def _write_log(error: BaseException) -> Path | None:
    """Write the traceback to a file of temporary files, or in the current folder where that fails."""
    versions = f"batch_scoring {__version__}, Python {platform.python_version()}, {platform.platform()}"
    command = without_secrets(" ".join(sys.argv))
    text = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {versions}\n{command}\n\n{traceback_of(error)}"
    for folder in (None, "."):
        with suppress(OSError):
            name = tempfile.mkstemp(".log", LOG_PREFIX, folder, text=True)[1]
            try:
                Path(name).write_text(text, encoding="utf-8", errors="backslashreplace")
            except OSError:
                Path(name).unlink()
                raise
            return Path(name)
    return None
