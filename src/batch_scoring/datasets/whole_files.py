"""kedro-datasets' text and JSON files, local or blobs, replaced atomically for concurrent readers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro_datasets.json import JSONDataset
from kedro_datasets.text import TextDataset

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.own import flat_config, require_kind
from batch_scoring.storage import open_file
from batch_scoring.storage.cache import run_folder

if TYPE_CHECKING:
    from kedro_datasets._typing import HTMLPreview


class WholeFile:
    """A mixin for unversioned kedro-datasets with one file, named ``filepath``.

    Parameters
    ----------
    filepath : str
        A local path, or a URL.
    credentials : dict, optional
        Of Blob Storage; default: the entry ``azure_storage`` of Kedro's, or the environment's.
    arguments
        Of the dataset.
    """

    def __init__(
        self, *, filepath: str, credentials: Mapping[str, Any] | None = None, **arguments: Any
    ) -> None:
        self._folder, self._name = open_file(filepath, credentials)
        # All that the dataset itself opens is a local file: this one, or for a time a blob's copy.
        super().__init__(filepath=self._name, **arguments)  # type: ignore[call-arg]

    def _get_load_path(self) -> PurePosixPath:
        if not self._exists():
            from batch_scoring.storage.parquet import MAKE

            raise InputError(f"{self._folder.path(self._name)}: {MAKE}")
        return PurePosixPath(self._folder.local_copy(self._name, run_folder()))

    def _init_config(self) -> dict[str, Any]:
        return flat_config(super()._init_config())  # type: ignore[misc]

    def _exists(self) -> bool:
        return self._folder.entry(self._name) is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._folder.path(self._name)}


class WholeTextDataset(WholeFile, TextDataset):  # type: ignore[misc]
    """A text file in UTF-8."""

    def save(self, data: str) -> None:
        """Write the text to a temporary file, then replace the file."""
        require_kind(data, str, "a text")
        with self._folder.writing(self._name) as file:
            file.write(data.encode())

    def preview(self) -> HTMLPreview:
        """Return the text for Kedro-Viz."""
        from batch_scoring.datasets.previews import preview_text

        return preview_text(self.load())


class WholeJSONDataset(WholeFile, JSONDataset):  # type: ignore[misc]
    """A JSON file in UTF-8."""

    def save(self, data: Any) -> None:
        """Write the JSON to a temporary file, then replace the file."""
        try:
            text = json.dumps(data, **self._save_args)
        except (TypeError, ValueError) as error:
            raise InputError(f"{error}; expected texts, numbers, lists and mappings of them") from None
        with self._folder.writing(self._name) as file:
            file.write(text.encode())
