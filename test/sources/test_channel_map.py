"""A sound server's channel map never swaps, mixes or silences microphones unnoticed."""

from __future__ import annotations

import os
import time

import numpy as np
import pytest
import soundfile

from avdet_ros.bench.virtual_device import DEVICE, VirtualDevice, missing_programs
from avdet_ros.sources.channel_map import (
    ALSA_ORDER,
    ServerSource,
    arrange,
    arrange_by,
    positions_of,
    requested_order,
    server_behind,
)
from avdet_ros.sources.make import make_source

RATE = 44100
AUX = tuple(f'aux{i}' for i in range(16))
WAVE_ORDER = (
    'front-left',
    'front-right',
    'front-center',
    'lfe',
    'rear-left',
    'rear-right',
    'side-left',
    'side-right',
)
EIGHT = tuple(range(8))


@pytest.mark.parametrize(
    ('positions', 'channels', 'columns', 'opened'),
    [
        (ALSA_ORDER, EIGHT, EIGHT, 8),
        (ALSA_ORDER[::-1], EIGHT, EIGHT[::-1], 8),
        (WAVE_ORDER, EIGHT, (0, 1, 4, 5, 2, 3, 6, 7), 8),
        (AUX[:8], EIGHT, tuple(range(8, 16)), 16),
        (AUX, tuple(range(4, 12)), tuple(range(12, 20)), 20),  # of a card with 16 channels
        (ALSA_ORDER + AUX[:8], tuple(range(16)), tuple(range(16)), 16),
        (('lfe', *ALSA_ORDER[:5], *ALSA_ORDER[6:]), EIGHT, (5, 0, 1, 2, 3, 4, 6, 7), 8),
        (AUX[:2] + ALSA_ORDER[:6], EIGHT, (8, 9, 0, 1, 2, 3, 4, 5), 10),
    ],
)
def test_channels_are_read_in_the_devices_order(positions, channels, columns, opened):
    found = arrange_by(positions, channels, max(channels) + 1)
    assert (found.columns, found.opened, found.doubt) == (columns, opened, '')
    assert bool(found.notice) == (columns != channels)
    if found.notice:
        assert 'channel map of the sound server: ' in found.notice
    for channel, column in zip(channels, columns, strict=True):
        assert requested_order(opened)[column] == positions[channel]


@pytest.mark.parametrize(
    ('positions', 'words'),
    [
        (('mono',), '1 channel, the rig reads 8'),
        (('front-left', 'front-right'), '2 channels, the rig reads 8'),
        (ALSA_ORDER[:6], '6 channels, the rig reads 8'),
        (('mono',) * 8, 'not in the order of ALSA'),
        (('top-center', *ALSA_ORDER[:7]), 'not in the order of ALSA'),
        (('front-left', *ALSA_ORDER[:7]), 'not in the order of ALSA'),
    ],
)
def test_unsupported_channel_maps_are_reported(positions, words):
    found = arrange_by(positions, EIGHT, 8)
    assert (found.columns, found.opened, found.notice) == (EIGHT, 8, '')
    assert f'channel map of the sound server: {",".join(positions)}' in found.doubt
    assert words in found.doubt


@pytest.mark.parametrize(
    ('count', 'asked'),
    [
        (1, 'mono'),
        (2, 'front-left front-right'),
        (3, 'front-left front-right aux0'),
        (4, 'front-left front-right rear-left rear-right'),
        (5, 'front-left front-right rear-left rear-right front-center'),
        (6, 'front-left front-right rear-left rear-right front-center lfe'),
        (7, 'front-left front-right rear-left rear-right front-center lfe aux0'),
        (8, ' '.join(ALSA_ORDER)),
        (10, ' '.join(ALSA_ORDER) + ' aux0 aux1'),
    ],
)
def test_requested_positions_match_the_pulseaudio_plugin(count, asked):
    """The expected positions are those of pa_channel_map_init_extend in PulseAudio."""
    assert requested_order(count) == tuple(asked.split())


