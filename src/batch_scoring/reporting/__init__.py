"""Build the report page and the summary of a run."""
