"""Convert sensor ids of any characters to names that MLflow accepts."""

from __future__ import annotations

import re

from batch_scoring.core.ids import file_name, from_path_segment, path_segment


def registered_name(sensor: str) -> str:
    """Return the registered model of a sensor; :func:`sensor_of` reads it back.

    MLflow refuses ``/`` and ``:``, and the pages of a model with a ``%`` in its name do not open.

    Examples
    --------
    >>> registered_name("vibration"), registered_name("air/flow")
    ('vibration', 'air~2Fflow')
    """
    return path_segment(sensor).replace("~", "%7E").replace("%", "~")


def sensor_of(name: str) -> str:
    """Return the sensor of a :func:`registered_name`.

    Examples
    --------
    >>> sensor_of(registered_name("a~2F/%")) == "a~2F/%"
    True
    """
    return from_path_segment(name.replace("~", "%"))


def plain_name(sensor: str) -> str:
    """Return a sensor as part of a metric's, an artifact's or a logged model's name.

    MLflow refuses most punctuation there, and decodes percent signs in artifact paths.

    Examples
    --------
    >>> plain_name("vibration"), plain_name("air/flow"), plain_name("../x")
    ('vibration', 'airx2Fflow', 'x2Ex2Ex2Fx')
    """
    return _plain(path_segment(sensor))


def plain_file_name(sensor: str) -> str:
    """Return a sensor as the name of an artifact's file, which no other has on any system.

    Examples
    --------
    >>> plain_file_name("vibration"), plain_file_name("Temp"), plain_file_name("con")
    ('vibration', 'Tempx2B1', 'x63on')
    """
    return _plain(file_name(sensor))


def _plain(name: str) -> str:
    return re.sub(r"[.~+]", lambda mark: f"x{ord(mark[0]):02X}", name.replace("%", "x"))
