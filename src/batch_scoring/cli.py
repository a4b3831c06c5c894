"""The project's own commands beside Kedro's: `kedro run` with ids kept as text, and `kedro models …`.

Kedro reads this module at every start, so nothing heavy is imported before a command runs.
"""

from __future__ import annotations

import copy
import re
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import _split_params

from batch_scoring.fleet.errors import InputError

ID_PARAMETERS = ("device", "sensor")


@click.group(name="batch_scoring")
def cli() -> None:
    """Commands of the batch_scoring project."""


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
            raise click.ClickException(str(cause)) from error


def mendable_cause(error: BaseException | None) -> InputError | None:
    """The InputError that an exception is or was raised from; Kedro wraps those of datasets."""
    while error is not None and not isinstance(error, InputError):
        error = error.__cause__
    return error


def split_params(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    """Read ``--params``; ids keep their text, everything else is read as Kedro reads it.

    Kedro reads ``device=007`` as the number 7. Here ``device=007``, ``device=7`` and ``device=7.0``
    are three ids. ``device=[7,8]`` and ``device=7,device=8`` are lists; quotes protect
    commas and brackets in an id.

    Examples
    --------
    >>> split_params(None, None, 'device=007,sensor=["a,b",c]')
    {'device': '007', 'sensor': ['a,b', 'c']}
    """
    if isinstance(value, dict):
        return value
    ids: dict[str, list[str]] = {}
    rest = []
    for item in _split_outside_quotes(value):
        key, equals, text = item.partition("=")
        if equals and key.strip() in ID_PARAMETERS:
            ids.setdefault(key.strip(), []).extend(_read_id_list(text))
        else:
            rest.append(item)
    params = _split_params(ctx, param, ",".join(rest)) if rest else {}
    return params | {key: texts[0] if len(texts) == 1 else texts for key, texts in ids.items()}


def _split_outside_quotes(text: str) -> list[str]:
    """Split at the commas that are neither in quotes nor in brackets."""
    items = re.findall(r"""(?:"[^"]*"|'[^']*'|\[(?:"[^"]*"|'[^']*'|[^\]"'])*\]|[^,])+""", text)
    return [item.strip() for item in items if item.strip()]


def _read_id_list(text: str) -> list[str]:
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        return [_unquote(item) for item in _split_outside_quotes(text[1:-1])]
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
    command.__class__ = OneLineErrors
    return command


run = _run_command()
cli.add_command(run)
