"""Print the project's requirements with some of its extras, one per line, without the project itself.

Used in the image's builder: dependencies are installed before the source is there, so they are a layer that
stays when the source changes.
"""

import sys
import tomllib
from pathlib import Path


def requirements(project: dict, extras: list[str]) -> list[str]:
    """List the dependencies of a ``[project]`` table and of these extras."""
    optional = project["optional-dependencies"]
    unknown = [extra for extra in extras if extra not in optional]
    if unknown:
        raise SystemExit(f"EXTRAS: {', '.join(unknown)} is not valid; expected some of {','.join(optional)}")
    return [*project["dependencies"], *(one for extra in extras for one in optional[extra])]


if __name__ == "__main__":
    table = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
    print("\n".join(requirements(table, [extra for extra in sys.argv[2].split(",") if extra])))
