"""Kedro's own commands about catalog, pipelines and Jupyter, with errors in one line."""

from __future__ import annotations

import copy
from typing import Any

import click
from kedro.framework.cli.catalog import catalog as kedro_catalog
from kedro.framework.cli.jupyter import jupyter as kedro_jupyter
from kedro.framework.cli.registry import registry as kedro_registry

from batch_scoring.cli.command import UserErrorCommand
from batch_scoring.core.errors import InputError


class KedroCommand(UserErrorCommand):
    """A command of Kedro."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Kedro answers of a pipeline that does not exist as of an empty one."""
        if ctx.params.get("pipeline"):
            from batch_scoring.cli.run_options import check_pipelines

            with self._one_line(ctx):
                check_pipelines(ctx.params["pipeline"])
        return super().invoke(ctx)

    def explain(self, error: BaseException, options: dict[str, Any]) -> InputError | None:
        """Name the option that Kedro refused, or what is not installed."""
        if isinstance(error.__cause__, ModuleNotFoundError):
            name = error.__cause__.name
            return InputError(f"{name!r} is not installed; run `pip install {name}`")
        from batch_scoring.cli.run_options import explain

        return explain(error, options)


def _with_one_line(group: click.Group) -> click.Group:
    copied = copy.copy(group)
    copied.commands = {}
    for name, command in group.commands.items():
        own = copied.commands[name] = copy.copy(command)
        own.__class__ = KedroCommand
        # The option of every command, in the place of that which some of Kedro's have.
        own.params = [option for option in command.params if option.name != "verbose"]
    return copied


catalog = _with_one_line(kedro_catalog)
registry = _with_one_line(kedro_registry)
jupyter = _with_one_line(kedro_jupyter)
