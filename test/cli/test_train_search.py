"""Training commands under torchrun."""

from __future__ import annotations

from pathlib import Path

import pytest

from avdet_ros.errors import AvdetError


def test_search_is_rejected_under_torchrun(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from avdet_ros.cli.train_search import search

    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(AvdetError, match='expected one process, found 2 of torchrun'):
        search(Path('config/recipes/mm_distillnet.yaml'), tmp_path / 'drives', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
