"""The sample rate of clips is estimated from their overlap."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.dataset.check import check
from avdet_ros.dataset.clip_rate import clip_rate, shared_shift

START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def drive(tmp_path):
    """Make a drive of eight frames whose files state 44.1 kHz."""

    def make(rate_hz, kind='noise', step_s=0.1):
        t = np.arange(4 * rate_hz) / rate_hz
        sound = {
            'noise': np.random.default_rng(2).normal(size=len(t)) * 0.1,
            'engine': sum(np.sin(2 * np.pi * 40 * k * t + k) / 20 for k in range(1, 12))
            + np.random.default_rng(2).normal(size=len(t)) * 0.02,
            'silence': np.zeros(len(t)),
        }[kind]
        frames = []
        for index in range(8):
            frame = layout.make_id('drive_day_x', START_NS + round(index * step_s * 1e9))
            first = round(index * step_s * rate_hz)
            paths = layout.sound_paths(tmp_path, frame, '.flac')
            paths[0].parent.mkdir(parents=True, exist_ok=True)
            for path in paths:
                soundfile.write(path, sound[first : first + 44100], 44100, subtype='PCM_16')
            frames.append(frame)
        layout.write_ids(layout.split_path(tmp_path, 'train'), frames)
        return tmp_path, frames

    return make


@pytest.mark.parametrize('rate_hz', [44100, 48000, 32000])
@pytest.mark.parametrize('kind', ['noise', 'engine'])
def test_clip_rate_is_estimated_from_overlapping_sound(drive, rate_hz, kind):
    assert clip_rate(*drive(rate_hz, kind)) == pytest.approx(rate_hz, rel=1e-3)


def test_clip_rate_works_for_clips_half_a_second_apart(drive):
    assert clip_rate(*drive(44100, step_s=0.5)) == pytest.approx(44100, rel=1e-3)


def test_clips_without_overlap_or_sound_give_no_rate(drive):
    assert clip_rate(*drive(44100, step_s=0.6)) is None
    assert clip_rate(*drive(44100, 'silence')) is None
    noise = np.random.default_rng(1).normal(size=(2, 4000)).astype(np.float32)
    assert shared_shift(*noise) is None


@pytest.mark.parametrize(('rate_hz', 'wrong'), [(44100, False), (48000, True)])
def test_check_dataset_reports_clips_at_another_sample_rate(drive, rate_hz, wrong):
    root, _ = drive(rate_hz)
    found = [f for f in check(root).findings if 'samples a second' in f.what]
    assert bool(found) == wrong
    if wrong:
        assert found[0].level == 'error'
        assert 'expected 44100 samples a second, found about 48000' in found[0].what
