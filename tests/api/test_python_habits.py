"""What people who write Python expect of the package and of the detector."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
import typing
from importlib.resources import files

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags

import batch_scoring
from batch_scoring import FleetDetector, InputError, api
from batch_scoring.api import detector


def test_the_package_offers_the_public_api_and_imports_it_when_asked():
    assert (FleetDetector, InputError) == (api.FleetDetector, api.InputError)
    assert {"FleetDetector", "InputError", "__version__"} <= {*dir(batch_scoring)}
    with pytest.raises(AttributeError, match="nope"):
        _ = batch_scoring.nope
    program = "import sys, batch_scoring; print('sklearn' in sys.modules, 'kedro' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_package_says_that_it_has_types():
    assert (files("batch_scoring") / "py.typed").is_file()
    for method in ("fit", "predict", "incidents", "save", "load"):
        hints = typing.get_type_hints(getattr(FleetDetector, method), {**vars(detector)})
        assert hints.keys() - {"return"} == inspect.signature(
            getattr(FleetDetector, method)
        ).parameters.keys() - {*("self", "cls")}


def test_parameters_are_read_set_and_cloned_as_scikit_learn_does():
    one = FleetDetector(window="1h")
    assert isinstance(one, BaseEstimator)
    assert one.get_params() == {
        "window": "1h",
        "false_alarms_per_week": 1.0,
        "timezone": "UTC",
        "settings": None,
    }
    other = clone(one).set_params(window="10min", timezone="Europe/Berlin")
    assert (one.window, other.window, other.timezone) == ("1h", "10min", "Europe/Berlin")
    with pytest.raises(ValueError, match="Valid parameters are"):
        one.set_params(windw="1h")


def test_scikit_learn_asks_it_for_its_tags():
    tags = get_tags(FleetDetector())
    # It takes readings and returns a table: it claims to be neither a classifier nor an outlier detector.
    assert (tags.estimator_type, tags.requires_fit, tags.target_tags.required) == (None, True, False)


def test_it_shows_itself_in_a_terminal_and_in_a_notebook():
    one = FleetDetector(window="1h", false_alarms_per_week=2)
    assert repr(one) == "FleetDetector(false_alarms_per_week=2, window='1h')"
    assert "FleetDetector" in one._repr_html_()
    assert eval(repr(one)).get_params() == one.get_params()


def test_help_says_how_it_is_used():
    text = pydoc.render_doc(FleetDetector, renderer=pydoc.plaintext)
    for part in ("Parameters", "window : str", "fit(self, readings", "predict(self, readings", "Examples"):
        assert part in text
    assert "FleetDetector" in pydoc.render_doc(batch_scoring, renderer=pydoc.plaintext)
