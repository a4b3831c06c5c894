"""Base classes of the project's datasets: metadata, credentials, and errors for unsupported load or save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from kedro.io import AbstractDataset, DatasetError

from batch_scoring.core.errors import InputError
from batch_scoring.storage import open_file, open_folder

Saved = TypeVar("Saved")
Loaded = TypeVar("Loaded")


class OwnDataset(AbstractDataset[Saved, Loaded], Generic[Saved, Loaded]):
    """A dataset whose subclasses implement load, save or both.

    Parameters
    ----------
    metadata : dict, optional
        For Kedro-Viz and other tools; of no effect here.
    credentials : dict, optional
        Of Blob Storage; default: the entry ``azure_storage`` of Kedro's, or the environment's.
    """

    def __init__(
        self, *, metadata: dict[str, Any] | None = None, credentials: Mapping[str, Any] | None = None
    ) -> None:
        self.metadata = metadata
        self._credentials = credentials

    def _init_config(self) -> dict[str, Any]:
        return flat_config(super()._init_config())

    def load(self) -> Any:
        """Raise: the dataset is write-only."""
        raise DatasetError(f"{type(self).__name__} is write only")

    def save(self, data: Any) -> None:
        """Raise: the dataset is read-only."""
        raise DatasetError(f"{type(self).__name__} is read only")


def require_kind(data: Any, kind: Any, expected: str) -> None:
    """Refuse data that is not of a kind, as `isinstance` takes it; raises InputError."""
    if not isinstance(data, kind):
        raise InputError(f"{type(data).__name__} is not valid; expected {expected}")


def flat_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return what Kedro kept of a constructor as the entry of a catalog: without the names of ``**more``."""
    given = {name: config.pop(name, None) or {} for name in ("more", "kwargs", "arguments")}
    flat = {name: value for one in (config, *given.values()) for name, value in one.items()}
    # No catalog gives arguments by their place, Kedro leaves out metadata, and None is no credential.
    for name in ("args", "metadata", *(() if flat.get("credentials") else ("credentials",))):
        flat.pop(name, None)
    return flat


class FolderDataset(OwnDataset[Saved, Loaded]):
    """A dataset in a folder.

    Parameters
    ----------
    path : str
        A local folder, or a URL.
    **more
        Of :class:`OwnDataset`.
    """

    def __init__(self, path: str, **more: Any) -> None:
        super().__init__(**more)
        self._folder = open_folder(path, self._credentials)

    def _describe(self) -> dict[str, Any]:
        return {"path": self._folder.path()}


class FileDataset(OwnDataset[Saved, Loaded]):
    """A dataset in one file.

    Parameters
    ----------
    filepath : str
        A local path, or a URL.
    **more
        Of :class:`OwnDataset`.
    """

    def __init__(self, filepath: str, **more: Any) -> None:
        super().__init__(**more)
        self._folder, self._name = open_file(filepath, self._credentials)

    def _exists(self) -> bool:
        return self._folder.entry(self._name) is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._folder.path(self._name)}
