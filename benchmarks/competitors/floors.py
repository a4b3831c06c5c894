"""What no way of scoring can do without: reading the bytes, and one exponential a pair.

python -m competitors.floors bytes FLEET
python -m competitors.floors exp FLEET
"""

from __future__ import annotations

import sys
from pathlib import Path

from workspace import Fleet, open_fleet

from competitors.outcome import print_repeated_time

PIECE = 1 << 20
# Numbers that stay in the cache.
BLOCK = 16_384


def read_bytes(fleet: Fleet) -> None:
    """Read the files of models and windows from one end to the other."""
    for path in (fleet.windows_file, *fleet.published.rglob("*.arrow")):
        with path.open("rb", buffering=0) as file:
            while file.read(PIECE):
                pass


def exponentials(fleet: Fleet) -> None:
    """`np.exp` alone over as many numbers as there are pairs, on one core."""
    import numpy as np

    numbers, out = -np.random.default_rng(0).random(BLOCK), np.empty(BLOCK)
    for _ in range(fleet.n_pairs // BLOCK):
        np.exp(numbers, out=out)
    np.exp(numbers[: fleet.n_pairs % BLOCK])


def main(what: str, fleet_folder: str) -> None:
    fleet = open_fleet(Path(fleet_folder))
    print_repeated_time(lambda: read_bytes(fleet) if what == "bytes" else exponentials(fleet))


if __name__ == "__main__":
    main(*sys.argv[1:])
