"""Recordings: whole, other rates, damaged, cut short; and any bytes at all."""

import io
import re
import struct
import subprocess
import sys
import time

from helpers.examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import soundfile

from avdet_ros.audio.samples import to_int16
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.sources.file import FileSource, open_sound, read_whole
from avdet_ros.sources.make import make_source
from avdet_ros.sources.wav_length import RestOfFile

RATE = 44100


def noise(seconds, channels=8, rate=RATE):
    rng = np.random.default_rng(6)
    return (0.2 * rng.standard_normal((round(seconds * rate), channels))).clip(-1, 1)


def write(path, sound, rate=RATE, **how):
    soundfile.write(path, sound, rate, **how)
    return path


def read_all(source, limit_s=60.0):
    """All samples of a source, its blocks' numbering checked."""
    source.start()
    pieces, expected = [], 0
    end = time.monotonic() + limit_s
    while not source.exhausted and time.monotonic() < end:
        block = source.read(0.1)
        if block is not None:
            assert block.first_sample == expected
            expected += len(block.samples)
            pieces.append(block.samples)
    source.stop()
    return np.concatenate(pieces)


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
def test_formats(tmp_path, name, how, dtype):
    sound = noise(0.7)
    path = write(tmp_path / name, sound, **how)
    found = read_all(FileSource(path, RATE, paced=False))
    assert found.dtype == dtype
    assert found.shape == sound.shape
    if name != 'a.ogg':
        scale = 32768 if dtype == np.int16 else 1
        assert np.abs(found / scale - sound).max() < 1e-4


@pytest.mark.parametrize(('name', 'subtype'), [('a.flac', 'PCM_S8'), ('a.wav', 'PCM_U8')])
def test_sound_of_eight_bits_is_whole_numbers_too(tmp_path, name, subtype):
    sound = noise(0.1)
    found = read_all(FileSource(write(tmp_path / name, sound, subtype=subtype), RATE, paced=False))
    assert found.dtype == np.int16
    assert np.abs(found / 32768 - sound).max() < 1.01 / 128
    assert not (found % 256).any()


def test_a_file_without_a_length_is_refused_once_it_is_too_long(tmp_path):
    path = write(tmp_path / 'a.flac', noise(1.3))
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # 36 bits of STREAMINFO: how many samples there are
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert len(read_whole(path, RATE, 2.0)) > 1.2 * RATE
    with pytest.raises(AvdetError, match=r'at most 1 s, found more than 1 s$'):
        read_whole(path, RATE, 1.0)


def test_another_rate_is_resampled_and_reported(tmp_path):
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


def test_a_block_has_as_many_samples_as_are_wanted(tmp_path):
    sound = to_int16(noise(0.25))
    path = write(tmp_path / 'a.wav', sound, subtype='PCM_16')
    source = FileSource(path, RATE, loop=True, paced=False)
    source.start()
    # 11025 samples are there: the fourth block ends with the file.
    blocks = [source.read(0.0, wanted) for wanted in (5000, 1, 6000, 300, 276)]
    assert [len(block.samples) for block in blocks] == [5000, 1, 6000, 24, 276]
    assert [block.first_sample for block in blocks] == [0, 5000, 5001, 11001, 11025]
    assert np.array_equal(np.concatenate([b.samples for b in blocks]), np.r_[sound, sound[:276]])
    source.stop()


def test_a_resampled_block_has_no_more(tmp_path):
    path = write(tmp_path / 'a.wav', noise(3.0, rate=4000), 4000)
    source = FileSource(path, RATE, paced=False)
    source.start()
    lengths = [len(source.read(0.0, 2205).samples) for _ in range(40)]
    assert max(lengths) == 2205
    assert np.mean(lengths) > 1500
    assert len(source.read(0.0, 1).samples) == 1  # less than a sample of the file
    source.stop()


def test_the_same_rate_is_not_mentioned(tmp_path):
    assert FileSource(write(tmp_path / 'a.wav', noise(0.1)), RATE).notice == ''


@pytest.mark.parametrize('rate', [RATE, 48000])
def test_a_loop_goes_on_and_counts_on(tmp_path, rate):
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


def test_paced_blocks_come_in_real_time(tmp_path):
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


def test_a_file_can_be_played_again(tmp_path):
    source = FileSource(write(tmp_path / 'a.wav', noise(0.2)), RATE, paced=False)
    assert np.array_equal(read_all(source), read_all(source))
    assert source.read(0.0) is None


def test_samples_that_are_no_numbers_are_counted_and_zeroed(tmp_path):
    sound = noise(0.3).astype(np.float32)
    sound[100, 2] = np.nan
    sound[5000:5010, 5] = np.inf
    source = FileSource(write(tmp_path / 'a.wav', sound, subtype='FLOAT'), RATE, paced=False)
    found = read_all(source)
    assert np.isfinite(found).all()
    assert found[100, 2] == 0
    assert source.bad_samples == 11


@pytest.mark.parametrize('channels', [1, 7, 9])
def test_other_numbers_of_channels_are_refused(tmp_path, channels):
    path = write(tmp_path / 'a.wav', noise(0.1, channels))
    with pytest.raises(AvdetError, match=f'a.wav: expected 8 channels.*found {channels}$'):
        FileSource(path, RATE)


