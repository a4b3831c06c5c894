"""The Kedro pipelines, a folder each; which of them a run has, and in what order: ``pipeline_registry``."""
