"""What the commands of `kedro jobs` share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from batch_scoring.cli.command import BACKEND, DATA, ENV, Option, command
from batch_scoring.jobs.context import open_cluster


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
