"""Live data measured beside the bare Azure clients, on emulators of this machine.

    python benchmarks/live.py           # a table
    python benchmarks/live.py --json    # one JSON object

`drain_over_bare`  the speed of draining 200,000 events from an event hub into files over that of a bare
                   receive loop of azure-eventhub
`blob_over_bare`   the speed of reading and writing blobs over that of azure-storage-blob alone, the
                   lower of the two

Each figure has a module of its own, with a function ``measure`` that gives a dict of numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from pathlib import Path

# Started as a program; the emulators are those of the tests.
sys.path.insert(0, str(Path(__file__).parents[1]))

MODULES = ("live_drain", "live_blobs")
BOUNDED = ("drain_over_bare", "blob_over_bare")
BOUND = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--only", choices=MODULES, help="one figure")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    for name in MODULES:
        if arguments.only in (None, name):
            figures |= import_module(name).measure(arguments.rounds)
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        bound = f"  (bound: at least {BOUND})" if name in BOUNDED else ""
        print(f"{name:32} {value:10.3f}{bound}")


if __name__ == "__main__":
    main()
