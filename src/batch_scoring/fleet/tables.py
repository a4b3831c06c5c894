"""Now ``batch_scoring.tables.schemas``."""

from batch_scoring.tables.schemas import TIMESTAMP, windows_schema

__all__ = ["TIMESTAMP", "windows_schema"]
