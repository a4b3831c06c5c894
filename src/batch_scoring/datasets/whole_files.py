"""kedro-datasets' text and JSON files, saved whole or not at all: somebody may be reading them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kedro_datasets.json import JSONDataset
from kedro_datasets.text import TextDataset

from batch_scoring.datasets.arrow_parquet import atomic_file


class WholeTextDataset(TextDataset):  # type: ignore[misc]
    """A local text file in UTF-8."""

    def save(self, data: str) -> None:
        """Write the text beside the file, then put it in its place."""
        with atomic_file(Path(self._filepath)) as file:
            file.write(data.encode())


class WholeJSONDataset(JSONDataset):  # type: ignore[misc]
    """A local JSON file in UTF-8."""

    def save(self, data: Any) -> None:
        """Write the JSON beside the file, then put it in its place."""
        with atomic_file(Path(self._filepath)) as file:
            file.write(json.dumps(data, **self._save_args).encode())
