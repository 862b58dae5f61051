"""Device selection, channel maps of servers, and the chunks of a simulated drive."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from avdet_ros.errors import AvdetError
from avdet_ros.simulation import sound as simulated_sound
from avdet_ros.sources import channel_map, device_list
from avdet_ros.sources.channel_map import ServerSource, arrange, positions_of
from avdet_ros.sources.device import DeviceSource
from avdet_ros.sources.device_list import Device, find_device, list_devices, supports
from avdet_ros.sources.render_process import _chunks

DEVICES = [
    Device(0, 'HDA Intel PCH', 'ALSA', 2, 44100.0),
    Device(2, 'UMC1820: USB Audio', 'ALSA', 10, 48000.0),
    Device(3, 'UMC1820: USB Audio', 'JACK', 8, 44100.0),
    Device(5, 'USB Microphone', 'ALSA', 1, 16000.0),
    Device(7, '4', 'ALSA', 8, 44100.0),
]


@pytest.fixture
def default(monkeypatch):
    """Replace the devices of this machine and choose the default one."""
    monkeypatch.setattr(device_list, 'list_devices', lambda: DEVICES)

    def default(index):
        library = SimpleNamespace(default=SimpleNamespace(device=(index, 9)))
        monkeypatch.setattr(device_list, 'port_audio', lambda: library)

    default(2)
    return default


@pytest.mark.parametrize(
    ('wanted', 'channels', 'index'),
    [
        (None, 8, 2),
        ('', 8, 2),
        (3, 8, 3),
        (' 5 ', 8, 5),
        ('umc', 8, 2),
        ('UMC1820: USB Audio', 8, 2),
        ('UMC1820: USB Audio', 10, 2),
        ('usb', 9, 2),
        ('usb mic', 8, 5),
        ('4', 8, 7),  # a device of that name
    ],
)
def test_device_is_found_by_number_name_or_part_of_the_name(default, wanted, channels, index):
    assert find_device(wanted, channels).index == index


def test_first_device_is_used_without_a_default(default, monkeypatch):
    default(-1)
    assert find_device(None).index == 0
    monkeypatch.setattr(device_list, 'list_devices', list)
    with pytest.raises(AvdetError, match='no sound device the default input; the input devices'):
        find_device(None)


@pytest.mark.parametrize(
    ('wanted', 'words'),
    [
        ('9', r"no sound device number 9; the input devices here: 0 'HDA Intel PCH' \(2 channels"),
        ('none', r"no sound device 'none'; the input devices here: 0 'HDA"),
        ('usb', r"device 'usb' fits several; expected one of: 2 'UMC1820: USB Audio' \(10 cha"),
    ],
)
def test_error_lists_the_available_devices(default, wanted, words):
    with pytest.raises(AvdetError, match=words):
        find_device(wanted, 1)


class Refused(Exception):
    """PortAudio's error."""


def test_devices_without_inputs_are_left_out(monkeypatch):
    entries = [
        {'name': 'out', 'hostapi': 0, 'max_input_channels': 0, 'default_samplerate': 1.0},
        {'name': 'in', 'hostapi': 1, 'max_input_channels': 1, 'default_samplerate': 2.0},
    ]

    def check(index, channels, kind, extra, rate_hz):
        assert (index, kind, extra) == (1, 'int16', None)
        if channels > 1 or rate_hz > 44100:
            raise Refused

    library = SimpleNamespace(
        query_hostapis=lambda: [{'name': 'OSS'}, {'name': 'ALSA'}],
        query_devices=lambda: entries,
        PortAudioError=Refused,
        check_input_settings=check,
    )
    monkeypatch.setattr(device_list, 'port_audio', lambda: library)
    (found,) = list_devices()
    assert found == Device(1, 'in', 'ALSA', 1, 2.0)
    assert supports(found, 1, 44100)
    assert not supports(found, 2, 44100)
    assert not supports(found, 1, 48000)


