"""Opening an engine by its name."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import batch_scoring
from batch_scoring.core.errors import InputError
from batch_scoring.jobs.backends import open_backend


def test_an_engine_that_does_not_exist_opens_none():
    with pytest.raises(InputError, match=r"jobs\.backend.*'kubernetes'"):
        open_backend("data", None, SimpleNamespace(backend="kubernetes"), Path())


@pytest.mark.slow
def test_every_module_can_be_imported_first():
    """Or a command works only by the order of imports of another one."""
    root = Path(batch_scoring.__file__).parent
    modules = [
        ".".join(("batch_scoring", *path.relative_to(root).with_suffix("").parts))
        for path in sorted(root.rglob("*.py"))
        if path.stem not in ("__main__", "__init__", "pyfunc_model")
    ]
    program = f"""
import importlib, sys
failed = {{}}
for name in {json.dumps(modules)}:
    for loaded in [one for one in sys.modules if one.partition(".")[0] == "batch_scoring"]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
sys.exit(str(failed) if failed else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
