"""Boxes of a pinhole camera become directions that match those of the simulator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.dataset.depth_colours import BASELINE_M
from avdet_ros.dataset.labels import FrameLabels
from avdet_ros.detection.angles import degrees_from_boxes, from_pixels, to_pixels
from avdet_ros.detection.road_ranges import ranges_on_road
from avdet_ros.simulation.angles import angle_labels
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.training.any_array.box_labels import ANGLES, label_fields


def frame(boxes_px, distance_m=None, disparity_px=None):
    boxes_px = np.array(boxes_px, np.float32).reshape(-1, 4)
    unknown = np.full(len(boxes_px), np.nan)
    return FrameLabels(
        boxes_px,
        np.full(len(boxes_px), -1),
        unknown if distance_m is None else np.array(distance_m, float),
        unknown,
        None if disparity_px is None else np.array(disparity_px, np.float32),
    )


def turned_rig(rig):
    """Return the rig with its array behind the camera and the camera turned to the right."""
    heading = np.radians(-8)
    c, s = np.cos(heading), np.sin(heading)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    camera = replace(rig.camera, rotation=rig.camera.rotation @ turn)
    return replace(rig, camera=camera, array_position_m=np.array([-0.6, 0.1, 1.5]))


def test_true_boxes_give_the_directions_of_the_simulator(rig):
    apart, many = [], 0
    for seed in range(40):
        scene = random_scene(seed, rig, 4.0)
        labels = angle_labels(scene, 2.0)
        truth = labels.truth
        boxes = truth.boxes_px
        whole = (boxes[:, 0] > 5) & (boxes[:, 2] < 1915) & (boxes[:, 3] < 645) & labels.in_image
        found = label_fields(frame(boxes[whole], truth.distance_m[whole]), rig)
        order = np.argsort(np.abs(labels.azimuth_deg[whole]), kind='stable')
        for name in ANGLES:
            true = getattr(labels, name)[whole][order]
            apart.append(np.abs(found[name][: len(true)] - true))
        many += int(whole.sum())
        assert int(found['count']) == whole.sum()
        assert not found['unsure'].any()
    assert many > 20
    # Boxes are flat and vehicles are not: near ones shift a little between camera and array.
    assert np.median(np.concatenate(apart)) < 0.05
    assert np.percentile(np.concatenate(apart), 95) < 0.5


@pytest.mark.parametrize('change', [lambda rig: rig, turned_rig])
def test_boxes_of_known_range_match_detector_boxes_and_convert_back(rig, change):
    rig = change(rig)
    boxes_px = np.array([[200, 280, 320, 350], [900, 290, 960, 330], [1500, 250, 1800, 420]])
    range_m = np.array([30.0, 45.0, 9.0])
    found = label_fields(frame(boxes_px, range_m), rig)
    order = [int(np.flatnonzero(found['range_m'] == np.float32(away_m))[0]) for away_m in range_m]
    angles = np.stack([found[name][order] for name in ANGLES], axis=-1)
    assert angles == pytest.approx(degrees_from_boxes(from_pixels(boxes_px, range_m, rig)))
    plane = from_pixels(boxes_px, range_m, rig)
    # All corners are assumed to be equally far away, which a near and wide box only roughly fits.
    assert to_pixels(plane, range_m, rig) == pytest.approx(boxes_px, abs=8)


def test_range_comes_from_disparity_or_is_unknown(rig):
    # One box is 10 m ahead of the camera and 20 degrees to the right, one has no disparity.
    right = 960 + 1000 * np.tan(np.radians(20))
    boxes_px = [[right - 60, 250, right + 60, 350], [800, 280, 880, 330]]
    disparity = 1000 * BASELINE_M / 10.0
    found = label_fields(frame(boxes_px, disparity_px=[disparity, np.nan]), rig)
    assert found['azimuth_deg'][1] < -15 < found['azimuth_deg'][0]
    assert np.isnan(found['range_m'][0])
    ahead_m, aside_m = 10.0 + 0.3, 10.0 * np.tan(np.radians(20))
    assert found['range_m'][1] == pytest.approx(np.hypot(ahead_m, aside_m) + 1.6, abs=0.1)
    assert np.isnan(label_fields(frame(boxes_px), rig)['range_m'][:2]).all()


def test_range_on_road_follows_from_the_foot_of_a_box(rig):
    # The foot of a box 20 m ahead of a camera 1.55 m high.
    foot = 300 + 1000 * 1.55 / 20
    away_m = ranges_on_road(np.array([[940.0, 320, 980, foot], [940, 200, 980, 280]]), rig)
    assert away_m[0] == pytest.approx(20.3 + 1.6, abs=0.2)
    assert away_m[1] == 100


def test_boxes_cut_by_the_edge_are_unsure_and_seen_sector_is_the_camera_view(rig):
    found = label_fields(frame([[0, 300, 200, 500], [900, 290, 960, 330]]), rig)
    assert found['unsure'][:2].tolist() == [False, True]
    half = np.degrees(np.arctan(0.96))
    assert found['seen_deg'] == pytest.approx([half, -half])
    assert found['count'] == 2
    crop = label_fields(frame([[201, 300, 400, 500]]), rig, columns_px=(200, 1720))
    assert crop['unsure'][0]
    ends = np.degrees(np.arctan(0.76))
    assert crop['seen_deg'] == pytest.approx([ends, -ends])
    empty = label_fields(frame([]), turned_rig(rig))
    assert empty['count'] == 0
    assert empty['seen_deg'] == pytest.approx([half, -half])
