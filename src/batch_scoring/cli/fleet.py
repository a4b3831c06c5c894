"""`kedro fleet …`: look at the fleet in a browser."""

from __future__ import annotations

import getpass
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from batch_scoring.cli.command import DATA, ENV, command
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.context import open_context

if TYPE_CHECKING:
    from batch_scoring.server.registry import Ended
    from batch_scoring.server.workspace import Workspace
    from batch_scoring.storage.folder import Folder

# Of a promotion in Blob Storage with a slow tracking server.
_MAX_SECONDS = 600


@click.group(name="fleet")
def fleet() -> None:
    """Look at the fleet in a browser."""


@command("serve", DATA, ENV)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8050, show_default=True, type=click.IntRange(0, 65535), help="0: any free one."
)
@click.option(
    "--token",
    default="",
    metavar="TEXT",
    envvar="BATCH_SCORING_TOKEN",
    help="What people sign in with; or the variable BATCH_SCORING_TOKEN.",
)
@click.option(
    "--proxy-header", default="", metavar="NAME", help="Header in which your proxy names the person."
)
@click.option("--may-act", multiple=True, metavar="NAME", help="Person or group:NAME who may act; else all.")
@click.option("--groups-header", default="", metavar="NAME", help="Header in which it lists their groups.")
@click.option("--name", "names", multiple=True, help="Another host name that the pages are reached by.")
def serve(
    host: str,
    port: int,
    token: str,
    proxy_header: str,
    may_act: tuple[str, ...],
    groups_header: str,
    names: tuple[str, ...],
    data: str | None,
    env: str | None,
) -> None:
    """Serve the pages of a workspace until Ctrl-C; on this machine only, unless asked otherwise."""
    from batch_scoring.jobs.records import Records
    from batch_scoring.reporting.run_records import read_records
    from batch_scoring.server.access import decide_access
    from batch_scoring.server.pages.rendering import Site
    from batch_scoring.server.queries.jobs import RUNS
    from batch_scoring.server.registry import Registry
    from batch_scoring.server.run import run_server
    from batch_scoring.server.workspace import SECONDS_FRESH, SECONDS_FRESH_REMOTE, Workspace
    from batch_scoring.storage import is_remote

    # A person with the token need not be the user that runs the server.
    user = "" if token else _user()
    access = decide_access(
        host, token, proxy_header, names, user, may_act=may_act, groups_header=groups_header
    )
    context = open_context(data, env)
    catalog = context.catalog
    place, published = catalog["workspace"].folder.path(), catalog["fleet_models"].published
    if not is_remote(place) and not Path(place).is_dir():
        raise InputError(f"{place}: there is no such folder; name the workspace with --data")
    fresh = SECONDS_FRESH_REMOTE if is_remote(place) else SECONDS_FRESH
    workspace = Workspace(catalog.load, catalog.exists, catalog.save, place, published, fresh)
    registry = Registry(partial(_kedro_models, str(context.project_path), place, env))
    folder = catalog["workspace"].folder
    runs = partial(read_records, folder, RUNS)
    site = Site(workspace, access, registry, Records(place), _metrics(workspace, folder), runs)
    run_server(site, port, click.echo)


def _metrics(workspace: Workspace, folder: Folder) -> Callable[[], bytes] | None:
    """Return what writes the metrics of a workspace; None without the extra ``metrics``."""
    try:
        from prometheus_client import generate_latest
    except ImportError:
        return None
    from batch_scoring.reporting.last_run import read_last_run
    from batch_scoring.reporting.metrics import TABLES
    from batch_scoring.reporting.prometheus import registry_of

    def load(name: str) -> Any:
        return workspace.table(name) if name in TABLES else workspace.file(name)

    return partial(generate_latest, registry_of(load, partial(read_last_run, folder)))


def _kedro_models(project: str, data: str, env: str | None, arguments: Sequence[str]) -> Ended:
    """Run a command of `kedro models` in a process of its own."""
    from batch_scoring.server.registry import Ended

    name, *more = arguments
    options = ["--data", data, *(["--env", env] if env else [])]
    command = [sys.executable, "-m", "kedro", "models", name, *options, *more]
    ended = subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=_MAX_SECONDS, check=False
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def _user() -> str:
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user may have no name
        return ""


fleet.add_command(serve)
