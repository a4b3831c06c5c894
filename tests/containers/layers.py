"""Every file of every layer of an image, those that a later layer removes too."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from tests.emulators.containers import Podman


def files_of(podman: Podman, image: str, folder: Path, skip: int = 0) -> Iterator[tuple[str, bytes]]:
    """Path and content of each; the image's own description is one of them.

    Parameters
    ----------
    podman : Podman
    image : str
    folder : Path
        For the export.
    skip : int
        So many layers, of the base, are not looked at.
    """
    archive = folder / "image.tar"
    podman.run("save", "--format=docker-archive", f"--output={archive}", image)
    with tarfile.open(archive) as exported:
        manifest = json.load(exported.extractfile("manifest.json"))[0]
        yield manifest["Config"], exported.extractfile(manifest["Config"]).read()
        for layer in manifest["Layers"][skip:]:
            with tarfile.open(fileobj=io.BytesIO(exported.extractfile(layer).read())) as files:
                for member in files:
                    if member.isfile():
                        yield member.name, files.extractfile(member).read()
                    else:
                        yield member.name, b""
    archive.unlink()
