"""The sensors that the jobs of an evaluation have judged, until the figures over the fleet are summed up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedro.io import AbstractDataset

from batch_scoring.core.errors import InputError
from batch_scoring.storage import open_folder

_FOLDER = "judged"


class JudgedSensors(AbstractDataset[dict[str, bytes], dict[str, bytes]]):
    """The files of a run of jobs, one a sensor, as ``{name: bytes}``.

    ``save`` may be called many times; it replaces the files that it is given, each whole or not at all, and
    leaves the others, which other jobs made.

    Parameters
    ----------
    run : str, optional
        The folder of the run. Without one there is nothing to save or to load.
    credentials : dict, optional
        Of Blob Storage; default: the entry ``azure_storage`` of Kedro's, or the environment's.
    """

    def __init__(
        self,
        run: str | None = None,
        metadata: dict[str, Any] | None = None,
        credentials: Mapping[str, Any] | None = None,
    ) -> None:
        self._folder = open_folder(run, credentials).below(_FOLDER) if run else None
        self.metadata = metadata

    @property
    def _place(self) -> Any:
        if self._folder is None:
            raise InputError(
                "there is no run of jobs to judge for; `kedro jobs submit --pipeline=evaluate` makes one, "
                "and `kedro run --pipelines=evaluate` needs none"
            )
        return self._folder

    def load(self) -> dict[str, bytes]:
        """All sensors of the run.

        Raises
        ------
        InputError
            When none has been judged.
        """
        names = [entry.name for entry in self._place.entries(".judged")]
        if not names:
            raise InputError(f"{self._place.path()}: no sensor has been judged; submit the run again")
        return {name: self._place.read(name)[0] for name in names}

    def save(self, data: dict[str, bytes]) -> None:
        """Write these."""
        for name, content in data.items():
            self._place.entry(name)  # whichever is there is replaced
            with self._place.writing(name) as file:
                file.write(content)

    def _describe(self) -> dict[str, Any]:
        return {"path": self._folder.path() if self._folder is not None else None}
