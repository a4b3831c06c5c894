"""A planted secret is found, and what only speaks of secrets is none."""

from __future__ import annotations

import base64
import json

import pytest

from batch_scoring.deploy.secret_scan import secrets_in
from tests.deploy.template.templates import LOGIC_APP, parameters, settings_of, template

KEY = base64.b64encode(bytes(range(64))).decode()
SECRETS = {
    "an account key": f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={KEY}",
    "a shared access key": "Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=r;SharedAccessKey=QWxhZGRpbg",
    "a shared access signature": "https://a.blob.core.windows.net/c?sv=2024-01-01&sig=AbCdEfGhIjKlMnOpQrStUv%3D",
    "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----",
    "a token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJl",
    "a client secret": "abc8Q~" + "d" * 34,
    "a key": KEY,
    "a password": '"password": "correct-horse"',
}


@pytest.mark.parametrize(("what", "secret"), SECRETS.items())
def test_a_planted_secret_is_found_and_not_repeated(what, secret):
    found = secrets_in(f"first line\nx: {secret}\n")
    assert f"line 2 holds {what}" in found
    assert not any(secret[-12:] in one for one in found)


@pytest.mark.parametrize(
    ("place", "what"),
    [
        (place, what)
        for place in ("container", "workflow", "job", "parameter")
        for what in SECRETS
        # A password is known by the name of its property, which a parameter's value has not.
        if (place, what) != ("parameter", "a password")
    ],
)
def test_a_secret_planted_in_the_template_is_found(what, place):
    chosen = settings_of(scheduler={} if place == "job" else LOGIC_APP)
    whole, given = template(chosen), parameters(chosen)
    if place == "parameter":
        given["parameters"]["trackingUri"]["value"] = SECRETS[what].strip('"')
    elif place == "job":
        job = next(one for one in whole["resources"] if one["type"] == "Microsoft.App/jobs")
        (container,) = job["properties"]["template"]["containers"]
        value = "correct-horse" if what == "a password" else SECRETS[what]
        container["env"].append(
            {"password": value} if what == "a password" else {"name": "x", "value": value}
        )
    else:
        workflow = next(one for one in whole["resources"] if one["type"] == "Microsoft.Logic/workflows")
        group = workflow["properties"]["parameters"]["containerGroup"]["value"]
        inner = group["properties"] if place == "container" else workflow["properties"]["definition"]
        inner["x"] = {"password": "correct-horse"} if what == "a password" else SECRETS[what]
    text = json.dumps([whole, given], indent=1)
    assert [one for one in secrets_in(text) if one.endswith(what) or what == "a token"]


def test_neither_the_shipped_template_nor_its_parameters_hold_a_secret():
    assert secrets_in(json.dumps([template(), parameters(settings_of())], indent=1)) == []


@pytest.mark.parametrize(
    "text",
    [
        "[listKeys(variables('storageId'), '2023-05-01').keys[0].value]",
        '"password": "[parameters(\'x\')]"',
        '{"password_secret": "registry-password"}',
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0Vq0000000000000000000000000000000000000000 me",
        "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ],
)
def test_what_is_no_secret_is_not_taken_for_one(text):
    assert secrets_in(text) == []
