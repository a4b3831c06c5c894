"""Register the pipelines by name; ``__default__`` runs from simulated readings to the report."""

from kedro.framework import project
from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

ORDER = (
    "simulate",
    "ingest",
    "aggregate",
    "train",
    "score",
    "incidents",
    "monitor",
    "track",
    "report",
    "maintain",
)


def register_pipelines() -> dict[str, Pipeline]:
    """Find the project's pipelines.

    Returns
    -------
    dict of str to Pipeline
        One entry a folder of ``pipelines/``, and ``__default__``.
    """
    try:
        pipelines = find_pipelines(raise_errors=True)
    except ImportError as error:
        if error.__cause__ is not None:
            raise
        # A name that is no pipeline: with all of them Kedro says which there are.
        project.pipelines.set_requested(None)
        pipelines = find_pipelines(raise_errors=True)
    # `kedro run --pipelines=…` finds only the pipelines that were asked for.
    there = (pipelines[name] for name in ORDER if name in pipelines)
    # `receive` and `publish` need an event hub: they run only when named.
    pipelines["__default__"] = sum(there, Pipeline([]))
    return pipelines
