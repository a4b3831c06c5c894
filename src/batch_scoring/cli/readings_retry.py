"""`kedro readings retry`: read source files again that were refused."""

from __future__ import annotations

import click

from batch_scoring.cli.command import DATA, ENV, PARAMS, command
from batch_scoring.core.text import number
from batch_scoring.jobs.context import open_context


@command("retry", PARAMS, DATA, ENV)
@click.argument("files", nargs=-1, metavar="[FILE]…")
def retry(files: tuple[str, ...], params: str, data: str | None, env: str | None) -> None:
    """Read refused source files again, with the settings as they are now; then run `ingest`.

    FILE is a name as the table of sources has it, or its end; then it is read again even if it was not
    refused. A file whose bytes have changed is read again by itself.
    """
    from batch_scoring.cli.run import run
    from batch_scoring.ingestion.sources import forget_sources, to_retry

    context = open_context(data, env, params)
    sources = context.catalog["sources"]
    names = to_retry(sources.load(), files)
    if not names:
        click.echo("No source file is refused.")
        return
    sources.save(forget_sources(names))
    click.echo(f"{number(len(names), 'file')} to read again: {', '.join(names[:10])}")
    given = {"--params": ",".join(filter(None, [params, f"data={data}" if data else ""])), "--env": env}
    options = [text for name, value in given.items() if value for text in (name, value)]
    run.main(["--pipelines=ingest", *options], standalone_mode=False)