def test_source_label_names_the_requested_device(rig):
    assert DeviceSource(rig).label == DeviceSource(rig, '').label == 'the default device'
    assert DeviceSource(rig, 3).label == 'device 3'
    assert DeviceSource(rig, 'UMC').label == 'device UMC'
    settings = {'device': '', 'device_latency_s': 0.02}
    made = DeviceSource.make(rig, True, **settings)
    assert (made.label, made._latency_s) == ('the default device', 0.02)
    assert made.latency_s == 0  # no stream is open


def test_lost_samples_are_counted_before_the_first_waiting_block(rig):
    source = DeviceSource(rig)
    source._reset()
    source._waiting += [(np.zeros((10, 8), np.int16), 1.0), (np.zeros((20, 8), np.int16), 2.0)]
    source._release(7)
    first, second = source._ready
    assert (first.first_sample, first.lost, first.time_s) == (7, 7, 1.0)
    assert (second.first_sample, second.lost, second.time_s) == (17, 0, 2.0)
    assert source.lost_samples == 7
    assert not source._waiting
    source._waiting.append((np.zeros((5, 8), np.int16), 3.0))
    source._release(0)
    assert (source._ready[-1].first_sample, source._ready[-1].lost) == (37, 0)


SOURCES = """Source #1
\tState: SUSPENDED
\tName: alsa_output.monitor
\tDescription: Monitor of Speakers
\tChannel Map: front-left,front-right
Source #2
\tName: mics
\tDescription: Eight Microphones
\tSample Specification: s16le 8ch 44100Hz
\tChannel Map: aux0,aux1, aux2,aux3,aux4,aux5,aux6,aux7
Source #3
\tName: other
\tChannel Map: mono
"""


@pytest.fixture
def requests(monkeypatch):
    """Replace the sound server by one that answers like PulseAudio; returns the requests."""
    requests = []

    def pactl(server, *words):
        requests.append((server, *words))
        return SOURCES if words == ('list', 'sources') else 'Server: x\nDefault Source: other \n'

    monkeypatch.setattr(channel_map, '_pactl', pactl)
    return requests


AUX = tuple(f'aux{i}' for i in range(8))


@pytest.mark.parametrize(
    ('name', 'positions'),
    [('mics', AUX), ('Eight Microphones', AUX), ('', ('mono',)), ('gone', ())],
)
def test_channel_map_is_found_by_source_name_or_description(requests, name, positions):
    assert positions_of(ServerSource('pulse', 'tcp:far', name)) == positions
    assert {server for server, *_ in requests} == {'tcp:far'}
    assert (('tcp:far', 'info') in requests) == (name == '')


def test_channel_map_of_portaudio_server_devices_is_checked(requests):
    found = arrange(range(8), 8, 'mics', 'PulseAudio')
    assert 'microphones may be exchanged' in found.doubt  # PortAudio's order is unknown
    assert arrange(range(8), 8, 'gone', 'PulseAudio').doubt == ''
    assert requests[0][0] == ''


def test_drive_is_split_into_quarter_second_chunks(tmp_path, monkeypatch):
    rate_hz = 8000
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (rate_hz, 8)).astype(np.float32)
    path = tmp_path / 'drive.wav'
    soundfile.write(path, samples, rate_hz, subtype='FLOAT')
    pieces = list(_chunks(path, 4500, rate_hz))
    assert [len(piece) for piece in pieces] == [2000, 2000, 500]
    assert np.array_equal(np.concatenate(pieces), samples[:4500])
    requests = []

    def render(scene, start_s, seconds):
        requests.append((scene, start_s, seconds))
        return np.zeros((8, round(seconds * rate_hz)))

    monkeypatch.setattr(simulated_sound, 'render_sound', render)
    pieces = list(_chunks('scene', 4500, rate_hz))
    assert [piece.shape for piece in pieces] == [(2000, 8), (2000, 8), (500, 8)]
    assert requests == [('scene', 0, 0.25), ('scene', 0.25, 0.25), ('scene', 0.5, 0.0625)]
