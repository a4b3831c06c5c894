"""Send messages to a channel of Microsoft Teams: an Adaptive Card by a workflow's webhook."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from batch_scoring.alerts.messages import facts, is_over
from batch_scoring.alerts.sinks.base import Message
from batch_scoring.alerts.sinks.webhook import HttpSettings
from batch_scoring.core.text import cut, printable

# Teams takes 28 kB as a whole.
_TITLE, _TEXT, _FACT, _FACTS = 300, 3000, 500, 20
_COLORS = {"critical": "Attention", "high": "Attention", "medium": "Warning", "low": "Accent"}


@dataclass(frozen=True)
class Settings(HttpSettings):
    """A workflow "Post to a channel when a webhook request is received". Its address is a secret."""

    type: Literal["teams"] = "teams"
    name: str = "teams"

    def payload(self, message: Message) -> Any:
        """Write a message with one Adaptive Card of version 1.4."""
        card: dict[str, Any] = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": [
                {
                    **_text_block(cut(message["title"], _TITLE)),
                    "size": "Large",
                    "weight": "Bolder",
                    "color": _color(message),
                },
                _text_block(cut(printable(message["text"]), _TEXT)),
                {
                    "type": "FactSet",
                    "facts": [
                        {"title": _plain(cut(name, _FACT)), "value": _plain(cut(value, _FACT))}
                        for name, value in facts(message)[:_FACTS]
                    ],
                },
            ],
        }
        if message["link"]:
            card["actions"] = [{"type": "Action.OpenUrl", "title": "Look at it", "url": message["link"]}]
        attachment = {
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": None,
            "content": card,
        }
        return {"type": "message", "attachments": [attachment]}


def _text_block(text: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": _plain(text), "wrap": True}


def _plain(text: str) -> str:
    """Escape what a card takes for Markdown: ids may be any text, such as a link."""
    return "".join(f"\\{one}" if one in "\\*_[]()~`#>" else one for one in text)


def _color(message: Message) -> str:
    if is_over(message):
        return "Good"
    levels = message.get("levels") or {message.get("level"): 1}
    return next((color for level, color in _COLORS.items() if level in levels), "Default")
