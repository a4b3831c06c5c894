"""Send messages to a Slack channel, by an incoming webhook."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from batch_scoring.alerts.messages import facts
from batch_scoring.alerts.sinks.base import Message
from batch_scoring.alerts.sinks.webhook import HttpSettings
from batch_scoring.core.text import cut, printable

# What Slack accepts, in characters and fields.
_HEADER, _SECTION, _FIELD, _FIELDS, _URL = 150, 3000, 2000, 10, 3000
_NAME = 300


@dataclass(frozen=True)
class Settings(HttpSettings):
    """A channel of Slack. The webhook's address is a secret: name it in ``url_from``."""

    type: Literal["slack"] = "slack"
    name: str = "slack"

    def payload(self, message: Message) -> Any:
        """Write a message of blocks; ``text`` is what notifications and screen readers say."""
        title = cut(message["title"], _HEADER)
        blocks: list[dict[str, Any]] = [
            {"type": "header", "text": {"type": "plain_text", "text": title, "emoji": False}},
            {"type": "section", "text": _mrkdwn(printable(message["text"]), _SECTION)},
        ]
        fields = [_mrkdwn(value, _FIELD, name) for name, value in facts(message)]
        if fields:
            blocks.append({"type": "section", "fields": fields[:_FIELDS]})
        if message["link"] and len(message["link"]) <= _URL:
            button = {"type": "plain_text", "text": "Look at it", "emoji": False}
            blocks.append(
                {"type": "actions", "elements": [{"type": "button", "text": button, "url": message["link"]}]}
            )
        return {"text": _fitted(title, _SECTION), "blocks": blocks}


def _mrkdwn(text: str, length: int, name: str = "") -> dict[str, str]:
    before = f"*{_fitted(name, _NAME)}*\n" if name else ""
    return {"type": "mrkdwn", "text": before + _fitted(text, length - len(before))}


def _fitted(text: str, length: int) -> str:
    """Escape a text and shorten it; no escape is cut in two."""
    shown: list[str] = []
    n = 0
    for one in map(_escaped, text):
        n += len(one)
        if n >= length:
            return "".join(shown) + "…"
        shown.append(one)
    return "".join(shown)


def _escaped(text: str) -> str:
    """Escape what Slack takes for links and mentions: ids may be any text."""
    return escape(text, quote=False)
