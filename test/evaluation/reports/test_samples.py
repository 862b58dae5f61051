"""The frames that a report shows, and the colours of their boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avdet_ros.detection.boxes import Detections
from avdet_ros.drawing.road import draw_road
from avdet_ros.evaluation.reports import pictures
from avdet_ros.evaluation.reports.pictures import A_BGR, B_BGR, draw_frame
from avdet_ros.evaluation.reports.samples import (
    DISPLACED_BGR,
    RIGHT_BGR,
    TRUE_BGR,
    WRONG_BGR,
    Sample,
    choose_samples,
    draw_sample,
)
from avdet_ros.evaluation.runs.on_dataset import frames_of
from avdet_ros.evaluation.runs.record import DriveRecord, TruthFrame
from avdet_ros.simulation.pictures import random_conditions
from avdet_ros.simulation.pictures.cameras import render_rgb
from avdet_ros.simulation.traffic import random_scene

BOX = [100.0, 100, 200, 160]


def found(*boxes, scores=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Detections(boxes, np.full(len(boxes), 0.9) if scores is None else np.array(scores))


def shifted(shift):
    return [BOX[0] + shift, BOX[1], BOX[2] + shift, BOX[3]]


@pytest.fixture
def records():
    """Two drives of 40 windows, four a second; errors at four instants, and no vehicles in the
    second half of the second drive."""
    made = []
    for number in range(2):
        truth = [TruthFrame.of([BOX], [1]) for _ in range(40)]
        heard = [found(BOX) for _ in range(40)]
        record = DriveRecord(f'seed {number}', [k / 4 for k in range(40)], truth)
        record.detections['a'] = heard
        made.append(record)
    made[0].detections['a'][10] = found(BOX, shifted(500), shifted(900))  # two false ones
    made[0].detections['a'][12] = found(BOX, shifted(500))  # half a second later
    made[0].detections['a'][30] = found()  # missed
    # One missed and three false ones:
    made[1].detections['a'][5] = found(shifted(400), shifted(700), shifted(1000))
    for index in range(20, 40):
        made[1].truth[index] = TruthFrame.of([], [])
        made[1].detections['a'][index] = found(BOX, scores=[0.01])  # score too low to count
    return made


def test_worst_frames_are_at_least_a_second_apart(records):
    samples = choose_samples(records, 'a', 6)
    drawn = [sample for sample in samples if sample.why == 'drawn']
    worst = [(sample.record, sample.index) for sample in samples if sample.why == 'worst']
    assert len(drawn) == 3
    near = {
        place
        for place in ((1, 5), (0, 10), (0, 30))
        if all(d.record != place[0] or abs(d.index - place[1]) >= 4 for d in drawn)
    }
    assert set(worst) == near or set(worst) == near | {(0, 12)}
    order = [place for place in ((1, 5), (0, 10), (0, 12), (0, 30)) if place in worst]
    assert worst == order
    for one in samples:
        for other in samples:
            if one is not other and one.record == other.record:
                assert abs(one.index - other.index) >= 4


def test_empty_frames_are_never_drawn(records):
    samples = choose_samples(records, 'a', 40, seed=3)
    assert not [its for its in samples if its.record == 1 and its.index >= 20]
    assert samples == choose_samples(records, 'a', 40, seed=3)
    assert samples != choose_samples(records, 'a', 40, seed=4)
    assert all(isinstance(sample, Sample) for sample in samples)
    assert len(choose_samples(records, 'a', 1)) == 1


def test_box_colours_show_their_verdicts():
    picture = np.full((400, 1300, 3), 20, np.uint8)
    truth = TruthFrame.of([BOX, shifted(300), shifted(600)], [1, 2, 3])
    shown = found(BOX, shifted(340), shifted(1000), shifted(800), scores=[0.9, 0.8, 0.7, 0.01])
    drawn = draw_sample(picture, truth, shown)
    assert (picture == 20).all()

    def edge(left):
        """Colours at the left edge of a box."""
        return {tuple(map(int, pixel)) for pixel in drawn[140:155, left]}

    assert edge(100) <= {RIGHT_BGR, TRUE_BGR}
    assert RIGHT_BGR in edge(100)
    assert edge(440) == {DISPLACED_BGR}
    assert edge(1100) == {WRONG_BGR}
    assert edge(900) == {(20, 20, 20)}
    assert WRONG_BGR in edge(700)  # missed
    assert TRUE_BGR in edge(400)  # displaced is not missed


def test_frame_picture_shows_two_models(rig):
    seen = np.full((650, 1920, 3), 20, np.uint8)
    truth = TruthFrame.of([[900, 300, 1000, 360]], [1])
    predicted = {
        'first': found([300, 300, 400, 360]),
        'second': found([600, 300, 700, 360], [1300, 300, 1400, 360], scores=[0.9, 0.01]),
    }
    picture = draw_frame(rig, truth, predicted, 'caption', seen)
    assert (seen == 20).all()
    assert tuple(picture[330, 300]) == A_BGR
    assert tuple(picture[330, 600]) == B_BGR
    assert tuple(picture[330, 1300]) == (20, 20, 20)
    assert pictures.TRUE_BGR in {tuple(map(int, pixel)) for pixel in picture[300:360, 900]}
    assert (picture[:100, :400] != 20).any()
    bearings = draw_frame(rig, truth, {}, '')
    horizon = round(rig.camera.cy)
    assert (bearings[horizon - 40, ::100] == 40).all()
    ahead = round(rig.camera.cx)
    assert tuple(bearings[horizon + 100, ahead]) == (80, 80, 80)
    aside = round(rig.camera.cx - rig.camera.fx * np.tan(np.radians(20)))
    assert tuple(bearings[horizon + 100, aside]) in ((80, 80, 80), (58, 58, 58))
    assert (bearings[horizon + 100, aside - 1 : aside + 2] == 80).any()


def test_seed_pictures_show_the_daytime_scene_at_the_window_time(rig):
    """The picture equals one rendered from the scene of the seed."""
    small = replace(
        rig,
        camera=replace(
            rig.camera,
            width_px=240,
            height_px=81,
            **{name: getattr(rig.camera, name) / 8 for name in ('fx', 'fy', 'cx', 'cy')},
        ),
    )
    record = DriveRecord('seed 100003', [0.5, 1.25])
    picture = pictures.seed_pictures(small, 4.0)(record, 1)
    scene = random_scene(100_003, small, 4.0)
    day = random_conditions(100_003, scene.temperature_c, night=False)
    expected = render_rgb(scene, day, 1.25)
    np.testing.assert_array_equal(picture, expected[..., ::-1])


def test_missing_picture_is_replaced_by_a_drawn_road(dataset, rig):
    frames = frames_of(dataset)
    read = pictures.dataset_pictures(dataset, frames, rig)
    record = DriveRecord('drive_day_1', [0.0] * 6)
    # The grey value of the written drives: 60, and 20 more for each frame.
    assert abs(read(record, 3).astype(int) - 120).max() <= 2
    next((dataset / 'drive_day_1' / 'fl_rgb').glob(f'*{frames["drive_day_1"][3].stamp}*')).unlink()
    np.testing.assert_array_equal(read(record, 3), draw_road(rig.camera))
