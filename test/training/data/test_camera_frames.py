from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.training.data.camera_frames import canvas_for, network_input

PAPER = canvas_for((768, 768), 1920, 650)


def test_crop_of_the_paper_becomes_768_by_328():
    image = np.full((650, 1920, 3), 255, np.uint8)
    image[:, :200], image[:, 1720:] = 0, 0
    pixels = network_input(image, 'rgb', PAPER)
    assert pixels.shape == (3, 768, 768)
    assert np.all(pixels[:, :328] > 2)
    assert np.all(pixels[:, 328:] == 0)


@given(st.floats(200, 1700), st.floats(0, 640), st.floats(1, 20), st.floats(1, 10))
def test_boxes_convert_to_the_network_and_back(x, y, width, height):
    box = np.array([[x, y, min(x + width, 1720), min(y + height, 650)]], np.float32)
    np.testing.assert_allclose(PAPER.to_image(PAPER.to_network(box)), box, atol=1e-3)


def test_boxes_are_clipped_to_the_view_of_the_teachers():
    box = PAPER.to_network(np.array([[0, 0, 1920, 650]]))
    np.testing.assert_allclose(box, [[0, 0, 768, 328.42]], atol=0.01)


def test_sixteen_bit_thermal_is_clipped_and_eight_bit_is_not():
    counts = np.full((650, 1920), 21800, np.uint16)
    counts[:, 960:] = 30000
    pixels = network_input(counts, 'thermal', PAPER)
    assert pixels[0, 100, 100] == 0
    assert pixels[0, 100, 700] == 1
    eight = np.full((650, 1920), 51, np.uint8)
    assert network_input(eight, 'thermal', PAPER)[0, 100, 100] == pytest.approx(0.2)


def test_wide_thermal_range_keeps_contrast_on_a_cold_day():
    counts = np.full((650, 1920), 21200, np.uint16)  # -8 degrees
    counts[:, 960:] = 21520  # 4 K warmer
    narrow, wide = (
        network_input(counts, 'thermal', PAPER, how)[0, 100] for how in ('own', 'wide')
    )
    assert narrow[100] == narrow[700] == 0
    assert wide[700] - wide[100] == pytest.approx(320 / 6400)
    assert wide[100] == pytest.approx(1200 / 6400)


def test_bgr_frames_are_converted_to_rgb():
    red = np.zeros((650, 1920, 3), np.uint8)
    red[..., 2] = 255
    pixels = network_input(red, 'rgb', PAPER)
    assert pixels[0, 10, 10] > 2
    assert pixels[2, 10, 10] < -1


def test_mismatched_frames_and_canvases_are_rejected():
    for shape, kind, found in (
        ((480, 640, 3), np.uint8, '640 x 480 of uint8'),
        ((650, 1000, 3), np.uint8, '1000 x 650 of uint8'),
        ((650, 1920, 3), np.uint16, '1920 x 650 of uint16'),
    ):
        words = f'rgb frame: expected 1920 x 650 pixels of 8 bits, found {found}'
        with pytest.raises(AvdetError, match=words):
            network_input(np.zeros(shape, kind), 'rgb', PAPER)
    with pytest.raises(AvdetError, match='at least 164'):
        canvas_for((128, 384), 1920, 650)
    with pytest.raises(AvdetError, match='lidar'):
        network_input(np.zeros((650, 1920, 3), np.uint8), 'lidar', PAPER)
