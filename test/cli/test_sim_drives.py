"""`avdet sim drives`: one-line errors, and a run that resumes after being killed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from avdet_ros.cli.main import app
from avdet_ros.errors import AvdetError

ROOT = Path(__file__).parents[2]
AVDET = [sys.executable, '-m', 'avdet_ros.cli.main']


@pytest.mark.parametrize(
    ('words', 'sentence'),
    [
        (['sim', 'drives'], 'expected a folder for the drives, found none'),
        (['sim', 'drives', '{new}', '--jobs', '-1'], 'jobs: expected 0 to 256, found -1'),
        (['sim', 'drives', '{new}', '--drives', '0'], 'drives: expected 1 to 10000, found 0'),
        (['sim', 'drives', '{new}', '--minutes', '99'], 'minutes: expected 0.05 to 20, found 99'),
        (['sim', 'drives', '{new}', '--fps', 'nan'], 'fps: expected 0.1 to 30, found nan'),
        (['sim', 'drives', '{new}', '--seed', '-1'], 'seed: expected 0 to 2147483647, found -1'),
        (
            ['sim', 'drives', '{new}', '--daytime', 'noon'],
            'one of all, day, night, found noon',
        ),
        (
            ['sim', 'drives', '{new}', '--no-sound', '--clean-too'],
            'drives without sound: expected',
        ),
        (['sim', 'drives', '{new}', '--recordings', '{new}'], 'expected a folder'),
        (['sim', 'drives', '{new}', '--rig', '{new}/rig.yaml'], 'cannot read the rig file'),
        (['sim', 'drives', '{full}'], 'expected a new or empty folder'),
        (['sim', 'drives', '{file}'], 'expected a new or empty folder'),
        (
            ['sim', 'drives', '{file}/below'],
            'expected a folder to write to, found: Not a directory',
        ),
        (['eval', 'check-dataset', '{new}'], '{new}'),
    ],
)
def test_invalid_arguments_raise_one_line_errors(tmp_path, words, sentence):
    places = {'new': tmp_path / 'new', 'full': tmp_path / 'full', 'file': tmp_path / 'file'}
    places['full'].mkdir()
    (places['full'] / 'letter.txt').write_text('dear')
    places['file'].write_text('')
    done = CliRunner().invoke(app, [word.format(**places) for word in words])
    assert isinstance(done.exception, AvdetError)
    assert sentence.format(**places) in str(done.exception)
    assert '\n' not in str(done.exception)
    assert not list(places['new'].glob('drive*'))


def hashes(folder):
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file() and path.name != 'DATASET_CARD.md'
    }


@pytest.mark.slow
def test_killed_run_resumes_and_writes_identical_files(tmp_path):
    options = ['--drives', '1', '--minutes', '0.05', '--fps', '1', '--seed', '4', '--jobs', '1']

    def words(name):
        return ['sim', 'drives', str(tmp_path / name), *options]

    assert CliRunner().invoke(app, words('whole')).exit_code == 0
    killed = subprocess.Popen(
        [*AVDET, *words('killed')], cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    until = time.monotonic() + 120
    while not list((tmp_path / 'killed').glob('*.part/fl_rgb/*')):
        assert killed.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    for drive in (tmp_path / 'killed').glob('drive*'):
        assert drive.suffix == '.part' or (drive / 'DONE').exists()
    assert CliRunner().invoke(app, words('killed')).exit_code == 0
    assert hashes(tmp_path / 'killed') == hashes(tmp_path / 'whole')
