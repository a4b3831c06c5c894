"""The Kedro pipelines, one folder each; ``pipeline_registry`` sets their order."""
