"""`kedro report`: copy the page of the last report to this machine."""

from __future__ import annotations

from pathlib import Path

import click

from batch_scoring.cli.command import DATA, ENV, command
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.context import open_context


@command("report", DATA, ENV)
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
    from batch_scoring.storage.local import atomic_file

    catalog = open_context(data, env).catalog
    where = catalog["report_page"]._describe()["filepath"]
    if not catalog.exists("report_page"):
        raise InputError(f"{where}: there is no page yet; make it with `kedro run --pipelines=report`")
    page = catalog.load("report_page")
    with atomic_file(to) as file:
        file.write(page.encode())
    click.echo(f"{where} is copied to {to}: open it in a browser")
