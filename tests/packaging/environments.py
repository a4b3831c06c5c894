"""Environments with nothing but the wheel and one extra, and a folder to run it in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]
UV = [sys.executable, "-m", "uv"]


@dataclass(frozen=True)
class Installed:
    """An environment, and the folder that its commands run in.

    Attributes
    ----------
    megabytes : float
        Of all packages.
    """

    folder: Path
    home: Path
    megabytes: float

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line of a program of the environment."""
        return [str(self.folder / "bin" / program), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """Variables without a trace of the environment that the tests run in."""
        own = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
        }
        return own | {"PATH": f"{self.folder}/bin:/usr/bin:/bin", "DO_NOT_TRACK": "1"}

    def run(self, program: str, *arguments: str, expect: int = 0, **more: str) -> str:
        """Run a program to its end; what it printed."""
        done = subprocess.run(
            self.command(program, *arguments),
            cwd=self.home,
            env=self.environment | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == expect, done.stdout
        return done.stdout


def build(folder: Path, *what: str, **variables: str) -> Path:
    """Build the sources or a wheel; the file."""
    subprocess.run(
        [*UV, "build", *what, f"--out-dir={folder}", PROJECT], env=os.environ | variables, check=True
    )
    (made,) = folder.glob("batch_scoring-*")
    return made


def install(wheel: Path, extra: str, folder: Path, python: str = sys.executable) -> Installed:
    """Make an environment with the wheel and one extra, in the versions of the lock."""
    subprocess.run([*UV, "venv", "--quiet", f"--python={python}", folder / "env"], check=True)
    wanted = f"{wheel}[{extra}]" if extra else str(wheel)
    lock = PROJECT / "requirements.lock"
    options = ["--quiet", f"--python={folder / 'env'}", f"--constraint={lock}"]
    subprocess.run([*UV, "pip", "install", *options, wanted], check=True)
    files = [one.stat() for one in (folder / "env/lib").rglob("*") if one.is_file()]
    return Installed(
        folder / "env", make_home(folder / "home"), sum(one.st_blocks * 512 for one in files) / 1e6
    )


def make_home(home: Path) -> Path:
    """Make a Kedro project without sources: settings, and what says whose they are."""
    (home / "src").mkdir(parents=True)
    shutil.copytree(PROJECT / "conf", home / "conf", ignore=shutil.ignore_patterns("deployed.json"))
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    (home / "pyproject.toml").write_text(
        f"[tool.kedro]{text.partition('[tool.kedro]')[2].partition('[tool.')[0]}"
    )
    return home
