"""What the patches of decision 0033 change in Kedro: the installed files and patched copies, in turn."""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

RECORD = Path(__file__).parents[1] / "docs/decisions/0033-patches-for-kedro.md"
PACKAGES = ("kedro", "kedro_datasets")

# Each prints one number; times are of the processor, which other programs of the machine do not change.
COPY = """
import time
import kedro.io
began = time.process_time()
catalog = kedro.io.DataCatalog()
for i in range(100):
    catalog[f"params:{i}"] = i
    catalog.load(f"params:{i}")
print(time.process_time() - began)
"""
RELEASE = """
import logging, time
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
logging.disable()
n = {nodes}
nodes = [Node(lambda x: x, f"d{{i}}", f"d{{i + 1}}", name=f"n{{i}}") for i in range(n)]
pipeline = Pipeline(nodes)
names = [f"d{{i}}" for i in range(n + 1)]
catalog = DataCatalog({{name: MemoryDataset(0, copy_mode="assign") for name in names}})
began = time.process_time()
SequentialRunner().run(pipeline, catalog)
print(time.process_time() - began)
"""
SAVE = """
import json, tempfile, threading, time
from pathlib import Path
from kedro_datasets.json import JSONDataset
with tempfile.TemporaryDirectory() as folder:
    dataset, data = JSONDataset(filepath=f"{{folder}}/summary.json"), {{str(i): i for i in range(20_000)}}
    dataset.save(data)
    torn, ended = 0, threading.Event()
    def read():
        global torn
        while not ended.is_set():
            try:
                json.loads(Path(folder, "summary.json").read_text())
            except ValueError:
                torn += 1
    reader = threading.Thread(target=read)
    reader.start()
    began = time.thread_time()
    for _ in range(50):
        dataset.save(data)
    seconds = time.thread_time() - began
    ended.set()
    reader.join()
    print({what})
"""
CASES = {
    "100 parameters in a fresh process, pandas installed, processor s": COPY,
    "a chain of 500 nodes that do nothing, processor s": RELEASE.format(nodes=500),
    "a chain of 1,000 nodes, processor s": RELEASE.format(nodes=1000),
    "a chain of 2,000 nodes, processor s": RELEASE.format(nodes=2000),
    "50 saves of a JSON file that another thread reads, processor s": SAVE.format(what="seconds"),
    "torn files that the reader found": SAVE.format(what="torn"),
}


def diffs() -> list[str]:
    """The patches of the record, in its order."""
    return re.findall(r"^```diff\n(.*?)^```", RECORD.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def patched_copy(folder: Path) -> Path:
    """Copy the installed packages into a folder and apply the patches; raises where one does not fit."""
    for name in PACKAGES:
        spec = find_spec(name)
        assert spec is not None and spec.origin is not None
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(spec.origin).parent, folder / name, ignore=ignored)
    for diff in diffs():
        subprocess.run(["git", "apply", "--unsafe-paths", "-"], input=diff, text=True, cwd=folder, check=True)
    return folder


def measure(program: str, first_on_path: Path | None) -> float:
    """What a program prints in a process of its own."""
    path = f"import sys; sys.path.insert(0, {str(first_on_path)!r})\n" if first_on_path else ""
    done = subprocess.run([sys.executable, "-c", path + program], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each program is run (5)")
    rounds = parser.parse_args().rounds
    print("| case | Kedro as it is, median | patched, median |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        patched = patched_copy(Path(folder))
        for case, program in CASES.items():
            found = [(measure(program, None), measure(program, patched)) for _ in range(rounds)]
            before, after = (statistics.median(values) for values in zip(*found, strict=True))
            print(f"| {case} | {before:.3g} | {after:.3g} |", flush=True)


if __name__ == "__main__":
    main()
