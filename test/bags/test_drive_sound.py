"""Sound of a drive is placed by its stamps, exact to the sample."""

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
    """Thirty blocks whose sample values encode the sample number and the channel."""
    return (np.arange(30 * BLOCK)[:, None] + 100 * np.arange(8)).astype(np.int16)


@pytest.fixture
def drive_sound(write_sound, numbered, tmp_path):
    def make(samples=None, **how):
        path = tmp_path / f'bag_{len(list(tmp_path.iterdir()))}'
        write_sound(path, numbered if samples is None else samples, **how)
        with Bag(path) as bag:
            return DriveSound(bag, '/avdet/audio', RATE_HZ, tmp_path / f'{path.name}.raw')

    return make


def duration_ns(samples):
    return round(samples * 1e9 / RATE_HZ)


def test_clip_is_centred_on_its_instant(drive_sound, numbered):
    drive = drive_sound()
    assert (drive.samples, drive.gaps, drive.note) == (30 * BLOCK, [], None)
    assert drive.start_ns == START_NS
    assert drive.end_ns == pytest.approx(START_NS + duration_ns(30 * BLOCK), abs=2)
    assert (drive.clock_ns == 30_000_000).all()
    for middle, count in ((5000, 1000), (5 * BLOCK, 2 * BLOCK), (20_001, 7)):
        clip = drive.around(START_NS + duration_ns(middle), count / RATE_HZ)
        first = middle - count // 2
        np.testing.assert_array_equal(clip, numbered[first : first + count])
    assert clip.dtype == np.int16


def test_incomplete_clip_is_none(drive_sound):
    drive = drive_sound()
    length_s = 2000 / RATE_HZ
    for middle, complete in ((1000, True), (999, False), (29_720, True), (29_721, False)):
        assert (drive.around(START_NS + duration_ns(middle), length_s) is not None) == complete


def test_gap_keeps_its_length_and_no_clip_overlaps_it(drive_sound, numbered):
    drive = drive_sound(drop=(10, 11))
    assert drive.gaps == [(10 * BLOCK, 2 * BLOCK)]
    assert (drive.samples, drive.note) == (30 * BLOCK, None)
    length_s = 512 / RATE_HZ
    for middle, complete in (
        (10 * BLOCK - 256, True),
        (10 * BLOCK - 255, False),
        (11 * BLOCK, False),
        (12 * BLOCK + 255, False),
        (12 * BLOCK + 256, True),
    ):
        clip = drive.around(START_NS + duration_ns(middle), length_s)
        assert (clip is not None) == complete, middle
        if complete:
            np.testing.assert_array_equal(clip, numbered[middle - 256 : middle + 256])


def test_jump_in_stamps_is_followed_and_no_clip_spans_it(drive_sound, numbered):
    """Twelve blocks, then the rest a day later."""
    later_ns = START_NS + 86_400 * 10**9
    stamps = [(START_NS if i < 12 else later_ns) + duration_ns(i * BLOCK) for i in range(30)]
    drive = drive_sound(stamps_ns=stamps)
    assert drive.note.endswith(f'/avdet/audio: stamps leap after {12 * BLOCK / RATE_HZ:.1f} s')
    assert (drive.gaps, drive.samples) == ([(12 * BLOCK, 1)], 30 * BLOCK + 1)
    length_s = 512 / RATE_HZ
    clip = drive.around(later_ns + duration_ns(20 * BLOCK), length_s)
    np.testing.assert_array_equal(clip, numbered[20 * BLOCK - 256 : 20 * BLOCK + 256])
    before = drive.around(START_NS + duration_ns(3 * BLOCK), length_s)
    np.testing.assert_array_equal(before, numbered[3 * BLOCK - 256 : 3 * BLOCK + 256])
    assert drive.around(later_ns + duration_ns(12 * BLOCK + 255), length_s) is None
    assert drive.end_ns == pytest.approx(later_ns + duration_ns(30 * BLOCK), abs=2)


def test_sound_ends_before_a_change_of_sample_rate(write_sound, tmp_path):
    """12 s of blocks stamped at 44.1 kHz, then blocks of the same size stamped at 48 kHz."""
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
            stamp = START_NS + duration_ns((i if i < 15 else i - 20_000) * BLOCK)
            block = numbered[i * BLOCK : (i + 1) * BLOCK]
            message = serialize(make_sound(make_header(stamp, 'microphone_array'), block))
            writer.write('/avdet/audio', IMAGE, message, START_NS + duration_ns(i * BLOCK))
    with Bag(tmp_path / 'bag') as bag:
        drive = DriveSound(bag, '/avdet/audio', RATE_HZ, tmp_path / 'raw')
    words = f'stamps go back after {15 * BLOCK / RATE_HZ:.1f} s, the rest is left out'
    assert drive.note.endswith(words)
    assert drive.samples == 15 * BLOCK
    assert drive.end_ns == pytest.approx(START_NS + duration_ns(15 * BLOCK), abs=2)


def test_first_block_with_an_implausible_stamp_is_dropped(drive_sound, numbered):
    stamps = [START_NS + duration_ns(i * BLOCK) for i in range(30)]
    stamps[0] = 5 * 10**9
    drive = drive_sound(stamps_ns=stamps)
    assert (drive.samples, drive.gaps, drive.note) == (29 * BLOCK, [], None)
    assert drive.start_ns == stamps[1]
    clip = drive.around(stamps[1] + duration_ns(1000), 200 / RATE_HZ)
    np.testing.assert_array_equal(clip, numbered[BLOCK + 900 : BLOCK + 1100])


def test_sound_without_stamps_is_rejected(drive_sound):
    with pytest.raises(AvdetError, match='expected stamps in the headers, found 0'):
        drive_sound(stamp_ns=0)
