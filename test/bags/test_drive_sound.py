"""A drive's sound is where its stamps say, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.bags.drive_sound import DriveSound
from avdet_ros.bags.reader import Bag
from avdet_ros.bags.writer import BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import IMAGE
from avdet_ros.messages.encode_offline import make_header, make_sound
from avdet_ros.messages.typestore import serialize

RATE_HZ, BLOCK = 44100, 1024
START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def numbered():
    """Thirty blocks in which every sample tells its number, and every channel itself."""
    return (np.arange(30 * BLOCK)[:, None] + 100 * np.arange(8)).astype(np.int16)


@pytest.fixture
def drive_sound(write_sound, numbered, tmp_path):
    def make(samples=None, **how):
        path = tmp_path / f'bag_{len(list(tmp_path.iterdir()))}'
        write_sound(path, numbered if samples is None else samples, **how)
        with Bag(path) as bag:
            return DriveSound(bag, '/avdet/audio', RATE_HZ, tmp_path / f'{path.name}.raw')

    return make


def seconds(samples):
    return round(samples * 1e9 / RATE_HZ)


def test_sound_around_an_instant_is_half_before_and_half_after(drive_sound, numbered):
    drive = drive_sound()
    assert (drive.samples, drive.gaps, drive.note) == (30 * BLOCK, [], None)
    assert drive.start_ns == START_NS
    assert drive.end_ns == pytest.approx(START_NS + seconds(30 * BLOCK), abs=2)
    assert (drive.clock_ns == 30_000_000).all()
    for middle, count in ((5000, 1000), (5 * BLOCK, 2 * BLOCK), (20_001, 7)):
        clip = drive.around(START_NS + seconds(middle), count / RATE_HZ)
        first = middle - count // 2
        np.testing.assert_array_equal(clip, numbered[first : first + count])
    assert clip.dtype == np.int16


def test_sound_that_is_not_whole_is_none(drive_sound):
    drive = drive_sound()
    length_s = 2000 / RATE_HZ
    for middle, there in ((1000, True), (999, False), (29_720, True), (29_721, False)):
        assert (drive.around(START_NS + seconds(middle), length_s) is not None) == there


def test_a_gap_is_silence_of_its_length_and_no_clip_reaches_into_it(drive_sound, numbered):
    drive = drive_sound(drop=(10, 11))
    assert drive.gaps == [(10 * BLOCK, 2 * BLOCK)]
    assert (drive.samples, drive.note) == (30 * BLOCK, None)
    length_s = 512 / RATE_HZ
    for middle, there in (
        (10 * BLOCK - 256, True),
        (10 * BLOCK - 255, False),
        (11 * BLOCK, False),
        (12 * BLOCK + 255, False),
        (12 * BLOCK + 256, True),
    ):
        clip = drive.around(START_NS + seconds(middle), length_s)
        assert (clip is not None) == there, middle
        if there:
            np.testing.assert_array_equal(clip, numbered[middle - 256 : middle + 256])


def test_stamps_that_leap_are_followed_and_none_crosses_the_border(drive_sound, numbered):
    """Twelve blocks, and the rest a day later."""
    later_ns = START_NS + 86_400 * 10**9
    stamps = [(START_NS if i < 12 else later_ns) + seconds(i * BLOCK) for i in range(30)]
    drive = drive_sound(stamps_ns=stamps)
    assert drive.note.endswith(f'/avdet/audio: stamps leap after {12 * BLOCK / RATE_HZ:.1f} s')
    assert (drive.gaps, drive.samples) == ([(12 * BLOCK, 1)], 30 * BLOCK + 1)
    length_s = 512 / RATE_HZ
    clip = drive.around(later_ns + seconds(20 * BLOCK), length_s)
    np.testing.assert_array_equal(clip, numbered[20 * BLOCK - 256 : 20 * BLOCK + 256])
    before = drive.around(START_NS + seconds(3 * BLOCK), length_s)
    np.testing.assert_array_equal(before, numbered[3 * BLOCK - 256 : 3 * BLOCK + 256])
    assert drive.around(later_ns + seconds(12 * BLOCK + 255), length_s) is None
    assert drive.end_ns == pytest.approx(later_ns + seconds(30 * BLOCK), abs=2)


def test_sound_that_turns_to_another_rate_ends_four_seconds_before_it_is_sure(
    write_sound, tmp_path
):
    """Twelve seconds of 44.1 kHz, then as many samples a block take the time of 48 kHz."""
    block, turn = 1024, 520
    steps = [(1 / 44_100 if i < turn else 1 / 48_000) * block * 1e9 for i in range(1000)]
    stamps = [START_NS + round(ns) for ns in np.cumsum([0, *steps[:-1]])]
    write_sound(tmp_path / 'bag', np.ones((1000 * block, 8), np.int16), stamps_ns=stamps)
    with Bag(tmp_path / 'bag') as bag:
        drive = DriveSound(bag, '/avdet/audio', RATE_HZ, tmp_path / 'raw')
    assert 6.0 < drive.samples / RATE_HZ <= turn * block / RATE_HZ + 0.1
    assert drive.note.endswith(
        f'after {drive.samples / RATE_HZ:.1f} s: expected 44100 samples a second as the rig says, '
        'found about 48000 by stamps and counts'
    )


def test_stamps_that_go_back_end_the_drive(numbered, tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for i in range(30):
            stamp = START_NS + seconds((i if i < 15 else i - 20_000) * BLOCK)
            block = numbered[i * BLOCK : (i + 1) * BLOCK]
            message = serialize(make_sound(make_header(stamp, 'microphone_array'), block))
            writer.write('/avdet/audio', IMAGE, message, START_NS + seconds(i * BLOCK))
    with Bag(tmp_path / 'bag') as bag:
        drive = DriveSound(bag, '/avdet/audio', RATE_HZ, tmp_path / 'raw')
    words = f'stamps go back after {15 * BLOCK / RATE_HZ:.1f} s, the rest is left'
    assert drive.note.endswith(words)
    assert drive.samples == 15 * BLOCK
    assert drive.end_ns == pytest.approx(START_NS + seconds(15 * BLOCK), abs=2)


def test_a_first_block_with_a_stamp_of_nobodys_is_left(drive_sound, numbered):
    stamps = [START_NS + seconds(i * BLOCK) for i in range(30)]
    stamps[0] = 5 * 10**9
    drive = drive_sound(stamps_ns=stamps)
    assert (drive.samples, drive.gaps, drive.note) == (29 * BLOCK, [], None)
    assert drive.start_ns == stamps[1]
    clip = drive.around(stamps[1] + seconds(1000), 200 / RATE_HZ)
    np.testing.assert_array_equal(clip, numbered[BLOCK + 900 : BLOCK + 1100])


def test_sound_without_stamps_is_refused(drive_sound):
    with pytest.raises(AvdetError, match='expected stamps in the headers, found 0'):
        drive_sound(stamp_ns=0)
