"""Import pre-trained models as fleet models: open JSON form, skops files, trusted pickles."""

from batch_scoring.registry.pretrained.files import read_pretrained
from batch_scoring.registry.pretrained.models import PretrainedModel, to_trainings
