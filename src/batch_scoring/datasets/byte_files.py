"""Folders of binary files: drawings, and evaluations of sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batch_scoring.core.errors import InputError
from batch_scoring.datasets.own import FolderDataset, OwnDataset, require_kind
from batch_scoring.storage import open_folder

if TYPE_CHECKING:
    from kedro_datasets._typing import ImagePreview

_FILES = "a mapping of names to bytes"


class PngFolder(FolderDataset[dict[str, bytes], dict[str, bytes]]):
    """The PNG files of a folder as ``{name: bytes}``; other files in it are left alone.

    ``save`` writes each file whole or not at all, and removes the PNG files that it was not given.
    """

    def load(self) -> dict[str, bytes]:
        """Load all drawings, by name."""
        return {name: self._folder.read(name)[0] for name in self._names()}

    def save(self, data: dict[str, bytes]) -> None:
        """Write these drawings, and remove all others."""
        require_kind(data, dict, _FILES)
        for name, drawing in sorted(data.items()):
            with self._folder.writing(name) as file:
                file.write(drawing)
        for former in self._names():
            if former not in data:
                self._folder.delete(former)

    def preview(self) -> ImagePreview:
        """Return the first drawing for Kedro-Viz."""
        from batch_scoring.datasets.previews import preview_image

        return preview_image(next(iter(self.load().values()), b""))

    def _names(self) -> list[str]:
        return [entry.name for entry in self._folder.entries(".png") if "/" not in entry.name]

    def _exists(self) -> bool:
        return bool(self._names())


class JudgedSensors(OwnDataset[dict[str, bytes], dict[str, bytes]]):
    """Each sensor's share of an evaluation as ``{name: bytes}``: files of a run of jobs, else in memory.

    ``save`` may be called many times; it replaces the files that it is given, each whole or not at all, and
    leaves the others, which other jobs made.

    Parameters
    ----------
    run : str, optional
        The folder of a run of jobs. Without one, what is saved lives as long as the Kedro run.
    **more
        Of :class:`.OwnDataset`.
    """

    def __init__(self, run: str | None = None, **more: Any) -> None:
        super().__init__(**more)
        self._folder = open_folder(run, self._credentials).below("judged") if run else None
        self._kept: dict[str, bytes] = {}
        # Kedro's ParallelRunner refuses it: another process would find nothing.
        self._SINGLE_PROCESS = self._folder is None

    def load(self) -> dict[str, bytes]:
        """Load the evaluations of all sensors; raises InputError when the jobs have not saved any."""
        if self._folder is None:
            return self._kept
        names = [entry.name for entry in self._folder.entries(".judged")]
        if not names:
            raise InputError(f"{self._folder.path()}: no sensor has been evaluated; submit the run again")
        return {name: self._folder.read(name)[0] for name in names}

    def save(self, data: dict[str, bytes]) -> None:
        """Write the evaluations of these sensors."""
        require_kind(data, dict, _FILES)
        if self._folder is None:
            self._kept = self._kept | data
            return
        for name, content in data.items():
            self._folder.entry(name)  # whichever is there is replaced
            with self._folder.writing(name) as file:
                file.write(content)

    def _release(self) -> None:
        self._kept = {}

    def _describe(self) -> dict[str, Any]:
        return {"path": self._folder.path() if self._folder is not None else None}
