"""Project settings, read by Kedro at every start: keep this cheap."""

from kedro.config import OmegaConfigLoader

from batch_scoring.hooks import ProjectHooks

HOOKS = (ProjectHooks(),)
CONFIG_LOADER_CLASS = OmegaConfigLoader
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
