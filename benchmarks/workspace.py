"""Where the files of a benchmark's fleet lie; light to import, as competitors are timed from their start."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

SENSOR = "vibration"
AT = "2026-03-02T01:00Z"
WINDOWS = 12


@dataclass(frozen=True)
class Fleet:
    """A workspace that ``kedro run --params data=<folder>`` scores, and the same models as pickles.

    Attributes
    ----------
    folder : Path
    n_models, n_support_vectors : int
    """

    folder: Path
    n_models: int
    n_support_vectors: int

    @property
    def windows(self) -> Path:
        """A table of one file."""
        return self.folder / "03_primary/windows"

    @property
    def windows_file(self) -> Path:
        (file,) = self.windows.glob("date=*/*.parquet")
        return file

    @property
    def predictions_file(self) -> Path:
        (file,) = self.folder.glob("07_model_output/predictions/date=*/*.parquet")
        return file

    @property
    def published(self) -> Path:
        return self.folder / "06_models/published"

    @property
    def combined(self) -> Fleet:
        """The same windows, and the same models with the combined detector around them."""
        return Fleet(self.folder / "combined", self.n_models, self.n_support_vectors)

    @property
    def pickles(self) -> Path:
        """One pickle a device."""
        return self.folder / "pickles"

    @property
    def bundle(self) -> Path:
        """All pipelines in one file."""
        return self.folder / "bundle.joblib"

    @property
    def n_pairs(self) -> int:
        """(window x support vector) pairs; each costs an exponential."""
        return self.n_support_vectors * WINDOWS

    def forget_scores(self) -> None:
        """As before the first run."""
        shutil.rmtree(self.folder / "07_model_output", ignore_errors=True)


def open_fleet(folder: Path) -> Fleet:
    """A fleet that is there."""
    made = json.loads((folder / "fleet.json").read_text(encoding="utf-8"))
    return Fleet(folder, made["n_models"], made["n_support_vectors"])
