"""What the commands share: errors in one line, and groups that are imported when they are asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from batch_scoring.core.errors import CONFLICT, FAILED, ConflictError, InputError


class Failure(click.ClickException):
    """Ends a command with one line."""

    exit_code = FAILED


class Conflict(Failure):
    """Ends a command that is to be run again."""

    exit_code = CONFLICT


class UserErrorCommand(click.Command):
    """A command that shows what a person can mend as one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit with 1 and one line when a person can mend what went wrong."""
        try:
            if "env" in ctx.params:
                check_environment(ctx.params)
            return super().invoke(ctx)
        except Exception as error:
            cause = user_error_of(error) or missing_extra(error) or self.explain(error, ctx.params)
            if cause is None:
                raise
            raise (Conflict if isinstance(cause, ConflictError) else Failure)(str(cause)) from error

    def explain(self, error: Exception, options: dict[str, Any]) -> InputError | None:
        """Find what a person can mend behind an error of another library; None for nothing."""
        return None


def check_environment(options: Mapping[str, Any]) -> None:
    """Refuse a configuration environment without a folder; some commands would go on with ``conf/base``.

    Parameters
    ----------
    options : mapping
        The options of a command by their Python names.

    Raises
    ------
    InputError
        Naming ``--env``, its value and the environments there are.
    """
    from kedro.framework.project import settings
    from kedro.utils import find_kedro_project

    env, here = options.get("env") or os.environ.get("KEDRO_ENV"), Path.cwd()
    conf = Path(options.get("conf_source") or (find_kedro_project(here) or here) / settings.CONF_SOURCE)
    # Configuration may be an archive, too.
    if env and conf.is_dir() and not (conf / env).is_dir():
        known = sorted(folder.name for folder in conf.iterdir() if folder.is_dir())
        raise InputError(f"--env: {env!r} is not valid; expected one of {', '.join(known)} in {conf}")


# The extra that brings a library, by its package.
_EXTRAS = {
    "ingest": ("duckdb", "fastavro", "pytz"),
    "train": ("matplotlib", "mlflow", "pandas", "sklearn", "skops", "threadpoolctl"),
    "azure": ("azure", "aiohttp", "msrest", "opentelemetry"),
    "dask": ("dask", "distributed"),
}


def missing_extra(error: BaseException | None) -> InputError | None:
    """Name the extra to install where a library of one is missing."""
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__ or error.__context__
    package = ((error.name if error is not None else None) or "").partition(".")[0]
    for extra, packages in _EXTRAS.items():
        if package in packages:
            return InputError(f"{package} is not installed; pip install 'batch_scoring[{extra}]'")
    return None


def user_error_of(error: BaseException | None) -> InputError | None:
    """The InputError that an exception is or was raised from; Kedro wraps those of datasets."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


class LazyGroup(click.Group):
    """A group of commands whose module is imported when one of them is asked for."""

    def __init__(self, name: str, module: str, help: str) -> None:
        super().__init__(name, help=help)
        self._module = module

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        return self._group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find a command by its name."""
        return self._group().get_command(ctx, cmd_name)

    def _group(self) -> click.Group:
        group: click.Group = getattr(import_module(self._module), self.name or "")
        return group


Option = Callable[[Callable[..., None]], Callable[..., None]]

DATA = click.option("--data", metavar="FOLDER", help="The folder of the data; default: the catalog's.")
ENV = click.option("--env", "-e", metavar="ENV", help="Kedro configuration environment.")
AZURE_ENV = click.option(
    "--env", "-e", metavar="ENV", default="azure", show_default=True, help="Kedro environment."
)
BACKEND = click.option("--backend", metavar="NAME", help="The engine; default: jobs.backend.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
PARAMS = click.option("--params", default="", metavar="KEY=VALUE,…", help="Override settings of the files.")


def command(name: str, *options: Option) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command that shows what a person can mend as one line.

    Parameters
    ----------
    name : str
        What a person types.
    *options
        Options that other commands have, too, such as :data:`ENV`.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        for option in options:
            function = option(function)
        return click.command(name, cls=UserErrorCommand)(function)

    return decorate


def print_json(values: Any, default: Callable[[Any], str] | None = None) -> None:
    """Print plain values as JSON; ``default`` converts those that JSON does not know."""
    click.echo(json.dumps(values, indent=2, ensure_ascii=False, default=default))
