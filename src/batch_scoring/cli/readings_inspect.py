"""`kedro readings inspect`: what a file is, how it would be read, and the settings that read it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil

import click

from batch_scoring.cli.command import ENV, JSON, PARAMS, command, print_json
from batch_scoring.core.errors import FAILED, InputError
from batch_scoring.jobs.context import open_context


@command("inspect", ENV, PARAMS, JSON)
@click.argument("places", metavar="FILE…", nargs=-1, required=True)
def inspect(places: Sequence[str], env: str | None, params: str, as_json: bool) -> None:
    """Describe files of readings and propose the settings that read them; nothing is stored.

    FILE is a file, a folder or a glob. A sample is read: the first megabyte, and a part of middle and end.
    Exit code 1 with one sentence when no settings read it.
    """
    from kedro.io import DatasetError

    from batch_scoring.core.failures import sentence_of
    from batch_scoring.core.parameters import read_parameters
    from batch_scoring.datasets.raw_readings import RawReadings
    from batch_scoring.ingestion.inspection import inspect_files
    from batch_scoring.ingestion.inspection.rendering import as_text, as_values, sentence
    from batch_scoring.training.settings import TrainParameters

    configured = open_context(None, env, params).params
    settings = configured.get("ingest", {})
    training = read_parameters(TrainParameters, configured.get("train", {}), "train")
    needed_windows = ceil(training.fit.min_windows / training.share)
    failed = []
    results = []
    for place in places:
        try:
            with _quiet("batch_scoring.ingestion"):
                found = inspect_files(RawReadings(place).load(), settings)
        except (InputError, DatasetError) as error:
            failed.append(str(sentence_of(error)))
            continue
        if as_json:
            results.append(as_values(found, place))
        else:
            click.echo(as_text(found, place, needed_windows, params or ""))
            click.echo()
        if not found.is_readable:
            failed.append(f"{place}: {sentence(found)}")
    if as_json:
        print_json(results)
    for line in failed:
        click.echo(f"Error: {line}", err=True)
    if failed:
        raise click.exceptions.Exit(FAILED)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Leave out what is logged below errors: a sample is read in several ways, and none of them is a run."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
