from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.messages.encode import encode_header, encode_sound
from avdet_ros.nodes.capture_topic import TopicSound

S = 1_000_000_000
RATE_HZ = 44_100
BLOCK = 4_410


@pytest.fixture
def sound():
    return TopicSound('/avdet/audio', RATE_HZ)


def message(stamp_s, samples=BLOCK):
    values = np.arange(samples * 8).reshape(samples, 8) % 3000
    return encode_sound(encode_header(round(stamp_s * S), 'array'), values.astype(np.int16))


def test_blocks_follow_each_other_on_one_time_line(sound):
    assert sound.last_s is None
    blocks = [block for k in range(5) for block in sound.take(message(50 + k / 10))]
    assert [block.block.first_sample for block in blocks] == [k * BLOCK for k in range(5)]
    assert [block.time_ns(block.block.first_sample) / S for block in blocks] == pytest.approx(
        [50.0, 50.1, 50.2, 50.3, 50.4]
    )
    np.testing.assert_array_equal(blocks[0].block.samples[2], range(16, 24))
    assert sound.last_s == blocks[-1].block.time_s
    assert (sound.restarts, sound.wrong_stamps) == (0, 0)


def test_lost_samples_are_counted_in_the_block_after_them(sound):
    first = [block for k in range(3) for block in sound.take(message(50 + k / 10))]
    later = [block for k in range(3) for block in sound.take(message(50.4 + k / 10))]
    assert len(first) + len(later) == 6
    assert [block.block.lost for block in [*first, *later]] == [0, 0, 0, BLOCK, 0, 0]


def test_stream_must_begin_with_a_stamp(sound):
    with pytest.raises(AvdetError, match='/avdet/audio: expected a stamp in the header, found 0'):
        sound.take(message(0))
    assert sound.last_s is None


def test_sound_of_a_wrong_rate_is_rejected(sound):
    words = '/avdet/audio: expected 44100 samples a second as the rig says, found about 48000'
    messages = [message(50 + k * BLOCK / 48_000) for k in range(60)]
    with pytest.raises(AvdetError, match=words):
        list(map(sound.take, messages))
    assert sound.last_s is not None  # sound arrives, although it is not used


def test_counts_continue_after_a_restart(sound):
    for k in range(3):
        sound.take(message(50 + k / 10))
    sound.take(message(0))  # fits neither side, so it is placed between its neighbours
    for k in range(4, 12):
        sound.take(message(50 + k / 10))
    assert (sound.restarts, sound.wrong_stamps) == (0, 1)
    sound.restart()
    (block,) = sound.take(message(20))
    assert block.block.first_sample == 0
    assert (sound.restarts, sound.wrong_stamps) == (1, 1)
