"""The window grid follows the windows recorded in a bag."""

from __future__ import annotations

import pytest

from avdet_ros.bags.input_selection import HOP_S, select_input
from avdet_ros.bags.reader import Bag
from avdet_ros.detection.boxes import Detections
from avdet_ros.messages.decode import DETECTIONS
from avdet_ros.messages.encode_offline import make_detections, make_header
from avdet_ros.messages.typestore import serialize

START_NS = 1_700_000_000_000_000_000


def test_window_grid_follows_recorded_detections(write_sound, front_end, tmp_path):
    """Boxes are stamped half a second before the window end; windows start 35 frames apart."""
    writer = write_sound(tmp_path / 'bag', stamp_ns=START_NS, close=False)
    for window in range(8):
        end_s = (2560 + window * 8960 + front_end.samples) / 44100
        stamp = START_NS + round((end_s - 0.5) * 1e9)
        message = make_detections(make_header(stamp, 'camera'), Detections())
        writer.write('/avdet/detections', DETECTIONS, serialize(message), stamp)
    writer.close()
    with Bag(tmp_path / 'bag') as bag:
        selection = select_input(bag, front_end, -0.5)
        asked = select_input(bag, front_end, -0.5, hop_s=0.1)
    assert (selection.topic, selection.raw) == ('/avdet/audio', True)
    assert selection.hop_s == pytest.approx(8960 / 44100, abs=1e-3)
    assert selection.skip_samples == 2560
    assert asked.hop_s == 0.1


def test_windows_start_at_the_first_sample_without_recorded_ones(write_sound, front_end, tmp_path):
    write_sound(tmp_path / 'bag')
    with Bag(tmp_path / 'bag') as bag:
        selection = select_input(bag, front_end, -0.5)
    assert (selection.hop_s, selection.skip_samples, selection.phase) == (HOP_S, 0, None)
    assert selection.grid_samples == front_end.hop_length
