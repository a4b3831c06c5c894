"""The workspace as a whole: its format is checked before a run."""

from __future__ import annotations

from batch_scoring.datasets.own import FolderDataset
from batch_scoring.storage.folder import Folder
from batch_scoring.storage.workspace_format import require_format


class WorkspaceDataset(FolderDataset[None, Folder]):
    """A workspace; ``load`` returns its folder.

    Parameters
    ----------
    path : str
        A local folder, or a URL.
    **more
        Of :class:`.OwnDataset`.
    """

    def load(self) -> Folder:
        """Check the format; raises InputError when it is another one than this version writes."""
        require_format(self._folder)
        return self._folder

    @property
    def folder(self) -> Folder:
        """The folder, whatever its format."""
        return self._folder
