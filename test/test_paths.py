"""The package's own files are found by their names, from any folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from avdet_ros.paths import FORMER_NAMES, found_or_shipped, share

MODEL = 'models/student.onnx'


def test_shipped_model_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert found_or_shipped(MODEL) == share(MODEL)
    own = tmp_path / MODEL
    own.parent.mkdir()
    own.write_bytes(b'mine')
    assert found_or_shipped(MODEL) == Path(MODEL), "the user's own comes first"


@pytest.mark.parametrize('name', ['models/none.onnx', '/models/student.onnx', f'../{MODEL}'])
def test_other_names_are_returned_unchanged(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert found_or_shipped(name) == Path(name)


@pytest.mark.parametrize('name', FORMER_NAMES)
def test_former_name_finds_the_renamed_file(tmp_path, monkeypatch, caplog, name):
    monkeypatch.chdir(tmp_path)
    assert found_or_shipped(name) == share(FORMER_NAMES[name])
    assert f'{name} is called {FORMER_NAMES[name]} now' in caplog.text
