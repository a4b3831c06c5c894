"""A real PostgreSQL on a free port of this machine, for tests; it refuses to run as root."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

HOW = "apt-get install -y --no-install-recommends postgresql"


def find_programs() -> Path:
    """The folder of ``initdb`` and ``pg_ctl``; without one the test is skipped, on CI it fails."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not folders:
        missing = f"no PostgreSQL on this machine; `{HOW}`"
        if os.environ.get("CI"):
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    return folders[-1]


@contextmanager
def postgres() -> Iterator[tuple[str, str]]:
    """The URI of an empty database, with a password, and the password."""
    programs, password = find_programs(), secrets.token_hex(16)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="batch_scoring_pg_") as scratch:
        folder = Path(scratch)
        someone: dict[str, Any] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        (folder / "password").write_text(password)
        if someone:
            for place in (folder, folder / "password"):
                shutil.chown(place, **someone)
        data = folder / "data"

        def run(*command: str) -> None:
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, **someone)
            assert done.returncode == 0, done.stdout + done.stderr

        accounts = ("--username=mlflow", f"--pwfile={folder}/password", "--auth=scram-sha-256")
        run(f"{programs}/initdb", f"--pgdata={data}", *accounts, "--no-sync", "--encoding=UTF8")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
        control = (f"{programs}/pg_ctl", f"--pgdata={data}", "--wait", "--timeout=300")
        run(*control, "--log", f"{folder}/log", "--options", options, "start")
        try:
            yield f"postgresql+psycopg2://mlflow:{password}@127.0.0.1:{port}/postgres", password
        finally:
            run(*control, "--mode=immediate", "stop")
