"""The detector of docs/how-to/add-a-detector.md, from the page itself."""

import re
import textwrap
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "add-a-detector.md"


def robust_z(folder: Path):
    """Write the module of the page into a folder, import it, and make its detector."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    path = folder / "robust_z_alone.py"
    path.write_text(textwrap.dedent(code), encoding="utf-8")
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.RobustZ()
