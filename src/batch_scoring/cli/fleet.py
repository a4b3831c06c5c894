"""`kedro fleet …`: look at the fleet in a browser."""

from __future__ import annotations

import getpass

import click

from batch_scoring.cli.command import DATA, ENV, command
from batch_scoring.jobs.context import open_context


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
@click.option("--name", "names", multiple=True, help="Another host name that the pages are reached by.")
def serve(
    host: str,
    port: int,
    token: str,
    proxy_header: str,
    names: tuple[str, ...],
    data: str | None,
    env: str | None,
) -> None:
    """Serve the pages of a workspace until Ctrl-C; on this machine only, unless asked otherwise."""
    from batch_scoring.server.access import decide_access
    from batch_scoring.server.run import run_server
    from batch_scoring.server.workspace import Workspace

    access = decide_access(host, token, proxy_header, names, _user())
    context = open_context(data, env)
    catalog = context.catalog
    place = catalog["workspace"].folder.path()
    workspace = Workspace(
        catalog.load, catalog.exists, catalog.save, place, catalog["fleet_models"].published
    )
    run_server(workspace, access, port, click.echo)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""


fleet.add_command(serve)
