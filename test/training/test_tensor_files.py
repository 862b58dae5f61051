"""Tensor files are read completely or rejected with one line, and no code in them runs."""

from __future__ import annotations

from pathlib import Path
import pickle

import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.tensor_files import load_tensors


def test_load_tensors_returns_tensors_and_plain_values(tmp_path):
    saved = {'weights': {'layer': torch.arange(3.0)}, 'epoch': 2}
    torch.save(saved, tmp_path / 'a.pt')
    found = load_tensors(tmp_path / 'a.pt', 'a checkpoint')
    assert found['epoch'] == 2
    torch.testing.assert_close(found['weights']['layer'], torch.arange(3.0))
    assert load_tensors(tmp_path / 'a.pt', '', 'meta')['weights']['layer'].is_meta


class Touches:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_invalid_tensor_files_are_rejected_without_running_code(tmp_path):
    path, touched = tmp_path / 'a.pt', tmp_path / 'touched'
    with pytest.raises(AvdetError, match=r'^cannot read .*a\.pt: No such file or directory$'):
        load_tensors(path, 'a checkpoint')
    path.write_bytes(b'PK damaged')
    with pytest.raises(AvdetError, match=r'^[^\n]*a\.pt: expected a checkpoint, found [^\n]*$'):
        load_tensors(path, 'a checkpoint')
    torch.save([torch.zeros(1)], path)
    with pytest.raises(AvdetError, match=r'a\.pt: expected a checkpoint, found list$'):
        load_tensors(path, 'a checkpoint')
    for write in (
        lambda: torch.save({'a': Touches(touched)}, path),
        lambda: path.write_bytes(pickle.dumps(Touches(touched))),
    ):
        write()
        with pytest.raises(AvdetError, match=r'a\.pt: expected a checkpoint, found'):
            load_tensors(path, 'a checkpoint')
        assert not touched.exists()
