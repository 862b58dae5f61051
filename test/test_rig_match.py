from __future__ import annotations

from dataclasses import replace
import json

import numpy as np
import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path, load_rig
from avdet_ros.rig_match import check_recorded_rig, rig_difference, rig_digest, rig_numbers


def test_rig_matches_itself_after_a_file_and_within_rounding():
    rig = load_rig()
    there = json.loads(json.dumps(rig_numbers(rig)))
    assert rig_difference(rig, there) == ''
    near = replace(rig, microphones_m=rig.microphones_m + 5e-4)
    assert rig_difference(near, there) == ''


def test_positions_are_rounded_to_a_micrometre():
    rig = load_rig()
    exact = np.array([1.23456789, -0.00000149, 2.0])
    camera = replace(rig.camera, position_m=exact, rotation=np.diag(exact))
    numbers = rig_numbers(replace(rig, camera=camera, microphones_m=np.tile(exact, (8, 1))))
    kept = [1.234568, -0.000001, 2.0]
    assert numbers['camera_position_m'] == kept
    assert numbers['microphones_m'] == [kept] * 8
    assert np.diag(numbers['camera_rotation']).tolist() == kept


@pytest.mark.parametrize(
    ('key', 'change'),
    [
        ('sample_rate_hz', lambda rig: replace(rig, sample_rate_hz=48000)),
        ('image_px', lambda rig: replace(rig, camera=replace(rig.camera, width_px=1280))),
        ('microphones_m', lambda rig: replace(rig, microphones_m=rig.microphones_m * 1.1)),
        ('focal_px', lambda rig: replace(rig, camera=replace(rig.camera, fx=rig.camera.fx + 9))),
        ('principal_px', lambda rig: replace(rig, camera=replace(rig.camera, cy=320.0))),
        (
            'camera_position_m',
            lambda rig: replace(
                rig, camera=replace(rig.camera, position_m=rig.camera.position_m + 0.2)
            ),
        ),
        (
            'camera_rotation',
            lambda rig: replace(
                rig, camera=replace(rig.camera, rotation=rig.camera.rotation[[0, 2, 1]])
            ),
        ),
    ],
)
def test_rig_difference_names_the_differing_key(key, change):
    rig = load_rig()
    assert rig_difference(change(rig), rig_numbers(rig)).startswith(f'{key}: expected')


@pytest.mark.parametrize('value', [None, 'wide', [1920], [[1], [2, 3]], [np.nan, 650]])
def test_invalid_numbers_of_a_file_are_reported_as_a_difference(value):
    rig = load_rig()
    found = {**rig_numbers(rig), 'image_px': value}
    assert rig_difference(rig, found).startswith('image_px: expected [1920, 650], found')


def test_missing_key_is_reported_as_none():
    rig = load_rig()
    found = {key: value for key, value in rig_numbers(rig).items() if key != 'sample_rate_hz'}
    assert rig_difference(rig, found) == 'sample_rate_hz: expected 44100, found none'


def test_recorded_drive_of_another_camera_is_rejected(tmp_path):
    text = default_rig_path().read_text()
    own = tmp_path / 'rig.yaml'
    own.write_text(text)
    check_recorded_rig(own, load_rig())
    check_recorded_rig(tmp_path / 'none.yaml', load_rig())
    own.write_text(text.replace('pitch_deg: ', 'pitch_deg: 1'))
    with pytest.raises(AvdetError, match=r'rig\.yaml: camera_rotation: .* use --rig'):
        check_recorded_rig(own, load_rig())


def test_calibrated_copy_matches_the_recorded_rig(tmp_path):
    own = tmp_path / 'rig.yaml'
    own.write_bytes(default_rig_path().read_bytes())
    rig = load_rig()
    moved = rig.microphones_m + [0.02, -0.01, 0]
    order = [0, 6, 2, 3, 4, 5, 1, 7]
    calibrated = replace(
        rig,
        names=tuple(rig.names[k] for k in order),
        microphones_m=moved[order],
        gain_db=np.linspace(-1, 1, 8),
    )
    check_recorded_rig(own, calibrated)
    delay_s, dead = np.linspace(0, 1e-4, 8), np.arange(8) == 3
    for error in ({'delay_s': delay_s}, {'alive': ~dead}, {'delay_s': delay_s, 'alive': ~dead}):
        check_recorded_rig(own, replace(rig, microphones_m=moved, **error))
    for other in (
        replace(rig, microphones_m=moved),  # moved without calibration
        replace(calibrated, microphones_m=moved),  # names at other positions
        replace(calibrated, microphones_m=moved[order] + [0.04, 0, 0]),
        replace(calibrated, channels=rig.channels[order]),
        replace(calibrated, camera=replace(rig.camera, fx=rig.camera.fx + 9)),
    ):
        with pytest.raises(AvdetError, match='use --rig'):
            check_recorded_rig(own, other)


def test_digest_depends_on_values_and_not_on_comments(tmp_path):
    own = tmp_path / 'rig.yaml'
    own.write_text('# our car\n' + default_rig_path().read_text(encoding='utf-8'))
    rig = load_rig(own)
    assert rig_digest(rig) == rig_digest(load_rig())
    others = [
        replace(rig, microphones_m=rig.microphones_m + 1e-6),
        replace(rig, alive=np.arange(8) != 3),
        replace(rig, frame_id='car'),
        replace(rig, camera=replace(rig.camera, frame_id='car')),
    ]
    assert len({rig_digest(each) for each in [rig, *others]}) == 5
