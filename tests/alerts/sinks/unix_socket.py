"""The sink of docs/how-to/add-a-sink.md, from the page itself."""

import re
import textwrap
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "add-a-sink.md"
NAME = "unix_socket"
FULL_NAME = f"batch_scoring.alerts.sinks.{NAME}"


def unix_socket(folder: Path, modules: dict[str, ModuleType]) -> None:
    """Write the module of the page into a folder, and import it as one of the sinks' into ``modules``."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    path = folder / f"{NAME}.py"
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    spec = spec_from_file_location(FULL_NAME, path)
    modules[FULL_NAME] = module_from_spec(spec)
    spec.loader.exec_module(modules[FULL_NAME])
