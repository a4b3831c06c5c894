"""Now ``batch_scoring.detection.model_file``; the models answer what the former script asks of them."""

from batch_scoring.detection import model_file
from batch_scoring.detection.detectors.combined import combined_arrays
from batch_scoring.detection.detectors.combined_tails import CombinedModels, Curves
from batch_scoring.detection.model import FleetModel


class _FormerModel(FleetModel):
    def combined(self) -> tuple[CombinedModels, Curves]:
        return combined_arrays(self.rows)


class FleetFile(model_file.FleetFile):
    """A file of models whose contents the former script can use."""

    def read(self) -> FleetModel:
        """All models at once."""
        model = super().read()
        return _FormerModel(model.table, model.info)


__all__ = ["FleetFile"]
