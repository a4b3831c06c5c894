"""A Stream Analytics job that turns the readings of an event hub into the windows of ``aggregate``."""

from batch_scoring.deploy.stream_analytics.job import job_template
from batch_scoring.deploy.stream_analytics.query import WindowsQuery

__all__ = ["WindowsQuery", "job_template"]
