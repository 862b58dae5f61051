from __future__ import annotations

import numpy as np
import pytest

from avdet_ros.evaluation.runs.baselines import (
    ConstantBoxes,
    LabelStatistics,
    SteeredResponse,
    fit_labels,
    greedy_cover,
)
from avdet_ros.rig import load_rig

RATE = 44100
C_MPS = 343.2


@pytest.fixture(scope='module')
def statistics():
    return LabelStatistics(
        np.array([[0, 0, 50, 50]], np.float32),
        np.ones(1, np.float32),
        np.array([-60.0, 300, 60, 400]),
        15.0,
    )


@pytest.fixture(scope='module')
def srp(statistics):
    return SteeredResponse(statistics, load_rig())


def plane_wave(azimuth_deg, seed=0):
    """White noise from far away, delayed exactly to each microphone."""
    rig, samples, margin = load_rig(), RATE // 2, 500
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(0, 0.01, samples + 2 * margin))
    frequency = np.fft.rfftfreq(samples + 2 * margin, 1 / RATE)
    azimuth = np.radians(azimuth_deg)
    earlier_s = rig.microphones_m @ [np.cos(azimuth), np.sin(azimuth), 0] / C_MPS
    shifted = spectrum * np.exp(2j * np.pi * frequency * earlier_s[:, None])
    waveform = np.fft.irfft(shifted, samples + 2 * margin)
    return waveform[:, margin : margin + samples].astype(np.float32)


def test_greedy_cover_takes_the_most_common_box_first():
    boxes = np.array([[0, 0, 10, 10]] * 3 + [[50, 0, 60, 10]] * 5 + [[90, 0, 99, 10]], float)
    chosen, counts = greedy_cover(boxes, 10, seed=0)
    assert counts.tolist() == [5, 3, 1]
    np.testing.assert_array_equal(boxes[chosen[0]], [50, 0, 60, 10])


def test_constant_boxes_come_from_the_labels():
    frames = [(np.array([[0.0, 0, 100, 100], [500, 0, 600, 100]]), np.array([10.0, 20.0]))] * 4
    frames += [(np.array([[0.0, 0, 100, 100]]), np.array([10.0]))] * 4 + [(np.zeros((0, 4)), [])]
    detections = ConstantBoxes(fit_labels(frames)).detect(None, None)
    np.testing.assert_array_equal(detections.boxes_px, [[0, 0, 100, 100], [500, 0, 600, 100]])
    np.testing.assert_allclose(detections.scores, [8 / 9, 4 / 9], rtol=1e-6)
    with pytest.raises(ValueError, match='no label'):
        fit_labels([(np.zeros((0, 4)), np.zeros(0))])


@pytest.mark.parametrize('azimuth_deg', [-35, -10, 0, 22.5, 40])
def test_steered_response_puts_a_box_at_the_bearing(srp, azimuth_deg):
    detections = srp.detect(plane_wave(azimuth_deg), None)
    rig = load_rig()
    box = detections.boxes_px[0]
    ground = rig.array_position_m + 15 * np.array(
        [np.cos(np.radians(azimuth_deg)), np.sin(np.radians(azimuth_deg)), 0]
    )
    (x, y), _ = rig.camera.project(ground * [1, 1, 0])
    assert (box[0] + box[2]) / 2 == pytest.approx(x, abs=15)
    assert box[3] == pytest.approx(y, abs=2)
    assert detections.scores[0] > 0.9
    assert np.all(np.diff(detections.scores) <= 0)


def test_noise_and_silence_get_low_scores(srp):
    noise = np.random.default_rng(0).normal(0, 0.01, (8, RATE)).astype(np.float32)
    assert np.all(srp.detect(noise, None).scores < 0.05)
    assert np.all(srp.detect(np.zeros((8, RATE), np.float32), None).scores == 0)


def test_steered_response_finds_two_sources(srp):
    both = plane_wave(-30, seed=1) + plane_wave(20, seed=2)
    boxes = srp.detect(both, None).boxes_px
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    for azimuth_deg in (-30, 20):
        assert np.min(np.abs(middle[:2] - (960 - 1000 * np.tan(np.radians(azimuth_deg))))) < 40
