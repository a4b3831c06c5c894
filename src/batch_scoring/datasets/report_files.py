"""kedro-datasets' CSV tables and Plotly figures as whole files, local or blobs; imports pandas and Plotly."""

from __future__ import annotations

from kedro_datasets.pandas import CSVDataset
from kedro_datasets.plotly import JSONDataset

from batch_scoring.datasets.whole_files import WholeFile


class WholeCSVDataset(WholeFile, CSVDataset):  # type: ignore[misc]
    """A pandas data frame in a CSV file."""


class WholeFigureDataset(WholeFile, JSONDataset):  # type: ignore[misc]
    """A Plotly figure in a JSON file."""
