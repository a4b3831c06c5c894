"""Folders of files, local or in Azure Blob Storage, behind one interface; independent of tables."""

from batch_scoring.storage.folder import Entry, Folder
from batch_scoring.storage.opening import is_remote, join, open_file, open_folder, read_place

__all__ = ["Entry", "Folder", "is_remote", "join", "open_file", "open_folder", "read_place"]