def test_doubt_about_a_device_is_described_in_one_sentence():
    words = 'channel map of the sound server: mono,mono'
    assert arrange_by(('mono', 'mono'), (0, 1), 2).doubt == (
        f'{words}: not in the order of ALSA (front-left,front-right), so microphones may be '
        'exchanged, mixed or silent; give the source that channel map, or open the sound card '
        'itself'
    )
    assert arrange_by(('mono', 'mono'), (0, 2), 3).doubt == (
        f'{words}: 2 channels, the rig reads 3: the rest is made up'
    )
    assert arrange_by(('front-right', 'front-left'), (0, 1), 2).notice == (
        "channel map of the sound server: front-right,front-left: read in the device's own order"
    )


def test_channel_order_of_other_plugins_is_not_trusted():
    assert 'may be exchanged' in arrange_by(WAVE_ORDER, EIGHT, 8, 'pipewire').doubt
    assert arrange_by(ALSA_ORDER, EIGHT, 8, 'pipewire').doubt == ''


def test_server_behind_finds_servers_and_not_sound_cards(tmp_path, monkeypatch):
    path = tmp_path / 'asound.conf'
    path.write_text(
        '</usr/share/alsa/alsa.conf>\n'
        'pcm.card { type hw card 0 }\n'
        'pcm.served { type pulse server "unix:/tmp/none" device "mics" }\n'
        'pcm.wrapped { type plug slave.pcm "served" }\n'
        'pcm.inline { type plug slave.pcm { type pipewire capture_node "node" } }\n'
        'pcm.both { type asym capture.pcm "served" playback.pcm "card" }\n'
        'pcm.circle { type plug slave.pcm "circle" }\n'
    )
    monkeypatch.setitem(os.environ, 'ALSA_CONFIG_PATH', str(path))
    served = ServerSource('pulse', 'unix:/tmp/none', 'mics')
    assert server_behind('served') == server_behind('wrapped') == server_behind('both') == served
    assert server_behind('inline') == ServerSource('pipewire', '', 'node')
    assert server_behind('card') is server_behind('circle') is server_behind('nobody') is None
    assert positions_of(served) == ()  # no server answers there
    for name, host_api in (('served', 'ALSA'), ('served', 'JACK Audio Connection Kit')):
        assert arrange(EIGHT, 8, name, host_api).columns == EIGHT


class Mapped(VirtualDevice):
    """A virtual device whose channels have these positions."""

    positions = ALSA_ORDER

    def _channel_map(self):
        return ','.join(self.positions)


@pytest.mark.slow
@pytest.mark.parametrize('positions', [AUX[:8], WAVE_ORDER])
def test_each_microphone_is_read_on_its_own_channel(tmp_path, monkeypatch, rig, positions):
    if missing := missing_programs():
        pytest.skip(f'{" and ".join(missing)} not installed')
    t = np.arange(30 * RATE) / RATE
    tones = np.stack([0.2 * np.sin(2 * np.pi * (400 + 300 * c) * t) for c in range(8)], axis=1)
    soundfile.write(tmp_path / 'tones.wav', tones, RATE, subtype='PCM_16')
    monkeypatch.setattr(Mapped, 'positions', positions)
    with Mapped() as device:
        for name, value in device.environment.items():
            monkeypatch.setitem(os.environ, name, value)
        source = make_source('device', rig, device=DEVICE)
        source.start()
        device.play(tmp_path / 'tones.wav')
        heard, end = [], time.monotonic() + 20
        while sum(map(len, heard)) < RATE and time.monotonic() < end:
            block = source.read(0.5)
            if block is not None and np.abs(block.samples).max() > 1000:
                heard.append(block.samples)
        source.stop()
    sound = np.concatenate(heard)[-RATE // 2 :]
    lines = np.abs(np.fft.rfft(sound * np.hanning(len(sound))[:, None], axis=0)).argmax(axis=0)
    found = lines * RATE / len(sound)
    assert found == pytest.approx([400 + 300 * c for c in range(8)], abs=5)
    assert f'channel map of the sound server: {",".join(positions)}' in source.notice
    assert source.doubt == ''
