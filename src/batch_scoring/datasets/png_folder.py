"""Drawings in a folder, one PNG each, and none that is out of date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from batch_scoring.datasets.arrow_parquet import atomic_file


class PngFolder(AbstractDataset[dict[str, bytes], dict[str, bytes]]):
    """The PNG files of a folder as ``{name: bytes}``; other files in it are left alone.

    ``save`` writes each file whole or not at all, and removes the PNG files that it was not given.

    Parameters
    ----------
    path : str
        A local folder.
    """

    def __init__(self, path: str, metadata: dict[str, Any] | None = None) -> None:
        self._path = Path(path)
        self.metadata = metadata

    def load(self) -> dict[str, bytes]:
        """All drawings, by name."""
        return {path.name: path.read_bytes() for path in self._files()}

    def save(self, data: dict[str, bytes]) -> None:
        """Write these drawings, and remove others."""
        for name, drawing in sorted(data.items()):
            with atomic_file(self._path / name) as file:
                file.write(drawing)
        for former in self._files():
            if former.name not in data:
                former.unlink()

    def _files(self) -> list[Path]:
        return sorted(self._path.glob("*.png"))

    def _exists(self) -> bool:
        return bool(self._files())

    def _describe(self) -> dict[str, Any]:
        return {"path": str(self._path)}
