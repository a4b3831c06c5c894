"""`kedro report`: copy the page of the last report to this machine."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from batch_scoring.cli.command import DATA, ENV, UserErrorCommand
from batch_scoring.core.errors import InputError


@click.command("report", cls=UserErrorCommand)
@DATA
@ENV
@click.option(
    "--to",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("data/report.html"),
    show_default=True,
    help="Path of the copy.",
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
