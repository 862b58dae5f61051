"""Recordings: formats, other rates, lengths, loops."""

import io
import struct
import subprocess
import sys
import time

from helpers.sound_files import RATE, noise, read_all, write
import numpy as np
import pytest
import soundfile

from avdet_ros.audio.samples import to_int16
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.sources.file import FileSource, open_sound, read_whole
from avdet_ros.sources.make import make_source
from avdet_ros.sources.wav_length import RestOfFile


@pytest.mark.parametrize(
    ('name', 'how', 'dtype'),
    [
        ('a.wav', {'subtype': 'PCM_16'}, np.int16),
        ('a.flac', {'subtype': 'PCM_16'}, np.int16),
        ('a.flac', {'subtype': 'PCM_24'}, np.float32),
        ('a.wav', {'subtype': 'FLOAT'}, np.float32),
        ('a.ogg', {'format': 'OGG', 'subtype': 'VORBIS'}, np.float32),
    ],
)
def test_sound_formats_are_read_with_their_sample_type(tmp_path, name, how, dtype):
    sound = noise(0.7)
    path = write(tmp_path / name, sound, **how)
    found = read_all(FileSource(path, RATE, paced=False))
    assert found.dtype == dtype
    assert found.shape == sound.shape
    if name != 'a.ogg':
        scale = 32768 if dtype == np.int16 else 1
        assert np.abs(found / scale - sound).max() < 1e-4


@pytest.mark.parametrize(('name', 'subtype'), [('a.flac', 'PCM_S8'), ('a.wav', 'PCM_U8')])
def test_eight_bit_sound_is_read_as_int16(tmp_path, name, subtype):
    sound = noise(0.1)
    found = read_all(FileSource(write(tmp_path / name, sound, subtype=subtype), RATE, paced=False))
    assert found.dtype == np.int16
    assert np.abs(found / 32768 - sound).max() < 1.01 / 128
    assert not (found % 256).any()


def test_file_of_unknown_length_is_rejected_once_too_long(tmp_path):
    path = write(tmp_path / 'a.flac', noise(1.3))
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # 36 bits of STREAMINFO: the number of samples
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert len(read_whole(path, RATE, 2.0)) > 1.2 * RATE
    with pytest.raises(AvdetError, match=r'at most 1 s, found more than 1 s$'):
        read_whole(path, RATE, 1.0)


def test_other_sample_rate_is_resampled_and_reported(tmp_path):
    t = np.arange(2 * 48000) / 48000
    sound = np.stack([0.3 * np.sin(2 * np.pi * (500 + 100 * c) * t) for c in range(8)], axis=1)
    source = FileSource(
        write(tmp_path / 'a.wav', sound, 48000, subtype='FLOAT'), RATE, paced=False
    )
    assert 'is resampled from 48000 Hz to the 44100 Hz' in source.notice
    found = read_all(source)
    assert len(found) == pytest.approx(2 * RATE, abs=2)
    t = np.arange(len(found)) / RATE
    inner = slice(2000, -2000)
    for channel in range(8):
        expected = 0.3 * np.sin(2 * np.pi * (500 + 100 * channel) * t)
        assert np.abs(found[inner, channel] - expected[inner]).max() < 1e-3


def test_blocks_have_the_requested_length(tmp_path):
    sound = to_int16(noise(0.25))
    path = write(tmp_path / 'a.wav', sound, subtype='PCM_16')
    source = FileSource(path, RATE, loop=True, paced=False)
    source.start()
    # The file has 11025 samples: the fourth block ends with it.
    blocks = [source.read(0.0, wanted) for wanted in (5000, 1, 6000, 300, 276)]
    assert [len(block.samples) for block in blocks] == [5000, 1, 6000, 24, 276]
    assert [block.first_sample for block in blocks] == [0, 5000, 5001, 11001, 11025]
    assert np.array_equal(np.concatenate([b.samples for b in blocks]), np.r_[sound, sound[:276]])
    source.stop()


def test_resampled_blocks_do_not_exceed_the_requested_length(tmp_path):
    path = write(tmp_path / 'a.wav', noise(3.0, rate=4000), 4000)
    source = FileSource(path, RATE, paced=False)
    source.start()
    lengths = [len(source.read(0.0, 2205).samples) for _ in range(40)]
    assert max(lengths) == 2205
    assert np.mean(lengths) > 1500
    assert len(source.read(0.0, 1).samples) == 1  # less than a sample of the file
    source.stop()


def test_equal_sample_rate_gives_no_notice(tmp_path):
    assert FileSource(write(tmp_path / 'a.wav', noise(0.1)), RATE).notice == ''


@pytest.mark.parametrize('rate', [RATE, 48000])
def test_loop_continues_with_rising_sample_numbers(tmp_path, rate):
    source = FileSource(
        write(tmp_path / 'a.wav', noise(0.25, rate=rate), rate), RATE, loop=True, paced=False
    )
    source.start()
    count = 0
    for _ in range(500):
        block = source.read(0.0)
        assert block.first_sample == count
        count += len(block.samples)
    assert count > 2 * RATE
    assert not source.exhausted
    source.start()
    assert source.read(0.0).first_sample == 0
    source.stop()


