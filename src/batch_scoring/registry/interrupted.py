"""Record that a change of champion has begun, so that an interrupted one is noticed and completed."""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass

from batch_scoring.core.errors import InputError
from batch_scoring.registry.published import Root, folder_of, sensors_with, write_unless_there
from batch_scoring.storage import open_folder
from batch_scoring.storage.json_files import json_bytes, read_json

log = logging.getLogger(__name__)

PROMOTION = "promotion.json"


@dataclass(frozen=True)
class Promotion:
    """A change of champion that has begun; kept beside the manifest until it is complete.

    Attributes
    ----------
    version : str
        The new champion.
    previous : str
        The champion before it; empty where there was none.
    """

    version: str
    previous: str
    is_rollback: bool = False


def warn_of_interrupted_promotions(root: Root) -> None:
    """Log a warning for each sensor whose champion was being changed when the process died."""
    for sensor in sensors_with(open_folder(root), PROMOTION):
        begun = read_promotion(root, sensor)
        if begun is not None:
            command = f"rollback {sensor}" if begun.is_rollback else f"promote {sensor} {begun.version}"
            log.warning(
                "sensor %r: the change of champion to version %s was interrupted; repeat `kedro models %s`",
                *(sensor, begun.version, command),
            )


def read_promotion(root: Root, sensor: str) -> Promotion | None:
    """Read the change of champion that has begun and is not complete.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    folder = folder_of(root, sensor)
    mend = f"delete it, then name the version to score in `kedro models promote {sensor}`"
    found = read_json(folder, PROMOTION, mend)
    try:
        return None if found is None else Promotion(**found)
    except TypeError as error:
        raise InputError(f"{folder.path(PROMOTION)}: not readable ({error}); {mend}") from error


def begin_promotion(root: Root, sensor: str, promotion: Promotion) -> None:
    """Record a change of champion before its first step, so that an interrupted one can be completed."""
    text = json_bytes(dataclasses.asdict(promotion), indent=2, sort_keys=True)
    write_unless_there(folder_of(root, sensor), PROMOTION, text)


def end_promotion(root: Root, sensor: str) -> None:
    """Remove the record of a completed change of champion."""
    folder_of(root, sensor).delete(PROMOTION)
