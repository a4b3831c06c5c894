"""A project whose ``kedro`` only writes down how it was called."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
RECIPES = PROJECT / "deploy/schedulers"

_KEDRO = """\
#!/bin/sh
printf '%s\\n' "$*" >> calls
echo "Error: call $(wc -l < calls)"
code=$(sed -n "$(wc -l < calls)p" codes)
exit ${code:-0}
"""


@dataclass(frozen=True)
class Project:
    """A folder laid out like the project's.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    def will_end_with(self, *codes: int) -> None:
        """Set the exit codes of the next calls; later ones succeed."""
        (self.folder / "codes").write_text("".join(f"{code}\n" for code in codes))

    def calls(self) -> list[str]:
        """The arguments of the calls until now."""
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without a run."""
    kedro = tmp_path / "project/.venv/bin/kedro"
    kedro.parent.mkdir(parents=True)
    kedro.write_text(_KEDRO)
    kedro.chmod(0o755)
    made = Project(tmp_path / "project")
    made.will_end_with()
    return made


@pytest.fixture
def no_pauses(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``sleep`` does not."""
    sleep = tmp_path / "bin/sleep"
    sleep.parent.mkdir()
    sleep.write_text("#!/bin/sh\n")
    sleep.chmod(0o755)
    return os.environ | {"PATH": f"{sleep.parent}:{os.environ['PATH']}"}
