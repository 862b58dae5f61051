"""Blocks of a bag's sound that differ from the others."""

from __future__ import annotations

import numpy as np

from avdet_ros.bags.reader import Bag
from avdet_ros.bags.sound_blocks import BagSound
from avdet_ros.bags.writer import BagWriter
from avdet_ros.messages.decode import IMAGE
from avdet_ros.messages.encode_offline import make_header, make_sound
from avdet_ros.messages.typestore import serialize


def test_block_of_another_type_is_left_out_and_reported(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        for index in range(20):
            stamp = 1_700_000_000_000_000_000 + round(index * 1024e9 / 44_100)
            samples = np.full((1024, 8), 1, np.float32 if index == 12 else np.int16)
            block = make_sound(make_header(stamp, 'microphone_array'), samples)
            writer.write('/avdet/audio', IMAGE, serialize(block), stamp)
    with Bag(tmp_path / 'bag') as bag:
        sound = BagSound(bag, '/avdet/audio', 44_100)
        blocks = list(sound.blocks())
    assert {block.samples.dtype for _, block in blocks} == {np.dtype(np.int16)}
    assert len(blocks) == 19
    assert sound.notes == {'messages that are not sound': 1}
    assert '/avdet/audio: expected int16 as before, found float32' in sound.left_out.sentence
