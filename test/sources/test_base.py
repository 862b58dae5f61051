"""State of a source before it is started, its notices and its settings."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.sources.file import FileSource
from avdet_ros.sources.make import make_source


def test_source_that_was_not_started_reports_nothing(tmp_path):
    soundfile.write(tmp_path / 'a.wav', np.zeros((4800, 8), np.int16), 44100)
    for source in (
        make_source('file', load_rig(), file=str(tmp_path / 'a.wav')),
        make_source('device', load_rig()),
    ):
        assert (source.exhausted, source.notice, source.damage) == (False, '', '')
        assert (source.doubt, source.trouble, source.scene) == ('', '', None)
        assert (source.lost_samples, source.overflows, source.bad_samples) == (0, 0, 0)
        assert (source.behind_s, source.sample_rate_hz, source.channels) == (0.0, 44100, 8)
        source.stop()


def test_notices_of_a_file_are_joined_into_one_sentence(tmp_path):
    path = tmp_path / 'a.wav'
    soundfile.write(path, np.zeros((48000, 8), np.int16), 48000)
    path.write_bytes(path.read_bytes()[:-400_000])
    assert FileSource(path, 44100).notice == (
        f'{path} is resampled from 48000 Hz to the 44100 Hz of the rig; {path}: its header says '
        '1.0 s, the file holds 0.5 s: the rest is missing'
    )


def test_unknown_setting_is_rejected_with_the_nearest_name():
    with pytest.raises(AvdetError) as caught:
        make_source('file', load_rig(), flie='a.wav')
    assert str(caught.value) == (
        "source file: expected settings among file, loop, found 'flie'; did you mean file?"
    )
