"""The patches that wait to be sent still fit the Kedro that is installed, and do what they say."""

import subprocess
import sys

import pytest

from benchmarks.kedro_patches import diffs, patched_copy

pytestmark = pytest.mark.slow

PROGRAM = """
import sys, tempfile
sys.path.insert(0, {place!r})
import kedro.io, kedro_datasets.json
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
assert kedro.io.__file__.startswith({place!r}), kedro.io.__file__
value = kedro.io.MemoryDataset(data=[1])
assert value.load() == [1] and value.load() is not value.load()
assert "pandas" not in sys.modules
released = []
class Seen(kedro.io.MemoryDataset):
    def _release(self):
        released.append(self)
names = {{name: Seen() for name in "abc"}}
names["a"] = Seen(0)
nodes = [Node(lambda x: x, "a", "b", name="first"), Node(lambda x: x, "b", "c", name="second")]
SequentialRunner().run(Pipeline(nodes), kedro.io.DataCatalog(names))
assert released == [names["b"]], "what no node needs any more, and neither free inputs nor outputs"
with tempfile.TemporaryDirectory() as folder:
    file = kedro_datasets.json.JSONDataset(filepath=folder + "/a.json")
    file.save([1])
    try:
        file.save([object()])
    except kedro.io.DatasetError:
        pass
    assert file.load() == [1], "a save that fails leaves the file before"
    import os
    assert os.listdir(folder) == ["a.json"]
"""


def test_they_apply_and_do_what_they_say(tmp_path):
    assert len(diffs()) == 3
    place = patched_copy(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(place=str(place))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
