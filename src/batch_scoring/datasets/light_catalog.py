"""A DataCatalog that stores plain values without importing pandas."""

from __future__ import annotations

from typing import Any

from kedro.framework.context import CatalogCommandsMixin
from kedro.io import DataCatalog, MemoryDataset

_PLAIN = (dict, list, tuple, str, int, float, bool, type(None))


class LightCatalog(DataCatalog, CatalogCommandsMixin):
    """A DataCatalog that knows how to copy plain values.

    Kedro imports pandas to find out how to copy a value that it keeps in memory, parameters
    included. With pandas installed that is a second of every scoring job, so for plain values
    the copy mode is set here.
    """

    def __setitem__(self, key: str, value: Any) -> None:
        is_plain = isinstance(value, _PLAIN)
        super().__setitem__(key, MemoryDataset(data=value, copy_mode="deepcopy") if is_plain else value)
