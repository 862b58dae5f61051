"""Level display, recording and channel identification with a scripted device."""

from __future__ import annotations

from dataclasses import replace
import io
import itertools
import logging
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console
import soundfile

from avdet_ros.audio.levels import ChannelState, check_channels
from avdet_ros.errors import AvdetError
from avdet_ros.sources.base import Block, Source, SourceLost
from avdet_ros.sources.tools import identify_channels, meter, record
from avdet_ros.sources.tools.meter import _bar, meter_view

RATE_HZ = 44100


@pytest.mark.parametrize(
    ('level_db', 'peak_db', 'length', 'mark', 'style'),
    [
        (-90, -90, 0, 0, 'green'),
        (-120, -45, 0, 20, 'green'),
        (-45, -22.5, 20, 30, 'green'),
        (-67.5, -6.1, 10, 37, 'green'),
        (-45, -5.9, 20, 37, 'yellow'),
        (-22.5, -0.2, 30, 39, 'yellow'),
        (0, 0, 39, 39, 'red'),
        (3, 3, 39, 39, 'red'),
    ],
)
def test_bar_shows_the_level_and_marks_the_peak(level_db, peak_db, length, mark, style):
    bar = _bar(level_db, peak_db)
    assert (len(bar.plain), bar.style) == (40, style)
    assert bar.plain.index('┃') == mark
    assert bar.plain.count('━') == length - (mark < length)
    assert bar.plain[:length].strip('━┃') == ''


def shown(view):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(view)
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.fixture
def states():
    return [ChannelState(-40.0, 0.1, 0.0, 0.0, 0.0) for _ in range(8)]


def test_meter_view_shows_one_line_per_microphone(rig, states):
    rig = replace(rig, channels=np.array([7, 6, 5, 4, 3, 2, 1, 0]))
    states[2].faults = ['dead', 'hum']
    old = np.full((RATE_HZ, 8), 32767, np.int16)  # longer ago than a tenth of a second
    square = np.full((5000, 8), 3277, np.int16)
    square[::2] = -3277
    square[:, 1] //= 10
    lines = shown(meter_view(rig, [old, square], states, (3, 5), 'some card', 'a doubt'))
    assert lines[0].strip() == 'some card'
    assert lines[1].split() == ['channel', 'microphone', 'level', '/', 'dB', 'peak', '/', 'dB']
    assert [line.split()[:3] for line in lines[2:5]] == [
        ['7', 'front', '-20'],
        ['6', 'front_left', '-40'],
        ['5', 'left', '-20'],
    ]
    assert lines[2].split()[-2:] == ['-20', 'ok']
    assert lines[3].split()[-2:] == ['-40', 'ok']
    assert lines[4].endswith('-20  dead, hum')
    assert lines[5].endswith('looks swapped with rear_right')
    assert lines[7].endswith('looks swapped with rear_left')
    assert lines[10:] == ['a doubt', 'Ctrl-C ends']
    assert len(shown(meter_view(rig, [square], states, None, 'x'))) == 11


class ScriptedDevice(Source):
    """A device that returns these blocks, and then fails, reports trouble or gives nothing."""

    def __init__(self, *blocks, end=None, trouble='', channels=8):
        super().__init__('scripted', RATE_HZ, channels)
        self.blocks, self.end, self.stopped = list(blocks), end, 0
        self.after_trouble = trouble

    @classmethod
    def make(cls, rig, paced, **settings):
        return cls()

    def start(self):
        self.started = True

    def read(self, timeout_s):
        if self.blocks:
            return self.blocks.pop(0)
        self.trouble = self.after_trouble
        if self.end is not None:
            raise self.end
        return None

    def stop(self):
        self.stopped += 1


def sound(first, count, lost=0, value=100):
    samples = np.full((count, 8), value, np.int16) + np.arange(8, dtype=np.int16)
    return Block(samples, first, 0.0, lost)


@pytest.fixture
def device(monkeypatch):
    """Replace every device by a scripted one; returns the arguments it was made with."""
    made = []

    def device(source):
        def make(rig, name):
            made.append((rig, name))
            return source

        for module in (record, meter, identify_channels):
            monkeypatch.setattr(module, 'DeviceSource', make)
        return made

    return device


def recorded(path):
    return soundfile.read(path, dtype='int16')


