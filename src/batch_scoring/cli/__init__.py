"""The project's own commands beside Kedro's: `kedro run` with ids kept as text, `kedro report` and others.

Kedro reads this module at every start, so nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import copy
import re
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from omegaconf import OmegaConf

from batch_scoring.collector import collector
from batch_scoring.exit_codes import FAILED, OVERTAKEN
from batch_scoring.fleet.errors import InputError, OvertakenError

ID_PARAMETERS = ("device", "sensor")


@click.group(name="batch_scoring")
def cli() -> None:
    """Commands of the batch_scoring project."""


class Failure(click.ClickException):
    """Ends a command with one line."""

    exit_code = FAILED


class Overtaken(Failure):
    """Ends a command that is to be run again."""

    exit_code = OVERTAKEN


class OneLineErrors(click.Command):
    """A command that shows what a person can mend as one line instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; exit with 1 and one line when a person can mend what went wrong."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            cause = mendable_cause(error)
            if cause is None:
                raise
            raise (Overtaken if isinstance(cause, OvertakenError) else Failure)(str(cause)) from error


class RunCommand(OneLineErrors):
    """`kedro run`: the garbage collector rests until the first node, see ``hooks``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Start with the collector at rest; leave it awake, whatever happens."""
        collector.rest()
        try:
            return super().invoke(ctx)
        finally:
            collector.wake()


def mendable_cause(error: BaseException | None) -> InputError | None:
    """The InputError that an exception is or was raised from; Kedro wraps those of datasets."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


def split_params(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Read ``--params``; ids keep their text, everything else is read as Kedro reads it.

    Kedro reads ``device=007`` as the number 7. Here ``device=007``, ``device=7`` and ``device=7.0``
    are three ids. ``device=[7,8]`` and ``device=7,device=8`` are lists; quotes protect
    commas and brackets in an id. Other parameters may be lists too, which Kedro would cut apart.

    Examples
    --------
    >>> split_params(None, None, 'device=007,sensor=["a,b",c]')
    {'device': '007', 'sensor': ['a,b', 'c']}
    """
    if isinstance(value, dict):
        return value
    ids: dict[str, list[str]] = {}
    rest = []
    for item in split_outside_quotes(value):
        key, equals, text = item.partition("=")
        if equals and key.strip() in ID_PARAMETERS:
            ids.setdefault(key.strip(), []).extend(_read_id_list(text))
        else:
            rest.append(item)
    selected = {key: texts[0] if len(texts) == 1 else texts for key, texts in ids.items()}
    return _read_dotlist(ctx, rest) | selected


def _read_dotlist(ctx: click.Context, items: list[str]) -> dict[str, Any]:
    """Read ``key.subkey=value`` items, values as YAML, as Kedro does."""
    for item in items:
        key, equals, _ = item.partition("=")
        if not equals or not key.strip():
            ctx.fail(f"--params: {item!r} is not key=value; items are separated by commas")
    params: Any = OmegaConf.to_container(OmegaConf.from_dotlist(items))
    return dict(params)


def split_outside_quotes(text: str) -> list[str]:
    """Split at the commas that are neither in quotes nor in brackets or braces."""
    in_brackets = r"""\[(?:"[^"]*"|'[^']*'|[^\]"'])*\]|\{(?:"[^"]*"|'[^']*'|[^}"'])*\}"""
    items = re.findall(rf"""(?:"[^"]*"|'[^']*'|{in_brackets}|[^,])+""", text)
    return [item.strip() for item in items if item.strip()]


def _read_id_list(text: str) -> list[str]:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [_unquote(item) for item in split_outside_quotes(text[1:-1])]
    return [_unquote(text)]


def _unquote(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _run_command() -> click.Command:
    command = copy.copy(kedro_run)
    command.params = [copy.copy(option) for option in kedro_run.params]
    for option in command.params:
        if option.name == "params":
            option.callback = split_params
    command.__class__ = RunCommand
    return command


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


@click.command("report", cls=OneLineErrors)
@click.option("--data", metavar="FOLDER", help="The folder of the data; default: the catalog's.")
@click.option("--env", "-e", metavar="ENV", help="Kedro configuration environment.")
@click.option(
    "--to",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("data/report.html"),
    show_default=True,
    help="Where to put the copy.",
)
def report(data: str | None, env: str | None, to: Path) -> None:
    """Copy the page of the last report to this machine."""
    from kedro.framework.session import KedroSession

    from batch_scoring.storage.local import atomic_file

    with KedroSession.create(env=env, runtime_params={"data": data} if data else None) as session:
        catalog = cast(KedroSession, session).load_context().catalog
    where = catalog["report_page"]._describe()["filepath"]
    if not catalog.exists("report_page"):
        raise InputError(f"{where}: there is no page yet; make it with `kedro run --pipelines=report`")
    page = catalog.load("report_page")
    with atomic_file(to) as file:
        file.write(page.encode())
    click.echo(f"{where} is copied to {to}: open it in a browser")


run = _run_command()
cli.add_command(run)
cli.add_command(report)
cli.add_command(LazyGroup("models", "batch_scoring.models_cli", "List, promote, roll back, import models."))
cli.add_command(
    LazyGroup("deploy", "batch_scoring.deploy.cli", "Deploy to Azure: image, template, models, data.")
)
cli.add_command(LazyGroup("jobs", "batch_scoring.cluster.cli", "Jobs, one per sensor: submit, watch."))
