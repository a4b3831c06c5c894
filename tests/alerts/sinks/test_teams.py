"""Adaptive Cards' own library reads the cards without a complaint, and no id is taken for Markdown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.alerts.sinks.forms import EVERY, HARD, opened, settings_of

pytestmark = pytest.mark.slow

HOME = Path(os.environ.get("CARDS") or Path(__file__).parents[3] / ".cards")
# Reads a card as version 1.4 and prints each complaint, and the card as the library would write it.
PROGRAM = """
const cards = require("adaptivecards/dist/adaptivecards.js");
const context = new cards.SerializationContext(cards.Versions.v1_4);
const card = new cards.AdaptiveCard();
card.parse(JSON.parse(require("fs").readFileSync(0, "utf8")), context);
const said = [];
for (let n = 0; n < context.eventCount; n++) said.push(context.getEventAt(n).message);
for (const one of card.validateProperties().validationEvents) said.push(one.message);
console.log(JSON.stringify({said, card: card.toJSON()}));
"""


def read_by_the_library(card):
    if shutil.which("node") is None or not (HOME / "node_modules/adaptivecards").is_dir():
        reason = f"there is no Node.js, or no adaptivecards in {HOME}; `make test` installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    done = subprocess.run(
        ["node", "-e", PROGRAM], cwd=HOME, input=json.dumps(card), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def card_of(message):
    sent = settings_of("teams").payload(message)
    assert sent["type"] == "message"
    (attachment,) = sent["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    return attachment["content"]


@pytest.mark.parametrize("kind", EVERY)
def test_the_library_reads_all_of_the_card(kind):
    card = card_of(EVERY[kind])
    read = read_by_the_library(card)
    assert read["said"] == []
    assert read["card"] == card
    # Teams takes 28 kB.
    assert len(json.dumps(settings_of("teams").payload(EVERY[kind])).encode()) < 28_000


def test_the_library_does_complain():
    card = card_of(opened())
    card["body"][0]["size"] = "Huge"
    assert read_by_the_library(card)["said"] == ['Invalid value "Huge" for property "size".']


def test_it_says_what_a_person_needs():
    title, text, facts = card_of(opened())["body"]
    assert (title["text"], title["color"]) == ("pump-1: high anomaly opened, s", "Attention")
    assert "device 'pump-1'" in text["text"]
    assert {"title": "Level", "value": "high \\(priority 7\\)"} in facts["facts"]
    assert card_of(opened())["actions"][0]["url"] == "https://fleet.example.com/incidents/pump-1%400"
    assert card_of(EVERY["closed"])["body"][0]["color"] == "Good"


def test_an_id_is_not_taken_for_markdown():
    title, text, facts = card_of(opened(HARD))["body"]
    texts = [title["text"], text["text"], *(fact["value"] for fact in facts["facts"])]
    assert any("\\[x\\]\\(http://evil\\)\\*\\_\\`" in one for one in texts)
