"""Network inputs as in the authors' program, compared with hand calculations."""

from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.training.data.camera_frames import canvas_for, network_input
from avdet_ros.training.data.released_pictures import spread_counts

CANVAS = canvas_for((768, 768), 1920, 650)


def test_depth_keeps_its_colour_order_and_is_divided_by_255():
    blue = np.zeros((650, 1920, 3), np.uint8)
    blue[..., 0] = 51
    pixels = network_input(blue, 'depth', CANVAS, 'released')
    assert pixels[:, 100, 100].tolist() == pytest.approx([0.2, 0, 0])
    assert not pixels[:, 328:].any()
    assert network_input(blue, 'depth', CANVAS)[2, 100, 100] != pytest.approx(0.2)


def test_released_rgb_input_matches_ours():
    rng = np.random.default_rng(1)
    image = np.repeat(np.repeat(rng.integers(0, 256, (65, 192, 3), np.uint8), 10, 0), 10, 1)
    own, theirs = (network_input(image, 'rgb', CANVAS, how) for how in ('own', 'released'))
    # Inside the large squares, where resizing mixes no colours, both are equal.
    inside = own[:, 2:326:5, 2:766:5], theirs[:, 2:326:5, 2:766:5]
    assert np.median(np.abs(inside[0] - inside[1])) < 1e-5
    assert own.shape == theirs.shape


def test_range_of_each_thermal_frame_is_scaled_to_0_to_1():
    counts = np.full((650, 1920), 22000, np.uint16)
    counts[:, 800:1000] = 22400
    counts[:, 1000:1200] = 22200
    pixels = network_input(counts, 'thermal', CANVAS, 'released')
    assert pixels[0, 100, 50] == 0
    assert pixels[0, 100, 350] == 1
    assert pixels[0, 100, 450] == pytest.approx(0.5, abs=1e-3)
    # With the fixed range, the same count has the same value in every picture.
    assert network_input(counts, 'thermal', CANVAS)[0, 100, 350] == pytest.approx(0.1875, abs=1e-3)


def test_thermal_counts_are_clipped_before_scaling():
    counts = np.array([[20000, 21800, 23400, 25000, 30000]], np.uint16)
    assert spread_counts(counts).tolist() == [[0, 0, pytest.approx(0.5), 1, 1]]


def test_eight_bit_values_are_counts_in_units_of_256():
    counts = np.array([[86, 90, 94]], np.uint8)
    assert spread_counts(counts).tolist() == [[0, pytest.approx(0.5), 1]]


def test_uniform_frame_becomes_zero():
    assert not spread_counts(np.full((4, 5), 23000, np.uint16)).any()
