"""Look at files of readings before they are ingested: what they are, and the settings that read them."""

from batch_scoring.ingestion.inspection.inspect import Inspection, inspect_files

__all__ = ["Inspection", "inspect_files"]
