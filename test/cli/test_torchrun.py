"""What the commands that train do under torchrun."""

from __future__ import annotations

from pathlib import Path

import pytest

from avdet_ros.cli.training import voice
from avdet_ros.errors import AvdetError


def test_one_of_several_processes_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for rank in '01':
        monkeypatch.setenv('RANK', rank)
        progress, say = voice(True)
        say(f'[process] {rank}')
        assert progress is (rank == '0')
    assert capsys.readouterr().out == '[process] 0\n'


def test_a_search_is_not_shared_by_torchrun(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from avdet_ros.cli.search import search

    monkeypatch.setenv('WORLD_SIZE', '2')
    with pytest.raises(AvdetError, match='expected one process, found 2 of torchrun'):
        search(Path('config/recipes/mm_distillnet.yaml'), tmp_path / 'drives', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
