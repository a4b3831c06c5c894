"""Where the real data lies that the project does not carry: beside the checkout, when it is here."""

from pathlib import Path

_SHARED = Path(__file__).parents[2] / "shared/data"

REFERENCE = _SHARED / "reference"
ASD = _SHARED / "asd"
