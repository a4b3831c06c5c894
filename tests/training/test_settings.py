"""Settings of a training that are not valid are refused before a run begins."""

import pytest

from batch_scoring.core.errors import InputError
from batch_scoring.core.parameters import read_parameters
from batch_scoring.training.settings import TrainParameters


@pytest.mark.parametrize("share", [0, -0.5, 1.01, float("nan")])
def test_a_share_is_more_than_0_and_at_most_1(share: float):
    assert read_parameters(TrainParameters, {"share": 1}, "train").share == 1
    with pytest.raises(InputError, match=r"train\.share"):
        read_parameters(TrainParameters, {"share": share}, "train")
