"""A container's identity that answers late is waited for; one that never does is one sentence."""

from __future__ import annotations

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import DefaultAzureCredential

from batch_scoring.cloud import credentials
from batch_scoring.cloud.credentials import await_identity, token_credential
from batch_scoring.core.errors import InputError
from batch_scoring.storage.blob_service import credential_for
from tests.emulators.identity import IdentityServer

SCOPE = "https://storage.azure.com/.default"


@pytest.fixture
def machine(monkeypatch):
    """A container of a deployment, whose identity is asked for as often as a test can wait."""
    monkeypatch.setattr(credentials, "PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
    with IdentityServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.mark.parametrize("ask", ["get_token", "get_token_info"])
def test_an_identity_that_answers_late_is_asked_again(machine, ask):
    machine.refusals = 3
    assert getattr(token_credential(), ask)(SCOPE).token
    assert len(machine.asked) == 1 and machine.refusals == 0


def test_blobs_are_opened_with_the_same_patience(machine):
    machine.refusals = 3
    of_blobs = credential_for("https://a.blob.core.windows.net", credentials.Credentials())
    assert of_blobs.get_token(SCOPE).token


def test_a_process_waits_for_it_once_before_it_starts_others(machine):
    machine.refusals = 3
    await_identity()
    assert machine.asked == ["https://storage.azure.com"]


def test_an_identity_that_never_answers_is_one_sentence(machine, monkeypatch):
    monkeypatch.setattr(credentials, "PATIENCE_SECONDS", 0.05)
    machine.refusals = 1000
    with pytest.raises(InputError, match="it did not answer") as told:
        await_identity()
    assert "\n" not in str(told.value)
    with pytest.raises(ClientAuthenticationError):
        token_credential().get_token(SCOPE)


def test_a_machine_of_which_nothing_is_said_is_not_waited_for(machine, monkeypatch):
    monkeypatch.delenv("AZURE_TOKEN_CREDENTIALS")
    machine.refusals = 1000
    await_identity()
    assert machine.refusals == 1000
    assert isinstance(token_credential(), DefaultAzureCredential)


def test_a_credential_that_is_given_is_taken(machine):
    given = object()
    assert token_credential(given) is given
