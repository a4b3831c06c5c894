"""Which files are opened, whose models they are, and what is refused."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from batch_scoring.core.errors import InputError
from batch_scoring.registry.pretrained import read_pretrained, to_trainings
from tests.real_data import REFERENCE

pytestmark = pytest.mark.slow  # skops takes two seconds to import


def make_pipe(d=1, **svm):
    X = np.random.default_rng(0).normal(5, 2, size=(60, d))
    return make_pipeline(StandardScaler(), OneClassSVM(**{"nu": 0.1, **svm})).fit(X)


def save(path: Path, estimator) -> Path:
    import skops.io

    skops.io.dump(estimator, path)
    return path


def test_a_folder_of_skops_files_is_read_by_their_names(tmp_path):
    for name in ("model_7_vibration.skops", "model_007_air%2Fflow.skops"):
        save(tmp_path / name, make_pipe())
    (tmp_path / "README").write_text("not a model")

    models = read_pretrained(tmp_path)

    assert [(m.device, m.sensor) for m in models] == [("007", "air/flow"), ("7", "vibration")]
    assert sorted(to_trainings(models, 5.0, {}, tmp_path)) == ["air/flow", "vibration"]


def test_a_name_that_does_not_tell_whose_model_it_is_is_told(tmp_path):
    path = save(tmp_path / "model_a_b_c.skops", make_pipe())

    with pytest.raises(InputError, match="--device and --sensor"):
        read_pretrained(path)
    (model,) = read_pretrained(path, device="a_b", sensor="c")
    assert (model.device, model.sensor) == ("a_b", "c")


def test_only_the_models_asked_for_are_taken_from_the_open_form(tmp_path):
    reference = REFERENCE / "models.json"
    if not reference.is_file():
        pytest.skip(f"{reference} is not there")

    assert len(read_pretrained(reference)) == 15
    assert [(m.device, m.sensor) for m in read_pretrained(reference, device="2", sensor="3")] == [("2", "3")]
    with pytest.raises(InputError, match="no model of device 9, sensor any"):
        read_pretrained(reference, device="9")


@pytest.mark.parametrize("dump", [joblib.dump, lambda model, path: path.write_bytes(pickle.dumps(model))])
def test_a_pickle_is_opened_only_when_trusted(tmp_path, dump):
    path = tmp_path / "model_7_vibration"
    dump(make_pipe(), path)

    with pytest.raises(InputError, match=r"model_7_vibration: .*--trust-pickle"):
        read_pretrained(path)
    (model,) = read_pretrained(path, trust_pickle=True)
    assert model.features == ("mean",)


def test_a_pickle_that_is_not_trusted_runs_no_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "model_7_vibration.pkl").write_bytes(pickle.dumps(Evil()))

    with pytest.raises(InputError):
        read_pretrained(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_that_cannot_be_read_is_told(tmp_path):
    path = tmp_path / "model_7_vibration"
    path.write_bytes(b"csklearn.preprocessing.data\nStandardScaler\n.")

    with pytest.raises(InputError, match=r"cannot be read .*open form or a skops file"):
        read_pretrained(path, trust_pickle=True)


def test_a_skops_file_with_unknown_types_is_not_opened_and_they_are_named(tmp_path):
    path = save(tmp_path / "model_7_x.skops", IsolationForest(n_estimators=2).fit(np.ones((5, 1))))

    with pytest.raises(InputError, match=r"holds .*sklearn.ensemble._iforest.IsolationForest.*not opened"):
        read_pretrained(path)


def test_a_type_that_skops_trusts_and_we_do_not_need_is_refused(tmp_path):
    pipe = make_pipe()
    pipe.steps[0][1].extra_ = np.add
    path = save(tmp_path / "model_7_x.skops", pipe)

    with pytest.raises(InputError, match=r"numpy.*which a StandardScaler and a OneClassSVM do not need"):
        read_pretrained(path)


def test_a_file_that_is_not_skops_is_told(tmp_path):
    path = tmp_path / "model_7_x.skops"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="not a skops file"):
        read_pretrained(path)

    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr(
            "schema.json", '{"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode"}'
        )
    with pytest.raises(InputError, match="skops cannot read it"):
        read_pretrained(path)


def test_without_skops_that_is_told(tmp_path, monkeypatch):
    path = save(tmp_path / "model_7_x.skops", make_pipe())
    monkeypatch.setitem(__import__("sys").modules, "skops.io", None)

    with pytest.raises(InputError, match="skops is not installed"):
        read_pretrained(path)


def test_a_path_that_is_not_there_or_holds_nothing_is_told(tmp_path):
    with pytest.raises(InputError, match="there is no such file or folder"):
        read_pretrained(tmp_path / "nothing")
    with pytest.raises(InputError, match="holds no model"):
        read_pretrained(tmp_path)


def rewritten(source, target, change):
    """A copy of a skops file with other contents: ``change(name, bytes)`` of each entry."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def huge(name, data):
    """Arrays that are too large together, and each alone is not."""
    return data if name == "schema.json" else bytes(20_000_000)


def deep(name, data):
    return b"[" * 100_000 if name == "schema.json" else data


def lying(name, data):
    """An array that claims to have 1.6 TB."""
    if name == "schema.json":
        return data
    head = b"{'descr': '<f8', 'fortran_order': False, 'shape': (200000000000,), }"
    head += b" " * (64 - (11 + len(head)) % 64) + b"\n"
    return np.lib.format.magic(1, 0) + len(head).to_bytes(2, "little") + head + bytes(10)


@pytest.mark.parametrize("change", [huge, deep, lying])
def test_a_skops_file_that_would_exhaust_the_machine_is_refused(tmp_path, change):
    good = save(tmp_path / "good.skops", make_pipe())
    path = rewritten(good, tmp_path / "model_a_temp.skops", change)

    with pytest.raises(InputError, match="model_a_temp.* unpacks to" if change is huge else "model_a_temp"):
        read_pretrained(path)
