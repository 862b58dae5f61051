"""Recordings that are damaged or truncated, and arbitrary bytes."""

import io
import re
import struct

from helpers.examples import examples
from helpers.sound_files import RATE, noise, read_all, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import soundfile

from avdet_ros.audio.samples import to_int16
from avdet_ros.errors import AvdetError
from avdet_ros.sources.file import FileSource, read_whole


@pytest.mark.parametrize('kept', [0.9, 0.3, 0.5003])
@pytest.mark.parametrize('rate', [RATE, 48000])
def test_truncated_wav_is_read_to_its_end(tmp_path, kept, rate):
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
    elif how == 'open':  # as a streaming recorder leaves it
        data[21] &= 0xF0
        data[22:26] = bytes(4)
    path.write_bytes(data)


@pytest.mark.parametrize('rate', [RATE, 48000])
@pytest.mark.parametrize('how', ['cut', 'hole', 'flipped', 'open'])
def test_damaged_flac_gives_its_readable_parts_once(tmp_path, how, rate):
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
        if rate == RATE:
            assert heard >= len(sound) - 1  # the library drops the last one
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
def test_wav_length_follows_the_file_size_and_not_the_header(tmp_path, length, words, subtype):
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
def test_chunks_and_padding_after_the_sound_are_ignored(tmp_path, tail):
    path = write(tmp_path / 'a.wav', noise(0.5))
    path.write_bytes(path.read_bytes() + tail)
    source = FileSource(path, RATE, paced=False)
    assert len(read_all(source)) == len(noise(0.5))
    assert source.notice == ''


def test_loop_over_a_damaged_file_continues(tmp_path):
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
def test_unreadable_files_raise_one_line_errors(tmp_path, content, reason):
    path = tmp_path / 'a.wav'
    path.write_bytes(content)
    with pytest.raises(AvdetError, match=reason) as error:
        FileSource(path, RATE)
    assert '\n' not in str(error.value)
    assert 'a.wav' in str(error.value)


@pytest.fixture(scope='module')
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp('fuzz') / 'a.wav'


def whole_wav():
    memory = io.BytesIO()
    soundfile.write(memory, noise(0.02), RATE, format='WAV', subtype='PCM_16')
    return memory.getvalue()


WHOLE = whole_wav()


def survives(path, content):
    """Check that these bytes give sound or a one-line error."""
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
        # A rate of 4 kHz turns one sample into eleven, the largest factor.
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
def test_truncated_and_extended_files_never_crash(scratch, cut, tail):
    survives(scratch, WHOLE[:cut] + tail)


@given(
    magic=st.sampled_from([b'RIFF', b'RF64', b'FORM', b'fLaC', b'OggS', b'caff', b'.snd', b'ID3']),
    rest=st.binary(max_size=400),
)
@settings(max_examples=examples(300), deadline=None)
def test_any_bytes_never_crash(scratch, magic, rest):
    survives(scratch, magic + rest)
