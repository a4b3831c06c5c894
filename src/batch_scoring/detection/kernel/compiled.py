"""Call the compiled kernel, ``rbf_kernel.c``, if it was built next to this module.

It is called through ctypes, which NumPy has already loaded: other bindings would take 5 ms to import.
"""

from __future__ import annotations

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batch_scoring.detection.kernel.rbf_models import RbfModels

# Maximum vector width in bits; smaller ones give the same result more slowly.
WIDEST = 512

_ARRAYS = {
    "mean": np.float64,
    "scale": np.float64,
    "gamma": np.float64,
    "rho": np.float64,
    "sv_offsets": np.int64,
    "support_vectors": np.float64,
    "dual_coef": np.float64,
}


class _Fleet(ctypes.Structure):
    """``struct fleet`` of rbf_kernel.c."""

    _fields_ = (
        ("d", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in _ARRAYS),
        ("row_offsets", ctypes.c_void_p),
        ("rows", ctypes.c_void_p),
        ("scores", ctypes.c_void_p),
        ("top_features", ctypes.c_void_p),
    )


def is_available(bits: int = WIDEST) -> bool:
    """Whether the library was built and supports this processor with vectors of ``bits`` bits."""
    return bool(instruction_set(bits))


def instruction_set(bits: int = WIDEST) -> str:
    """Name the instruction set that scores with vectors of at most ``bits`` bits, or ``""`` if none."""
    library = _library()
    return library.instruction_set(bits).decode() if library is not None else ""


def score_models(
    models: RbfModels,
    X: NDArray[np.float64],
    row_offsets: NDArray[np.int64],
    part: slice,
    scores: NDArray[np.float64],
    top_features: NDArray[np.int32],
    bits: int = WIDEST,
) -> None:
    """Score the rows of a range of models; see :func:`batch_scoring.detection.kernel.score_rows`.

    Raises
    ------
    MemoryError
    RuntimeError
        When :func:`is_available` is false.
    """
    library = _library()
    if library is None:
        raise RuntimeError("the compiled kernel was not built; use kernel.in_numpy instead")
    arrays = {name: np.ascontiguousarray(getattr(models, name), dtype) for name, dtype in _ARRAYS.items()}
    arrays["row_offsets"] = np.ascontiguousarray(row_offsets, np.int64)
    arrays["rows"] = np.ascontiguousarray(X, np.float64)
    pointers = {name: array.ctypes.data for name, array in arrays.items()}
    fleet = _Fleet(d=X.shape[1], **pointers, scores=scores.ctypes.data, top_features=top_features.ctypes.data)
    first, last, _ = part.indices(models.gamma.size)
    code = library.score_models(
        ctypes.byref(fleet), ctypes.c_int64(first), ctypes.c_int64(last), ctypes.c_int(bits)
    )
    if code == 1:
        raise MemoryError("not enough memory for the support vectors of one model")
    if code:
        raise RuntimeError(f"the compiled kernel does not support this processor at {bits} bits")


@cache
def _library() -> ctypes.CDLL | None:
    for suffix in EXTENSION_SUFFIXES:
        path = Path(__file__).with_name(f"_rbf_kernel{suffix}")
        if path.is_file():
            library = ctypes.CDLL(str(path))
            if hasattr(library, "instruction_set"):  # else it was built from an earlier version of the source
                library.instruction_set.restype = ctypes.c_char_p
                return library
    return None