def test_recording_replaces_lost_samples_with_silence(rig, tmp_path, device, caplog):
    caplog.set_level(logging.INFO)
    source = ScriptedDevice(None, sound(0, 3000), sound(4000, 2000, lost=1000), sound(6000, 9000))
    source.notice = 'a notice'
    made = device(source)
    path = tmp_path / 'own.flac'
    record.record_device(rig, 'card', 10_000 / RATE_HZ, path)
    assert made == [(rig, 'card')]
    samples, rate_hz = recorded(path)
    assert (samples.shape, rate_hz) == ((10_000, 8), RATE_HZ)
    assert (samples[:3000] == np.arange(100, 108)).all()
    assert not samples[3000:4000].any()
    assert (samples[4000:] == np.arange(100, 108)).all()
    assert source.stopped == 1
    assert [path.name for path in tmp_path.iterdir()] == ['own.flac']
    assert [each.message for each in caplog.records] == [
        'a notice',
        f'{path}: 0.2 s of scripted, 1000 samples were lost and are silent',
    ]


def test_loss_at_the_end_is_cut_to_the_recording_length(rig, tmp_path, device):
    device(ScriptedDevice(sound(0, 1000), sound(9000, 500, lost=8000)))
    record.record_device(rig, None, 2000 / RATE_HZ, tmp_path / 'own.wav')
    samples, _ = recorded(tmp_path / 'own.wav')
    assert len(samples) == 2000
    assert not samples[1000:].any()


@pytest.mark.parametrize(('quiet', 'words'), [([2, 5], 'left, rear_right'), (range(8), 'all')])
def test_silent_channels_are_reported(rig, tmp_path, device, caplog, quiet, words):
    block = sound(0, 1000)
    block.samples[:, list(quiet)] = 0
    device(ScriptedDevice(block))
    record.record_device(rig, None, 1000 / RATE_HZ, tmp_path / 'own.wav')
    (line,) = [each.message for each in caplog.records if each.levelname == 'WARNING']
    assert f'own.wav: silent: {words}' in line


def test_sound_before_the_device_disappears_is_kept(rig, tmp_path, device):
    path = tmp_path / 'own.wav'
    device(ScriptedDevice(sound(0, 4410), end=SourceLost('card: gone')))
    with pytest.raises(AvdetError, match=r'card: gone; .*own\.wav holds the 0\.1 s before'):
        record.record_device(rig, None, 9.0, path)
    assert len(recorded(path)[0]) == 4410
    path.unlink()
    device(ScriptedDevice(sound(0, 4410), trouble='48000 Hz'))
    with pytest.raises(AvdetError, match=r'48000 Hz; .*own\.wav holds the 0\.1 s before'):
        record.record_device(rig, None, 9.0, path)
    path.unlink()
    device(ScriptedDevice(end=SourceLost('card: gone')))
    with pytest.raises(AvdetError, match=r'^card: gone$'):
        record.record_device(rig, None, 9.0, path)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_a_recording_early(rig, tmp_path, device, caplog):
    device(ScriptedDevice(sound(0, 4410), end=KeyboardInterrupt()))
    record.record_device(rig, None, 9.0, tmp_path / 'own.wav')
    assert len(recorded(tmp_path / 'own.wav')[0]) == 4410
    assert 'ended early' in caplog.text


@pytest.mark.parametrize('name', ['own.mp4', 'own', 'own.txt'])
def test_unknown_file_endings_are_rejected(rig, tmp_path, name):
    with pytest.raises(AvdetError, match=r'expected a name ending in \.flac or \.wav, found'):
        record.record_device(rig, None, 1.0, tmp_path / name)


def test_recordings_too_long_for_their_format_are_rejected(rig, tmp_path, device):
    longest = record.LARGEST_BYTES / 16 / RATE_HZ
    with pytest.raises(AvdetError, match=rf'at most {longest:.0f} s in a file of this kind'):
        record.record_device(rig, None, longest + 1, tmp_path / 'own.au')
    for ending, kind in (('wav', 'RF64'), ('flac', 'FLAC')):
        device(ScriptedDevice(sound(0, 4410), end=KeyboardInterrupt()))
        record.record_device(rig, None, longest + 1, tmp_path / f'own.{ending}')
        assert soundfile.info(tmp_path / f'own.{ending}').format == kind
    device(ScriptedDevice(sound(0, 4410), end=KeyboardInterrupt()))
    record.record_device(rig, None, longest, tmp_path / 'own.wav')
    assert soundfile.info(tmp_path / 'own.wav').format == 'WAV'


