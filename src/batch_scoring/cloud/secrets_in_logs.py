"""Keep secrets out of the log at DEBUG: urllib3 writes whole URLs, Kedro all of ``credentials.yml``."""

from __future__ import annotations

import logging
import re

from batch_scoring.core.redaction import SIGNATURES

# Kedro's line about its credentials.
_IN_HOOKS = re.compile(r"(conf_creds: ).*")


class Hide(logging.Filter):
    """Filter that replaces what a pattern finds after its first group by ``…``; every record is logged."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        super().__init__()
        self.pattern = pattern

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record."""
        message = record.getMessage()
        shown = self.pattern.sub(r"\1…", message)
        if shown != message:
            record.msg, record.args = shown, None
        return True


def hide_signatures() -> None:
    """Hide signatures in the URLs that urllib3 logs."""
    _hide("urllib3.connectionpool", SIGNATURES)


def hide_credentials() -> None:
    """Hide the credentials that Kedro logs with the arguments of its hooks."""
    _hide("kedro.framework.hooks.manager", _IN_HOOKS)


def _hide(logger: str, pattern: re.Pattern[str]) -> None:
    filters = logging.getLogger(logger).filters
    if not any(isinstance(one, Hide) and one.pattern is pattern for one in filters):
        filters.append(Hide(pattern))
