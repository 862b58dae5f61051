"""Taps on one microphone after the other, in noise, with the mount carrying them on."""

import io

import numpy as np
import pytest
from rich.console import Console
import soundfile

from avdet_ros.audio import tapping
from avdet_ros.audio.file import FileSource
from avdet_ros.audio.tapping import TapFinder, find_taps
from avdet_ros.errors import AvdetError

RATE = 44100


def taps(order, every_s=2.0, first_s=1.6, noise=0.002):
    """(n, 8) float32 with one tap a channel of `order`; the others hear it 12 dB weaker."""
    rng = np.random.default_rng(8)
    count = int((first_s + every_s * len(order)) * RATE)
    sound = noise * rng.standard_normal((count, 8))
    click = np.exp(-np.arange(2000) / 150) * rng.standard_normal(2000)
    for number, channel in enumerate(order):
        start = int((first_s + every_s * number) * RATE)
        gains = np.full(8, 0.05)
        gains[channel] = 0.2
        sound[start : start + 2000] += click[:, None] * gains
    return sound.astype(np.float32)


@pytest.mark.parametrize('channel', range(8))
@pytest.mark.parametrize('size', [441, 5000])
def test_the_tapped_channel_is_found(channel, size):
    sound = taps([channel])
    finder = TapFinder(RATE)
    answers = [finder.push(sound[start : start + size]) for start in range(0, len(sound), size)]
    assert [answer for answer in answers if answer is not None] == [channel]


def test_noise_and_a_clap_for_all_are_no_tap():
    sound = taps([0], noise=0.01)
    clap = np.repeat(sound[:, :1], 8, axis=1)
    assert TapFinder(RATE).push(clap) is None
    assert (
        TapFinder(RATE).push(np.random.default_rng(1).standard_normal((99_999, 8)) * 0.1) is None
    )


@pytest.mark.slow
def test_microphones_are_asked_for_in_turn(tmp_path):
    order = [4, 1, 7]
    soundfile.write(tmp_path / 'taps.wav', taps(order), RATE)
    source = FileSource(tmp_path / 'taps.wav', RATE)
    source.start()
    paper = io.StringIO()
    assert find_taps(source, ('front', 'left', 'rear'), Console(file=paper)) == order
    assert 'tap the microphone left ... channel 1' in paper.getvalue()


def test_a_tap_that_never_comes_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tapping, 'PATIENCE_S', 0.3)
    soundfile.write(tmp_path / 'quiet.wav', taps([])[: RATE // 2], RATE)
    source = FileSource(tmp_path / 'quiet.wav', RATE)
    source.start()
    with pytest.raises(AvdetError, match='one channel to answer for front within'):
        find_taps(source, ('front',), Console(file=io.StringIO()))