@pytest.mark.parametrize('kept', [0.9, 0.3, 0.5003])
@pytest.mark.parametrize('rate', [RATE, 48000])
def test_a_wav_cut_short_is_read_as_far_as_it_goes(tmp_path, kept, rate):
    sound = to_int16(noise(2.0))
    path = tmp_path / 'a.wav'
    soundfile.write(path, sound, rate, subtype='PCM_16')
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    source = FileSource(path, RATE, paced=False)
    found = read_all(source)
    assert len(found) == pytest.approx(kept * len(sound) * RATE / rate, rel=0.01)
    if rate == RATE:
        assert np.array_equal(found, sound[: len(found)])
    words = rf'a\.wav: its header says {len(sound) / rate:.1f} s, the file holds .* is missing'
    assert re.search(words, source.notice)
    assert re.search(words, source.damage)


def damaged(path, how):
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    if how == 'cut':
        del data[middle:]
    elif how == 'hole':
        data[middle : middle + 40_000] = bytes(40_000)
    elif how == 'flipped':
        data[middle : middle + 4] = b'\xff\xff\xff\xff'
    elif how == 'open':  # as a recorder leaves it that streams
        data[21] &= 0xF0
        data[22:26] = bytes(4)
    path.write_bytes(data)


@pytest.mark.parametrize('rate', [RATE, 48000])
@pytest.mark.parametrize('how', ['cut', 'hole', 'flipped', 'open'])
def test_a_damaged_flac_gives_what_can_be_read_once(tmp_path, how, rate):
    sound = to_int16(noise(3.0))
    path = write(tmp_path / 'a.flac', sound)
    damaged(path, how)
    source = FileSource(path, rate, paced=False)
    source.start()
    place, lost, heard = 0, 0, 0
    while not source.exhausted:
        block = source.read(0.0)
        if block is None:
            continue
        lost += block.lost
        assert block.first_sample == place + block.lost
        place = block.first_sample + len(block.samples)
        if rate == RATE:
            same = sound[block.first_sample : place]
            assert np.array_equal(block.samples, same)
        heard += len(block.samples)
    assert source.lost_samples == lost
    seconds = place / rate
    if how == 'open':
        assert 'leaves its length open' in source.notice
        assert (source.damage, lost) == ('', 0)
        assert seconds == pytest.approx(3.0, abs=0.01)
        return
    assert re.search(r'a\.flac is damaged at 1\.[45] s', source.damage)
    if how == 'cut':
        assert seconds == pytest.approx(1.5, abs=0.1)
        assert 'it ends after ' in source.damage
        assert ' s of 3.0 s' in source.damage
        assert lost == 0
    else:
        assert seconds == pytest.approx(3.0, abs=0.02)
        assert 0 < lost < 0.9 * rate
        assert source.damage.endswith(f'; {lost / rate:.1f} s of it cannot be read')


@pytest.mark.parametrize(
    ('length', 'words'),
    [
        (0, 'leaves its length open; the file holds 2.0 s'),
        (0xFFFFFFFF, 'leaves its length open; the file holds 2.0 s'),
        (0x7FFFFFFF, 'leaves its length open; the file holds 2.0 s'),
        (16 * 44100, 'says 1.0 s, the file holds 2.0 s: all of it is read'),
        (16 * 88200, ''),
    ],
)
@pytest.mark.parametrize('subtype', ['PCM_16', 'PCM_24', 'FLOAT'])
def test_a_wav_is_as_long_as_the_file_whatever_its_header_says(tmp_path, length, words, subtype):
    sound = noise(2.0)
    path = write(tmp_path / 'a.wav', sound, subtype=subtype)
    data = path.read_bytes()
    at = data.index(b'data') + 4
    width = {'PCM_16': 2, 'PCM_24': 3, 'FLOAT': 4}[subtype]
    field = length if length in (0, 0xFFFFFFFF, 0x7FFFFFFF) else length * width // 2
    path.write_bytes(data[:at] + struct.pack('<I', field) + data[at + 4 :])
    source = FileSource(path, RATE, paced=False)
    assert len(read_all(source)) == len(sound)
    assert (words in source.notice) if words else source.notice == ''
    assert source.damage == ''
    assert len(read_whole(path, RATE, 10.0)) == len(sound)


@pytest.mark.parametrize('tail', [b'LIST\x04\0\0\0INFO', b'id3 \x03\0\0\0abc\0', b'x', b'\0' * 7])
def test_chunks_and_padding_behind_the_sound_are_not_sound(tmp_path, tail):
    path = write(tmp_path / 'a.wav', noise(0.5))
    path.write_bytes(path.read_bytes() + tail)
    source = FileSource(path, RATE, paced=False)
    assert len(read_all(source)) == len(noise(0.5))
    assert source.notice == ''


