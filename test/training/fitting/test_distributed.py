from __future__ import annotations

import os
import subprocess
import sys

import pytest

from avdet_ros.training.fitting import distributed

SCRIPT = """
import sys
from pathlib import Path
import torch
from avdet_ros.training.fitting.distributed import (
    count, rank_zero_first, process_group, mean_over_processes, rank,
)

out = Path(sys.argv[1])
with process_group():
    rank_zero_first(lambda: rank_zero_first(lambda: (out / 'made').write_text(str(rank()))))
    seen = (out / 'made').read_text()
    mean = mean_over_processes(1.0 + rank(), torch.device('cpu'))
    (out / f'rank_{rank()}').write_text(f'{count()} {seen} {mean}')
"""


@pytest.mark.slow
def test_rank_zero_runs_first_and_the_others_wait(tmp_path):
    script = tmp_path / 'script.py'
    script.write_text(SCRIPT)
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'torch.distributed.run',
            '--standalone',
            '--nproc-per-node=2',
            str(script),
            str(tmp_path),
        ],
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / 'rank_0').read_text() == (tmp_path / 'rank_1').read_text() == '2 0 1.5'


def test_one_process_needs_no_group():
    import torch

    made: list[int] = []
    with distributed.process_group():
        distributed.rank_zero_first(lambda: made.append(1))
    assert made == [1]
    assert distributed.mean_over_processes(3.0, torch.device('cpu')) == 3.0
    assert distributed.trainer_places()['devices'] == 1
