"""Open the context of `kedro jobs`: workspace, settings, records, and the engine of each run."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from kedro.framework.context import KedroContext

    from batch_scoring.jobs.backends.base import Backend
    from batch_scoring.jobs.records import Records
    from batch_scoring.jobs.settings import JobsParameters


_OF_THE_PLAN = ("at", "data", "sensor", "device", "shard", "models", "staged", "judged")


@dataclass(frozen=True)
class Cluster:
    """Context of the commands: a workspace with its settings, records and engines.

    Attributes
    ----------
    data : str
        The workspace.
    env : str or None
        Kedro's configuration environment.
    project : Path
        The folder with ``conf/``.
    overrides : str
        Parameters of ``--params`` other than ``jobs.*``; passed on to the jobs.
    """

    data: str
    settings: JobsParameters
    env: str | None
    project: Path
    overrides: str = ""
    _engines: dict[str, Backend] = field(default_factory=dict)

    @cached_property
    def records(self) -> Records:
        """The files of the workspace's runs."""
        from batch_scoring.jobs.records import Records

        return Records(self.data)

    @property
    def backend(self) -> Backend:
        """The engine of the settings."""
        return self.engine(self.settings.backend)

    def engine_of(self, run: str) -> Backend:
        """Return the engine that a run was submitted to; without a record that of the settings."""
        return self.engine(self.records.submitted_to(run) or self.settings.backend)

    def engine(self, name: str) -> Backend:
        """Return an engine by its name, without connecting."""
        from batch_scoring.jobs.backends import open_backend

        if name not in self._engines:
            self._engines[name] = open_backend(name, self.data, self.env, self.settings, self.project)
        return self._engines[name]

    def close(self) -> None:
        """Close the engines that hold a connection or workers of this process."""
        for engine in self._engines.values():
            engine.close()


def open_cluster(data: str | None, env: str | None, backend: str | None, params: str = "") -> Cluster:
    """Read the settings, without connecting to an engine.

    Raises
    ------
    InputError
        When a setting is not valid, or an environment of a cloud names no engine.
    """
    from batch_scoring.core.errors import InputError
    from batch_scoring.core.parameters import read_parameters
    from batch_scoring.jobs.settings import JobsParameters
    from batch_scoring.storage import is_remote

    context = open_context(data, env, params)
    chosen = {} if backend is None else {"backend": backend}
    settings = read_parameters(JobsParameters, context.params.get("jobs", {}) | chosen, "jobs")
    place = context.config_loader["globals"]["data"]
    if env is not None and backend is None and settings.backend == "local" and is_remote(place):
        raise InputError(
            f"jobs.backend: 'local' would run the jobs of {place} on this machine; run `kedro deploy env "
            f"--env {env}`, which keeps what the deployment runs them on, or say so with --backend local"
        )
    cluster = Cluster(place, settings, env, Path(context.project_path), overrides(params))
    click_context = click.get_current_context(silent=True)
    if click_context is not None:
        click_context.call_on_close(cluster.close)
    return cluster


def open_context(data: str | None, env: str | None, params: str = "") -> KedroContext:
    """Load Kedro's context of the project in the current folder."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project
    from kedro.utils import find_kedro_project

    from batch_scoring.core.run_params import split_params

    runtime: dict[str, Any] = {}
    if params:
        runtime |= split_params(click.get_current_context(), click.Option(["--params"]), params)
    if data is not None:
        runtime["data"] = data
    bootstrap_project(find_kedro_project(Path.cwd()) or Path.cwd())
    with KedroSession.create(env=env, runtime_params=runtime) as session:
        return cast(KedroSession, session).load_context()


def overrides(params: str) -> str:
    """Return the part of ``--params`` that is meant for the jobs' pipelines, as written.

    Raises
    ------
    InputError
        When it sets a parameter that the plan sets.

    Examples
    --------
    >>> overrides("jobs.retries=0, train.range=28d,train.features=[mean,std]")
    'train.range=28d,train.features=[mean,std]'
    """
    from batch_scoring.core.errors import InputError
    from batch_scoring.core.run_params import name_and_value, split_outside_quotes

    items = [item for item in split_outside_quotes(params) if not item.startswith("jobs.")]
    for item in items:
        name, _ = name_and_value(item)
        if name in _OF_THE_PLAN:
            raise InputError(
                f"--params {name}: this parameter is set for each job by the plan; leave it out"
                + (", or use --at" if name == "at" else "")
            )
    return ",".join(items)
