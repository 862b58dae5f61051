"""Recordings: whole, other rates, damaged, cut short; and any bytes at all."""

import io
import time

from helpers.examples import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
import soundfile

from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig
from avdet_ros.sources.file import FileSource
from avdet_ros.sources.make import make_source

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


def test_the_same_rate_is_not_mentioned(tmp_path):
    assert FileSource(write(tmp_path / 'a.wav', noise(0.1)), RATE).notice == ''


@pytest.mark.parametrize('rate', [RATE, 48000])
def test_a_loop_goes_on_and_counts_on(tmp_path, rate):
    source = FileSource(
        write(tmp_path / 'a.wav', noise(0.25, rate=rate), rate), RATE, loop=True, paced=False
    )
    source.start()
    count = 0
    for _ in range(200):
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


@pytest.mark.parametrize('kept', [0.9, 0.3])
def test_a_file_cut_short_is_refused(tmp_path, kept):
    path = write(tmp_path / 'a.wav', noise(0.5))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(AvdetError, match=r'a\.wav is cut short: its header promises \d+ bytes'):
        FileSource(path, RATE)


def test_a_flac_cut_short_is_reported_when_it_ends(tmp_path):
    path = write(tmp_path / 'a.flac', noise(2.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AvdetError, match=r'a\.flac is (damaged|cut short)'):
        read_all(FileSource(path, RATE, paced=False))


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
