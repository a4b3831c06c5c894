"""A DataCatalog that keeps values in memory without importing pandas to ask how to copy them."""

from __future__ import annotations

from typing import Any, ClassVar

from kedro.framework.context import CatalogCommandsMixin
from kedro.io import DataCatalog, MemoryDataset

_PLAIN = (dict, list, tuple, str, int, float, bool, type(None))


class LightCatalog(DataCatalog, CatalogCommandsMixin):
    """A DataCatalog that knows how to copy plain values.

    Kedro imports pandas to find out how to copy a value that it keeps in memory, parameters
    included. With pandas installed that is a second of every scoring job, so for plain values
    the copy mode is set here. What one node hands to the next without a catalog entry is not copied.
    """

    default_runtime_patterns: ClassVar = {
        "{default}": {"type": "kedro.io.MemoryDataset", "copy_mode": "assign"}
    }

    def __setitem__(self, key: str, value: Any) -> None:
        is_plain = isinstance(value, _PLAIN)
        super().__setitem__(key, MemoryDataset(data=value, copy_mode="deepcopy") if is_plain else value)
