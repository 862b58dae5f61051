"""Learning curves of runs whose logs the tests write."""

from __future__ import annotations

import cv2
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.studies.learning_curve import draw, named, read_run, table

HEADER = 'epoch,step,seconds,training_windows,loss,bearing_ap,bearing_recall,ap50'


def write_run(folder, rows, header=HEADER, batch=128):
    folder.mkdir(parents=True)
    (folder / 'log.csv').write_text('\n'.join([header, *rows]) + '\n')
    torch.save({'plan': {'batch': batch}}, folder / 'best.pt')
    return folder


def test_windows_heard_are_steps_times_batch_and_run_names_are_unique(tmp_path):
    rows = ['1,10,5,400,3.0,.4,.3,.1', '2,20,9,800,2.0,.5,.4,.2', '3,40,20,800,1.5,.6,.5,.25']
    one = write_run(tmp_path / 'first' / 'run', rows)
    two = write_run(tmp_path / 'other' / 'run', rows[:1], batch=64)
    runs = named([one, two])
    assert list(runs) == ['first/run', 'other/run']
    assert runs['first/run'].windows_seen.tolist() == [1280, 2560, 5120]
    assert runs['first/run'].passes == pytest.approx(6.4)
    lines = table(runs).splitlines()
    assert lines[2] == '| first/run | 800 | 5,120 | 0.600 | 0.500 | 0.250 | 0.500 |'
    assert lines[3] == '| other/run | 400 | 640 | 0.400 | 0.300 | 0.100 | 0.400 |'
    draw(runs, tmp_path / 'curve.png')
    picture = cv2.imread(str(tmp_path / 'curve.png'))
    assert picture.shape[1] > 2 * picture.shape[0]
    # Both colours are in the picture.
    for colour in ((0xEB, 0x6F, 0x1F), (0x0D, 0x73, 0xD9)):
        assert (abs(picture.astype(int) - colour).sum(axis=2) < 30).any()


def test_older_log_has_no_number_of_training_windows(tmp_path):
    header = HEADER.replace('training_windows,', 'windows,')
    run = write_run(tmp_path / 'old', ['1,10,5,2400,3.0,.4,.3,.1'], header)
    assert '| old | - | 1,280 |' in table({'old': read_run(run)})


def test_folders_that_are_not_runs_are_rejected(tmp_path):
    with pytest.raises(AvdetError, match=r'cannot read .*log\.csv'):
        read_run(tmp_path)
    other = write_run(tmp_path / 'other', ['1,2'], 'epoch,loss')
    with pytest.raises(AvdetError, match=r"expected the log of a run of any-array.*'bearing_ap'"):
        read_run(other)
    empty = write_run(tmp_path / 'empty', [])
    with pytest.raises(AvdetError, match='expected an epoch at least'):
        read_run(empty)
