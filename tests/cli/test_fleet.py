"""`kedro fleet serve` refuses to be open to others by chance, in one sentence."""

import socket

import pytest
from click.testing import CliRunner

from batch_scoring.cli.fleet import serve
from batch_scoring.core.errors import InputError
from batch_scoring.server.run import _listen


@pytest.mark.parametrize("options", [["--host", "0.0.0.0"], ["--token", "short"], ["--port", "99999"]])
def test_what_is_not_safe_or_valid_ends_with_one_sentence(options):
    ended = CliRunner().invoke(serve, options)
    assert ended.exit_code in (1, 2)
    assert options[0] in ended.output
    assert "Traceback" not in ended.output


@pytest.mark.slow
def test_a_misspelt_workspace_ends_with_one_sentence(tmp_path):
    ended = CliRunner().invoke(serve, ["--data", str(tmp_path / "nope")])
    assert ended.exit_code == 1
    assert "nope: there is no such folder" in ended.output


def test_the_token_may_come_from_the_environment():
    ended = CliRunner().invoke(serve, ["--host", "0.0.0.0"], env={"BATCH_SCORING_TOKEN": "short"})
    assert "16" in ended.output


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"127.0.0.1:{port}.*--port"):
            _listen("127.0.0.1", port)
