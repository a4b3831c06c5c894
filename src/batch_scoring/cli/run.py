"""`kedro run`, with ids kept as text and errors in one line."""

from __future__ import annotations

import copy
import os
from typing import Any

import click
from kedro.framework.cli.project import run as kedro_run

from batch_scoring.cli.command import UserErrorCommand
from batch_scoring.core.errors import InputError
from batch_scoring.core.garbage import collector
from batch_scoring.core.run_params import split_params

# Arrow's own allocator asks Linux for huge pages, and gives back memory that it soon needs again: a tenth of
# an hour's run. Arrow reads this when it is imported.
MEMORY_POOL = ("ARROW_DEFAULT_MEMORY_POOL", "system")


class RunCommand(UserErrorCommand):
    """`kedro run`: the garbage collector rests until the first node, see ``hooks``."""

    def invoke(self, ctx: click.Context) -> Any:
        """Start with the collector at rest; leave it awake, whatever happens."""
        os.environ.setdefault(*MEMORY_POOL)
        collector.rest()
        try:
            return super().invoke(ctx)
        finally:
            collector.wake()

    def explain(self, error: BaseException, options: dict[str, Any]) -> InputError | None:
        """Name the option that Kedro refused."""
        from batch_scoring.cli.run_options import explain

        return explain(error, options)


# Lists with commas. Kedro's take the last of them alone when they are repeated.
_LISTS = {
    *("tags", "pipelines", "namespaces", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs"),
}


def _run_command() -> click.Command:
    run_pipelines = kedro_run.callback
    assert run_pipelines is not None

    def checked(**options: Any) -> Any:
        from batch_scoring.cli.run_options import check_load_versions, check_runner

        if options["conf_source"]:
            from kedro.framework.project import settings

            from batch_scoring.cli.run_files import check_conf_source, log_as_configured

            known = settings.CONFIG_LOADER_ARGS
            check_conf_source(options, known["base_env"], known["default_run_env"])
            log_as_configured(options["conf_source"])
        check_load_versions(options)
        check_runner(options)
        return run_pipelines(**options)

    command = copy.copy(kedro_run)
    command.params = [copy.copy(option) for option in kedro_run.params]
    for option in command.params:
        assert isinstance(option, click.Option)
        if option.name == "params":
            option.multiple, option.default, option.callback = True, (), _read_params
        elif option.name in _LISTS:
            option.multiple, option.default, option.callback = True, (), _join(option.callback)
        elif option.name == "config":
            option.is_eager, option.callback = True, _read_config
    command.callback = checked
    command.__class__ = RunCommand
    return command


def _read_params(ctx: click.Context, param: click.Parameter, values: tuple[Any, ...]) -> Any:
    """Read every ``--params``, a later one after those before; a file of ``--config`` may hold a mapping."""
    if values and isinstance(values[0], dict):
        return values[0]
    return split_params(ctx, param, ",".join(values))


def _join(split: Any) -> Any:
    return lambda ctx, param, values: split(ctx, param, ",".join(values))


def _read_config(ctx: click.Context, _: click.Parameter, file: str | None) -> str | None:
    """Take the options of a file as defaults."""
    if file:
        from batch_scoring.cli.run_files import read_options

        known = {one.name: one for one in ctx.command.params if isinstance(one, click.Option)}
        found = read_options(file, [name for name in known if name and name != "config"])
        several = {name for name, option in known.items() if option.multiple}
        ctx.default_map = {
            name: [value] if name in several and not isinstance(value, list) else value
            for name, value in found.items()
        }
    return file


run = _run_command()
