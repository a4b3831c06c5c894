"""Drawings in a folder, one PNG each, and none that is out of date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedro.io import AbstractDataset

from batch_scoring.storage import open_folder


class PngFolder(AbstractDataset[dict[str, bytes], dict[str, bytes]]):
    """The PNG files of a folder as ``{name: bytes}``; other files in it are left alone.

    ``save`` writes each file whole or not at all, and removes the PNG files that it was not given.

    Parameters
    ----------
    path : str
        A local folder, or a URL of Blob Storage.
    credentials : dict, optional
        Of Blob Storage; default: the entry ``azure_storage`` of Kedro's, or the environment's.
    """

    def __init__(
        self,
        path: str,
        metadata: dict[str, Any] | None = None,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder = open_folder(path, credentials)
        self.metadata = metadata

    def load(self) -> dict[str, bytes]:
        """All drawings, by name."""
        return {name: self._folder.read(name)[0] for name in self._names()}

    def save(self, data: dict[str, bytes]) -> None:
        """Write these drawings, and remove others."""
        for name, drawing in sorted(data.items()):
            with self._folder.writing(name) as file:
                file.write(drawing)
        for former in self._names():
            if former not in data:
                self._folder.delete(former)

    def _names(self) -> list[str]:
        return [entry.name for entry in self._folder.entries(".png") if "/" not in entry.name]

    def _exists(self) -> bool:
        return bool(self._names())

    def _describe(self) -> dict[str, Any]:
        return {"path": self._folder.path()}
