"""Keeps signatures of shared access out of the log: urllib3 writes whole URLs at DEBUG."""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(r"((?:sig|sv|se|skoid|sktid)=)[^&\s\"']+", re.IGNORECASE)


class HideSignatures(logging.Filter):
    """Puts ``…`` for what authorises in every query of a record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        message = record.getMessage()
        if "=" in message:
            record.msg, record.args = _SECRET.sub(r"\1…", message), None
        return True


def hide_signatures() -> None:
    """Do so from now on; a second time changes nothing."""
    logger = logging.getLogger("urllib3.connectionpool")
    if not any(isinstance(one, HideSignatures) for one in logger.filters):
        logger.addFilter(HideSignatures())
