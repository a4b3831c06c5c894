"""The storage that nodes mount: folders that a little server serves, or containers in Azurite."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.emulators.azurite import ACCOUNT, Azurite, new_key
from tests.emulators.servers import Handler, Server


class FolderStorage:
    """Containers and shares as folders; files are read over http by whoever has the signature."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, new_key()
        self._signature = secrets.token_urlsafe(16)
        storage = self

        class Owned(Handler):
            def serve(self) -> None:
                storage._answer(self)

        self._server = Server(Owned)
        self.close = self._server.close

    def mount(self, *names: str) -> Path:
        """The folder of a container, a share or a file server."""
        place = self.folder.joinpath(*(quote(name, safe="") for name in names))
        place.mkdir(parents=True, exist_ok=True)
        return place

    def keep(self, file: Path) -> None:
        """A file was written into a mount."""

    def signed(self, file: Path) -> str:
        """An address at which the file can be read."""
        place = quote(str(file.relative_to(self.folder)))
        return f"{self._server.url}/{place}?sp=r&sig={self._signature}"

    def _answer(self, request: Handler) -> None:
        parts = urlsplit(request.path)
        file = self.folder / unquote(parts.path.lstrip("/"))
        if parse_qs(parts.query).get("sig") != [self._signature] or not file.is_file():
            request.send_error(403)
            return
        content = file.read_bytes()
        first, _, last = request.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        content = content[int(first) : int(last) + 1 if last else None]
        request.reply(206, content)


class AzuriteStorage:
    """Containers of Azurite; what is written into a mount is uploaded, as blobfuse does."""

    def __init__(self, azurite: Azurite, folder: Path) -> None:
        self.folder, self._azurite, self.key = folder, azurite, azurite.key

    def mount(self, *names: str) -> Path:
        place = self.folder.joinpath(*names)
        place.mkdir(parents=True, exist_ok=True)
        return place

    def keep(self, file: Path) -> None:
        self._blob(file).upload_blob(file.read_bytes(), overwrite=True)

    def signed(self, file: Path) -> str:
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        blob = self._blob(file)
        signature = generate_blob_sas(
            *(ACCOUNT, blob.container_name, blob.blob_name),
            account_key=self.key,
            permission=BlobSasPermissions(read=True),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        return f"{blob.url}?{signature}"

    def close(self) -> None:
        pass

    def _blob(self, file: Path):
        from azure.storage.blob import BlobClient

        _, _account, container, *name = ("", *file.relative_to(self.folder).parts)
        return BlobClient.from_connection_string(self._azurite.connection_string(), container, "/".join(name))
