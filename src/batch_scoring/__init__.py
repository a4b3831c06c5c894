"""One anomaly model per device and sensor: trained, versioned and scored by the thousand.

``FleetDetector`` trains and scores fleets from DataFrames; ``batch_scoring.api`` is the same.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_scoring.api import FleetDetector, InputError

    __version__: str

__all__ = ["FleetDetector", "InputError", "__version__"]


def __getattr__(name: str) -> Any:
    """Look up the version of the install, and import the public API, when asked for: no run needs them."""
    if name == "__version__":
        return _version()
    if name in __all__:
        return getattr(import_module(f"{__name__}.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(__name__)
    except PackageNotFoundError:  # the sources of a clone, never installed
        return "0+unknown"
