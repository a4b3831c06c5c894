"""Types of NumPy arrays by dtype; docstrings give their shapes."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
UInt = NDArray[np.uint64]
Bool = NDArray[np.bool_]