def test_missing_output_folder_is_reported(rig, tmp_path, device):
    device(ScriptedDevice(sound(0, 10)))
    with pytest.raises(AvdetError, match=r'cannot write .*own\.wav'):
        record.record_device(rig, None, 1.0, tmp_path / 'none' / 'own.wav')


def taps(channels, rate_hz=RATE_HZ):
    """Yield blocks of quiet noise with a click on each channel in turn, a second apart."""
    rng = np.random.default_rng(0)
    for channel in channels:
        piece = rng.normal(0, 20, (round(1.2 * rate_hz), 8))
        piece[round(1.1 * rate_hz), channel] += 20_000
        for first in range(0, len(piece), 4410):
            yield Block(piece[first : first + 4410].astype(np.int16), 0, 0.0)


@pytest.mark.parametrize(
    ('order', 'words'),
    [
        (range(8), None),
        ([0, 1, 3, 2, 4, 5, 6, 7], 'left is on channel 3, the rig says 2; rear_left is on channe'),
        ([0, 1, 2, 3, 4, 5, 6, 6], 'another channel to answer for each microphone, found 0, 1'),
    ],
)
def test_channel_map_is_compared_with_tapped_channels(
    rig, device, monkeypatch, capsys, order, words
):
    monkeypatch.setattr(identify_channels, '_AFTER_S', 0.0)
    monkeypatch.setattr(identify_channels, 'rescan', lambda: None)
    asked = []
    monkeypatch.setattr(identify_channels, 'find_device', lambda *what: asked.append(what))
    source = ScriptedDevice(*taps(order))
    made = device(source)
    if words is None:
        identify_channels.run_tapping(rig, 'card')
        assert "every microphone is on the rig's channel" in capsys.readouterr().out
    else:
        with pytest.raises(AvdetError, match=words):
            identify_channels.run_tapping(rig, 'card')
    ((opened, name),) = made
    assert (opened.channels.tolist(), name, asked) == (list(range(8)), 'card', [('card', 8)])
    assert source.stopped == 1


def test_channel_that_responds_twice_is_reported(monkeypatch):
    monkeypatch.setattr(identify_channels, '_AFTER_S', 0.0)
    paper = io.StringIO()
    names = ('front', 'left', 'rear')
    found = identify_channels.find_taps(
        ScriptedDevice(*taps([2, 5, 2])), names, Console(file=paper)
    )
    assert found == [2, 5, 2]
    assert paper.getvalue().splitlines() == [
        'tap the microphone front ... channel 2',
        'tap the microphone left ... channel 5',
        'tap the microphone rear ... channel 2 (responded before!)',
    ]


def test_meter_judges_the_last_seconds(rig, device, monkeypatch):
    """Block sizes do not matter: of ten short blocks and a long one, the last few remain."""
    monkeypatch.setattr(meter, 'JUDGED_S', 1.0)
    monkeypatch.setattr(meter, '_JUDGE_S', 99.0)
    clock = SimpleNamespace(monotonic=itertools.count(0, 0.15).__next__)
    monkeypatch.setattr(meter, 'time', clock)  # each update takes 0.15 s on any machine
    judged = []

    def look(rig, recent, *rest):
        judged.append(sum(map(len, recent)))
        return meter_view(rig, recent, *rest)

    monkeypatch.setattr(meter, 'meter_view', look)
    tenth, long = RATE_HZ // 10, RATE_HZ // 2
    device(ScriptedDevice(*[sound(0, tenth)] * 10, sound(0, long)))
    meter.run_meter(rig, 'card', 5.0)
    assert judged[-1] == RATE_HZ + tenth


def test_meter_shows_the_levels_and_ends_after_its_time(rig, device, capsys):
    noise = np.random.default_rng(0).normal(0, 300, (RATE_HZ, 8)).astype(np.int16)
    source = ScriptedDevice(*[Block(part, 0, 0.0) for part in np.array_split(noise, 10)])
    made = device(source)
    meter.run_meter(rig, 'card', 0.4)
    assert made == [(rig, 'card')]
    assert source.stopped == 1
    out = capsys.readouterr().out
    assert 'scripted' in out
    assert all(name in out for name in rig.names)
    device(ScriptedDevice(sound(0, 10), trouble='48000 Hz'))
    with pytest.raises(AvdetError, match='48000 Hz'):
        meter.run_meter(rig, 'card', 5.0)
    assert check_channels(noise, RATE_HZ)[0].faults == []
