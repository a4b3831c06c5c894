"""Slack's own library takes the blocks, and no id makes a link or a mention."""

from __future__ import annotations

import pytest
from slack_sdk.models.blocks import Block

from batch_scoring.alerts.sinks.slack import Settings
from tests.alerts.sinks.forms import EVERY, HARD, opened, settings_of


def payload(message):
    return settings_of("slack").payload(message)


@pytest.mark.parametrize("kind", EVERY)
def test_the_blocks_are_what_slack_accepts(kind):
    blocks = Block.parse_all(payload(EVERY[kind])["blocks"])
    assert [one.type for one in blocks] == ["header", "section", "section", "actions"]
    for one in blocks:
        one.validate_json()
        for part in [getattr(one, "text", None), *(getattr(one, "fields", None) or [])]:
            if part is not None:
                part.validate_json()
    (button,) = blocks[3].elements
    button.validate_json()
    # The limits that the library leaves to the service.
    fields = payload(EVERY[kind])["blocks"][2]["fields"]
    assert 1 <= len(fields) <= 10
    assert all(1 <= len(one["text"]) <= 2000 for one in fields)
    assert 1 <= len(payload(EVERY[kind])["blocks"][1]["text"]["text"]) <= 3000


def test_it_says_what_a_person_needs():
    sent = payload(opened())
    assert sent["text"] == "pump-1: high anomaly opened, s"
    header, text, fields, actions = sent["blocks"]
    assert header["text"]["text"] == sent["text"]
    assert "device 'pump-1', sensors 's'" in text["text"]["text"]
    assert {"type": "mrkdwn", "text": "*Level*\nhigh (priority 7)"} in fields["fields"]
    assert actions["elements"][0]["url"] == "https://fleet.example.com/incidents/pump-1%400"


def test_an_id_makes_neither_a_mention_nor_a_link():
    sent = payload(opened(HARD))
    texts = [
        sent["text"],
        sent["blocks"][1]["text"]["text"],
        *(f["text"] for f in sent["blocks"][2]["fields"]),
    ]
    assert any("&lt;!channel&gt;&amp;" in text for text in texts)
    assert not any("<" in text or ">" in text for text in texts)


def test_its_address_is_a_secret():
    assert Settings(url_from="SLACK_WEBHOOK").url is None