@pytest.mark.parametrize('kind', ['RF64', 'WAVEX', 'W64', 'AIFF'])
def test_other_headers_are_read_too(tmp_path, kind):
    path = tmp_path / 'a.wav'
    sound = to_int16(noise(0.5))
    soundfile.write(path, sound, RATE, subtype='PCM_16', format=kind)
    source = FileSource(path, RATE, paced=False)
    assert np.array_equal(read_all(source), sound)
    assert (source.notice, source.damage) == ('', '')


def test_a_length_that_has_wrapped_beyond_4_gib(tmp_path):
    path = write(tmp_path / 'a.wav', noise(0.1))
    size = (1 << 32) + 16 * 44100
    data = bytearray(path.read_bytes())
    at = data.index(b'data') + 4
    data[at : at + 4] = struct.pack('<I', size % (1 << 32))
    path.write_bytes(data)
    with path.open('r+b') as file:
        file.truncate(at + 4 + size)  # without taking the room
    with open_sound(path) as file:
        assert file.frames == size // 16
        file.seek(file.frames - 5)
        assert len(file.read(10)) == 5
    with pytest.raises(AvdetError, match='at most 1800 s, found 6088 s'):
        read_whole(path, RATE, 1800.0)


def test_the_rest_of_a_file_is_read_as_a_file_is(tmp_path):
    (tmp_path / 'a').write_bytes(b'0123456789')
    rest = RestOfFile(tmp_path / 'a', 3, 5)
    assert [rest.read(count) for count in (0, 2, 0, -1, 1)] == [b'', b'34', b'', b'567', b'']
    assert (rest.seek(-2, io.SEEK_END), rest.read(9), rest.tell()) == (3, b'67', 5)
    rest.close()


def test_a_loop_over_a_damaged_file_goes_on(tmp_path):
    path = write(tmp_path / 'a.flac', noise(1.0))
    damaged(path, 'cut')
    source = FileSource(path, RATE, loop=True, paced=False)
    source.start()
    place = 0
    while place < 3 * RATE:
        block = source.read(0.0)
        place = block.first_sample + len(block.samples)
    assert not source.exhausted


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'', 'cannot read'),
        (b'not sound' * 50, 'cannot read'),
        (b'RIFF\x24\0\0\0WAVE', 'cannot read'),
    ],
)
def test_unreadable_files_are_one_sentence(tmp_path, content, reason):
    path = tmp_path / 'a.wav'
    path.write_bytes(content)
    with pytest.raises(AvdetError, match=reason) as error:
        FileSource(path, RATE)
    assert '\n' not in str(error.value)
    assert 'a.wav' in str(error.value)


def test_missing_files_folders_and_silence_without_samples(tmp_path):
    with pytest.raises(AvdetError, match=r'none\.wav: expected a sound file, found none'):
        FileSource(tmp_path / 'none.wav', RATE)
    with pytest.raises(AvdetError, match='expected a sound file'):
        FileSource(tmp_path, RATE)
    with pytest.raises(AvdetError, match='without samples'):
        FileSource(write(tmp_path / 'a.wav', noise(0)), RATE)


def test_make_source_names_what_it_lacks():
    rig = load_rig()
    with pytest.raises(AvdetError, match='expected the path of a sound file'):
        make_source('file', rig)
    with pytest.raises(
        AvdetError, match="expected one of device, file, simulation, found 'radio'"
    ):
        make_source('radio', rig)


@pytest.fixture(scope='module')
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp('fuzz') / 'a.wav'


def whole_wav():
    memory = io.BytesIO()
    soundfile.write(memory, noise(0.02), RATE, format='WAV', subtype='PCM_16')
    return memory.getvalue()


WHOLE = whole_wav()


def survives(path, content):
    """Whatever the bytes are: sound, or one sentence."""
    path.write_bytes(content)
    sentence = ''
    try:
        source = FileSource(path, RATE, paced=False)
        source.start()
        count = 0
        for _ in range(500):
            block = source.read(0.0)
            if block is None:
                break
            assert block.samples.shape[1] == 8
            count += len(block.samples)
        # A rate of 4 kHz makes eleven samples of one; nothing makes more.
        assert count <= 100_000
        source.stop()
    except AvdetError as error:
        sentence = str(error)
    assert '\n' not in sentence


@given(changes=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=6))
@settings(max_examples=examples(400), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_headers_never_crash(scratch, changes):
    content = bytearray(WHOLE)
    for place, value in changes:
        content[place] = value
    survives(scratch, bytes(content))


@given(cut=st.integers(0, len(WHOLE)), tail=st.binary(max_size=200))
@settings(max_examples=examples(150), deadline=None)
def test_cut_and_continued_files_never_crash(scratch, cut, tail):
    survives(scratch, WHOLE[:cut] + tail)


@given(
    magic=st.sampled_from([b'RIFF', b'RF64', b'FORM', b'fLaC', b'OggS', b'caff', b'.snd', b'ID3']),
    rest=st.binary(max_size=400),
)
@settings(max_examples=examples(300), deadline=None)
def test_any_bytes_never_crash(scratch, magic, rest):
    survives(scratch, magic + rest)


def test_a_stopped_file_leaves_no_notice_of_its_resampler(tmp_path):
    """What a node still holds at Ctrl-C, frozen as a node's objects are, is reported as a leak."""
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
