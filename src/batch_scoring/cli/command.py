"""What the commands share: errors in one line, and groups that are imported when they are asked for."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from batch_scoring.core.errors import CONFLICT, FAILED, NO_CAPACITY, CapacityError, ConflictError, InputError
from batch_scoring.jobs.context import open_cluster


class Failure(click.ClickException):
    """Ends a command with one line."""

    exit_code = FAILED


class Conflict(Failure):
    """Ends a command that is to be run again."""

    exit_code = CONFLICT


class NoCapacity(Failure):
    """Ends a command for which there are no machines."""

    exit_code = NO_CAPACITY


def _show_tracebacks(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    ctx.meta[_VERBOSE] = value


_VERBOSE = "batch_scoring.verbose"
VERBOSE = click.Option(
    ["--verbose"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_tracebacks,
    help="Show the traceback of an error, too.",
)
# What click itself ends a command with.
_OF_CLICK = (click.UsageError, click.exceptions.Exit, click.Abort, Failure)
_NOT_ERRORS = (KeyboardInterrupt, SystemExit, GeneratorExit)


class UserErrorCommand(click.Command):
    """A command that ends with one line instead of a traceback, whatever went wrong."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return its options, and ``--verbose``."""
        return [*super().get_params(ctx), VERBOSE]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options."""
        with self._one_line(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit with 1 and one line when it fails."""
        with self._one_line(ctx):
            if "env" in ctx.params:
                check_environment(ctx.params)
            return super().invoke(ctx)

    def explain(self, error: BaseException, options: dict[str, Any]) -> InputError | None:
        """Find what a person can correct behind an error of another library; None for nothing."""
        return None

    @contextmanager
    def _one_line(self, ctx: click.Context) -> Iterator[None]:
        try:
            yield
        except (*_OF_CLICK, *_NOT_ERRORS):
            raise
        except BaseException as error:  # a panic of a library in Rust is no Exception
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # who read the output has gone: click ends in silence
            raise self._failure(error, ctx) from error

    def _failure(self, error: BaseException, ctx: click.Context) -> Failure:
        from batch_scoring.core.failures import is_verbose, sentence_of, traceback_of
        from batch_scoring.core.redaction import without_keys

        if ctx.meta.get(_VERBOSE) or is_verbose():
            click.echo(traceback_of(error), err=True)
        sentence = sentence_of(error, lambda it: self.explain(it, ctx.params))
        kinds = {ConflictError: Conflict, CapacityError: NoCapacity}
        return kinds.get(type(sentence), Failure)(without_keys(str(sentence)))


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
        return getattr(import_module(self._module), self.name or "")


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
    """Make a command that shows what a person can correct as one line.

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


def cluster_command(name: str, *options: Option) -> Callable[[Callable[..., None]], click.Command]:
    """Make a command whose first argument is the cluster that ``--data``, ``--env`` and ``--backend`` name.

    Parameters
    ----------
    name : str
        What a person types.
    *options
        See :func:`.command`. Of :data:`.PARAMS`, the settings ``jobs.…`` are the cluster's.
    """

    def decorate(function: Callable[..., None]) -> click.Command:
        @wraps(function)
        def run(
            data: str | None, env: str | None, backend: str | None, params: str = "", **given: Any
        ) -> None:
            function(open_cluster(data, env, backend, params), **given)

        return command(name, DATA, ENV, BACKEND, *options)(run)

    return decorate


def print_json(values: Any, default: Callable[[Any], str] | None = None) -> None:
    """Print plain values as JSON; ``default`` converts values unknown to JSON."""
    click.echo(json.dumps(values, indent=2, ensure_ascii=False, default=default))
