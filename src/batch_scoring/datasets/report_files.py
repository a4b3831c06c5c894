"""kedro-datasets' CSV tables as whole files, local or blobs; imports pandas."""

from __future__ import annotations

from kedro_datasets.pandas import CSVDataset

from batch_scoring.datasets.whole_files import WholeFile


class WholeCSVDataset(WholeFile, CSVDataset):  # type: ignore[misc]
    """A pandas data frame in a CSV file."""
