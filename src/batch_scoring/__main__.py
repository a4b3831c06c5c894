"""``python -m batch_scoring`` and the ``batch-scoring`` command: ``kedro run`` of the packaged project."""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    """Run the packaged project with the arguments of ``kedro run``."""
    from kedro.framework.project import configure_project

    from batch_scoring import __version__
    from batch_scoring.cli.run import run

    if sys.argv[1:] == ["--version"]:
        print(f"batch-scoring {__version__}")
        return
    configure_project(Path(__file__).parent.name)
    run(sys.argv[1:])


if __name__ == "__main__":
    main()
