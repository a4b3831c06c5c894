"""Settings of sinks are read before a run, and hold no secret."""

from datetime import timedelta

import pytest

from batch_scoring.alerts.settings import read_sinks
from batch_scoring.alerts.sinks import event_hub, file, log, webhook
from batch_scoring.core.errors import InputError


def test_each_type_has_its_settings():
    sinks = read_sinks(
        [
            {"type": "log"},
            {"type": "file", "path": "alerts.jsonl"},
            {
                "type": "webhook",
                "url": "https://a/b",
                "timeout": "3s",
                "authorization_from": "TOKEN",
            },
            {"type": "event_hub", "connection_from": "HUB", "name": "alerts"},
        ]
    )
    assert sinks == (
        log.Settings(),
        file.Settings("alerts.jsonl"),
        webhook.Settings("https://a/b", None, "TOKEN", timedelta(seconds=3)),
        event_hub.Settings("HUB", name="alerts"),
    )


@pytest.mark.parametrize(
    ("sinks", "says"),
    [
        ([{"type": "pigeon"}], "sink 1 has the type 'pigeon'; known are log, file, webhook, .*event_hub"),
        (["log"], "sink 1 has the type None"),
        ([{"type": "log"}, {"type": "file"}], "sink 2.path: this setting is missing"),
        ([{"type": "log", "colour": 1}], "sink 1.colour: there is no such setting"),
        ([{"type": "log"}, {"type": "log"}], "two sinks are called 'log'"),
        ([{"type": "webhook"}], "webhook has neither url nor url_from"),
        ([{"type": "webhook", "url": "https://a/b", "url_from": "A"}], "webhook has both url and url_from"),
        ([{"type": "webhook", "url": "https://a/b", "attempts": 0}], "at least 1 attempt"),
        ([{"type": "event_hub", "namespace": "x.servicebus.windows.net"}], "connection_from, or namespace"),
    ],
)
def test_what_cannot_work_is_an_error(sinks, says):
    with pytest.raises(InputError, match=says):
        read_sinks(sinks)


@pytest.mark.parametrize(
    "url", ["", "example.com/x", "ftp://a/b", "https://", "http://a:x/", "https://a/b c"]
)
def test_an_address_that_cannot_be_posted_to_is_an_error(url):
    with pytest.raises(InputError, match="expected one such as https://host/path"):
        read_sinks([{"type": "webhook", "url": url}])


def test_a_password_in_an_address_is_refused_and_not_repeated():
    with pytest.raises(InputError, match="authorization_from") as error:
        read_sinks([{"type": "webhook", "url": "https://me:pa55word@example.com/"}])
    assert "pa55word" not in str(error.value)
