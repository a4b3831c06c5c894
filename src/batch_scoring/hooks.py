"""Kedro hooks: check the settings before a run, print the summary after it."""

from __future__ import annotations

import sys
from typing import Any

from kedro.config import MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from batch_scoring.cloud.credentials import use_kedro_credentials
from batch_scoring.cloud.secrets_in_logs import hide_credentials
from batch_scoring.core.errors import InputError
from batch_scoring.core.garbage import collector
from batch_scoring.settings_check import check_settings
from batch_scoring.storage.known_versions import forget_versions

# Printed at the end of a run that made it, and the entry that holds it.
PRINTED = {"report": "run_summary_text", "evaluation_headline": "evaluation_headline"}
# Counts of a step; their ``shortfalls`` fail the whole run after its last node.
COUNTS = ("ingest_counts", "score_counts")
# A run that reads or writes one of these needs a workspace of the present format.
TABLES = {"readings", "windows", "predictions", "tables"}


def _credentials(context: KedroContext) -> dict[str, Any]:
    try:
        return dict(context.config_loader["credentials"])
    except MissingConfigException:
        return {}


class ProjectHooks:
    """Checks the settings first, prints the summary last; closes what an error has left open."""

    def __init__(self) -> None:
        hide_credentials()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Give the storage access to Kedro's credentials, read only for data in Blob Storage."""
        use_kedro_credentials(lambda: _credentials(context))

    @hook_impl
    def before_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Refuse a setting that does not exist or is not valid before anything is done."""
        forget_versions()
        check_settings(pipeline.inputs(), catalog.load, run_params.get("runtime_params") or {})
        if pipeline.datasets() & TABLES:
            catalog.load("workspace")
        collector.wake()  # the nodes make garbage

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Print the summary of a report or evaluation; then raise the shortfalls of its steps.

        Raises
        ------
        InputError
            After the last node, so that incidents and alerts of what was scored are not held up.
        """
        # Of --only-missing-outputs, Kedro shows the whole pipeline here, and the catalog holds what ran.
        made = pipeline.all_outputs() & {*catalog.keys()}
        for output, name in PRINTED.items():
            if output in made:
                print(f"\n{catalog.load(name)}")
        shortfalls = [text for name in COUNTS if name in made for text in catalog.load(name)["shortfalls"]]
        if shortfalls:
            raise InputError("; ".join(shortfalls))

    @hook_impl
    def on_pipeline_error(self, **_: Any) -> None:
        """End open MLflow runs as failed, without importing MLflow for it."""
        tracking = sys.modules.get("batch_scoring.registry.tracking")
        if tracking is not None:
            tracking.fail_open_runs()
