"""What happens around a run, and is no step of it."""

from __future__ import annotations

import sys
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

SUMMARY = "run_summary_text"


class ProjectHooks:
    """Prints the summary at the end of a run; closes what an error has left open."""

    @hook_impl
    def after_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Print what a person wants to know, when the run has made a report."""
        if SUMMARY in pipeline.all_outputs():
            print(f"\n{catalog.load(SUMMARY)}")

    @hook_impl
    def on_pipeline_error(self, **_: Any) -> None:
        """End MLflow runs as failed; a run that never came to MLflow does not import it."""
        tracking = sys.modules.get("batch_scoring.tracking")
        if tracking is not None:
            tracking.fail_open_runs()
