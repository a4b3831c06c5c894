"""Every module can be the first that is imported: there is no circle of imports that only an order hides.

Nor does one need what Linux alone has, to be imported.
"""

import subprocess
import sys

import pytest

from tests.elsewhere import environment_elsewhere

ALONE = """
import importlib, os, pkgutil, sys, traceback

def belongs(name):
    return name == "batch_scoring" or name.startswith("batch_scoring.")

import batch_scoring
found = pkgutil.walk_packages(batch_scoring.__path__, "batch_scoring.")
# The compiled kernel is a library of C functions, not a module.
names = [one.name for one in found if not one.name.endswith("._rbf_kernel")]
assert len(names) > 100, names
faults = []
for name in names:
    for loaded in [one for one in sys.modules if belongs(one)]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except Exception:
        faults.append(f"{name}: {traceback.format_exc()}")
print("\\n".join(faults))
"""


@pytest.mark.slow
def test_every_module_can_be_imported_first():
    command = [sys.executable, "-c", ALONE]
    done = subprocess.run(command, env=environment_elsewhere(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
