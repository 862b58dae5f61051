"""Taps on one microphone after another, in noise and carried to the others by the mount."""

from dataclasses import replace
import io
import os

import numpy as np
import pytest
from rich.console import Console
import soundfile

from avdet_ros.bench import virtual_device
from avdet_ros.bench.virtual_device import VirtualDevice, missing_programs
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.sources.file import FileSource
from avdet_ros.sources.tools import identify_channels
from avdet_ros.sources.tools.identify_channels import TapFinder, find_taps, run_tapping

RATE = 44100


def taps(order, every_s=2.0, first_s=1.6, noise=0.002, channels=8):
    """Return (n, channels) float32: one tap per channel in `order`, 12 dB weaker on the others."""
    rng = np.random.default_rng(8)
    count = int((first_s + every_s * len(order)) * RATE)
    sound = noise * rng.standard_normal((count, channels))
    click = np.exp(-np.arange(2000) / 150) * rng.standard_normal(2000)
    for number, channel in enumerate(order):
        start = int((first_s + every_s * number) * RATE)
        gains = np.full(channels, 0.05)
        gains[channel] = 0.2
        sound[start : start + 2000] += click[:, None] * gains
    return sound.astype(np.float32)


@pytest.mark.parametrize('channel', range(8))
@pytest.mark.parametrize('size', [441, 5000])
def test_tapped_channel_is_found(channel, size):
    sound = taps([channel])
    finder = TapFinder(RATE)
    answers = [finder.push(sound[start : start + size]) for start in range(0, len(sound), size)]
    assert [answer for answer in answers if answer is not None] == [channel]


def test_noise_and_a_clap_on_all_channels_are_no_tap():
    sound = taps([0], noise=0.01)
    clap = np.repeat(sound[:, :1], 8, axis=1)
    assert TapFinder(RATE).push(clap) is None
    assert (
        TapFinder(RATE).push(np.random.default_rng(1).standard_normal((99_999, 8)) * 0.1) is None
    )


@pytest.mark.slow
def test_microphones_are_requested_in_turn(tmp_path):
    order = [4, 1, 7]
    soundfile.write(tmp_path / 'taps.wav', taps(order), RATE)
    source = FileSource(tmp_path / 'taps.wav', RATE)
    source.start()
    paper = io.StringIO()
    assert find_taps(source, ('front', 'left', 'rear'), Console(file=paper)) == order
    assert 'tap the microphone left ... channel 1' in paper.getvalue()


@pytest.mark.slow
@pytest.mark.skipif(bool(missing_programs()), reason='no PulseAudio')
@pytest.mark.parametrize(
    ('order', 'words'),
    [
        ([8, 1, 2, 3, 4, 5, 6, 11], None),
        ([8, 1, 2, 3, 4, 5, 6, 6], 'another channel to answer for each microphone, found 8, 1,'),
    ],
)
def test_channels_above_the_eighth_can_be_tapped(tmp_path, monkeypatch, capsys, order, words):
    positions = (*virtual_device.ALSA_ORDER, *(f'aux{number}' for number in range(4)))
    monkeypatch.setattr(virtual_device, 'ALSA_ORDER', positions)
    soundfile.write(tmp_path / 'taps.wav', taps(order, 2.5, 4.0, channels=12), RATE)
    rig = replace(load_rig(), channels=np.array([8, 1, 2, 3, 4, 5, 6, 11]))
    with VirtualDevice(channels=12) as device:
        for name, value in device.environment.items():
            monkeypatch.setitem(os.environ, name, value)
        device.play(tmp_path / 'taps.wav')
        if words:
            with pytest.raises(AvdetError, match=words):
                run_tapping(rig, virtual_device.DEVICE)
        else:
            run_tapping(rig, virtual_device.DEVICE)
            assert "every microphone is on the rig's channel" in capsys.readouterr().out


def test_missing_tap_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(identify_channels, 'PATIENCE_S', 0.3)
    soundfile.write(tmp_path / 'quiet.wav', taps([])[: RATE // 2], RATE)
    source = FileSource(tmp_path / 'quiet.wav', RATE)
    source.start()
    with pytest.raises(AvdetError, match='one channel to answer for front within'):
        find_taps(source, ('front',), Console(file=io.StringIO()))
