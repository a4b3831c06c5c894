"""Project settings, read by Kedro at every start: keep this cheap."""

import gc

# Kedro's modules stay. Python would look through all of them while ours are imported: 1 % of an hour.
gc.freeze()

from batch_scoring.core import environment
from batch_scoring.core.streams import open_closed_streams
from batch_scoring.datasets.config_loader import ProjectConfigLoader
from batch_scoring.datasets.light_catalog import LightCatalog
from batch_scoring.hooks import ProjectHooks
from batch_scoring.jobs import progress_hook, timing_hook, trace_hook, viz_hook
from batch_scoring.jobs.metrics_hook import RunMetrics
from batch_scoring.jobs.records_hook import RunRecords

open_closed_streams()
HOOKS = (
    *(ProjectHooks(), RunMetrics(), RunRecords()),
    *(hook for module in (timing_hook, trace_hook, viz_hook, progress_hook) for hook in module.hooks()),
)
DATA_CATALOG_CLASS = LightCatalog
CONFIG_LOADER_CLASS = ProjectConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # Containers read their place from variables. Kedro's own oc.env is for credentials alone.
    "custom_resolvers": {
        "environment": environment.variable,
        "environment_json": environment.group,
    },
    # A group of settings in conf/azure overrides single keys of conf/base.
    "merge_strategy": {"parameters": "soft"},
}
# Kedro-Viz measures every dataset that is loaded or saved, and imports pandas for it; telemetry calls home.
DISABLE_HOOKS_FOR_PLUGINS = ("kedro-viz", "kedro-telemetry")