def test_paced_blocks_arrive_in_real_time(tmp_path):
    source = FileSource(write(tmp_path / 'a.wav', noise(0.6)), RATE)
    source.start()
    assert source.read(0.0) is None  # its last sample is not due yet
    began = time.monotonic()
    while not source.exhausted:
        block = source.read(0.05)
        if block is not None:
            last_s = block.time_s + len(block.samples) / RATE
            assert time.monotonic() >= last_s - 1e-3
    assert time.monotonic() - began > 0.55
    source.stop()


def test_file_can_be_played_again(tmp_path):
    source = FileSource(write(tmp_path / 'a.wav', noise(0.2)), RATE, paced=False)
    assert np.array_equal(read_all(source), read_all(source))
    assert source.read(0.0) is None


def test_non_finite_samples_are_counted_and_zeroed(tmp_path):
    sound = noise(0.3).astype(np.float32)
    sound[100, 2] = np.nan
    sound[5000:5010, 5] = np.inf
    source = FileSource(write(tmp_path / 'a.wav', sound, subtype='FLOAT'), RATE, paced=False)
    found = read_all(source)
    assert np.isfinite(found).all()
    assert found[100, 2] == 0
    assert source.bad_samples == 11


@pytest.mark.parametrize('channels', [1, 7, 9])
def test_other_channel_counts_are_rejected(tmp_path, channels):
    path = write(tmp_path / 'a.wav', noise(0.1, channels))
    with pytest.raises(AvdetError, match=f'a.wav: expected 8 channels.*found {channels}$'):
        FileSource(path, RATE)


@pytest.mark.parametrize('kind', ['RF64', 'WAVEX', 'W64', 'AIFF'])
def test_other_container_formats_are_read(tmp_path, kind):
    path = tmp_path / 'a.wav'
    sound = to_int16(noise(0.5))
    soundfile.write(path, sound, RATE, subtype='PCM_16', format=kind)
    source = FileSource(path, RATE, paced=False)
    assert np.array_equal(read_all(source), sound)
    assert (source.notice, source.damage) == ('', '')


def test_wav_length_that_wrapped_beyond_4_gib_is_corrected(tmp_path):
    path = write(tmp_path / 'a.wav', noise(0.1))
    size = (1 << 32) + 16 * 44100
    data = bytearray(path.read_bytes())
    at = data.index(b'data') + 4
    data[at : at + 4] = struct.pack('<I', size % (1 << 32))
    path.write_bytes(data)
    with path.open('r+b') as file:
        file.truncate(at + 4 + size)  # a sparse file that takes no space
    with open_sound(path) as file:
        assert file.frames == size // 16
        file.seek(file.frames - 5)
        assert len(file.read(10)) == 5
    with pytest.raises(AvdetError, match='at most 1800 s, found 6088 s'):
        read_whole(path, RATE, 1800.0)


def test_rest_of_file_reads_like_a_file(tmp_path):
    (tmp_path / 'a').write_bytes(b'0123456789')
    rest = RestOfFile(tmp_path / 'a', 3, 5)
    assert [rest.read(count) for count in (0, 2, 0, -1, 1)] == [b'', b'34', b'', b'567', b'']
    assert (rest.seek(-2, io.SEEK_END), rest.read(9), rest.tell()) == (3, b'67', 5)
    rest.close()


def test_missing_files_folders_and_empty_sounds_are_rejected(tmp_path):
    with pytest.raises(AvdetError, match=r'none\.wav: expected a sound file, found none'):
        FileSource(tmp_path / 'none.wav', RATE)
    with pytest.raises(AvdetError, match='expected a sound file'):
        FileSource(tmp_path, RATE)
    with pytest.raises(AvdetError, match='without samples'):
        FileSource(write(tmp_path / 'a.wav', noise(0)), RATE)


def test_make_source_reports_missing_paths_and_unknown_kinds():
    rig = load_rig()
    with pytest.raises(AvdetError, match='expected the path of a sound file'):
        make_source('file', rig)
    with pytest.raises(
        AvdetError, match="expected one of device, file, simulation, found 'radio'"
    ):
        make_source('radio', rig)


def test_stopped_file_source_does_not_leak_its_resampler(tmp_path):
    """Frozen objects that a node still holds at Ctrl-C would be reported as leaks."""
    path = tmp_path / 'sound.wav'
    soundfile.write(path, np.zeros((9600, 8), 'f4'), 48000)
    code = f"""
import gc
from avdet_ros.sources.file import FileSource
class Node: pass
node = Node()
node.itself, node.source = node, FileSource({str(path)!r}, 44100, paced=False)
node.source.start()
node.source.read(1.0)
gc.freeze()
node.source.stop()
"""
    command = [sys.executable, '-c', code]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr == ''
