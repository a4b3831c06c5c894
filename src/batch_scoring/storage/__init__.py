"""Folders of files, local or in Blob Storage, S3 or Google Cloud Storage, behind one interface.

Independent of tables.
"""

from batch_scoring.storage.folder import Entry, Folder
from batch_scoring.storage.opening import is_blob, is_remote, join, open_file, open_folder, read_place

__all__ = ["Entry", "Folder", "is_blob", "is_remote", "join", "open_file", "open_folder", "read_place"]
