from __future__ import annotations

from dataclasses import replace
import json

from helpers.models import set_metadata
import numpy as np
from onnx import TensorProto
import pytest
from scipy.spatial.transform import Rotation

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.angles import EYE_HEIGHT_M
from avdet_ros.detection.contract import contract_for, metadata
from avdet_ros.detection.contract_check import check, differences, remarks
from avdet_ros.detection.model_file import read_model
from avdet_ros.detection.session import Detector
from avdet_ros.detection.steering import azimuth_grid
from avdet_ros.errors import AvdetError

EYE = 'avdet.eye_height_m'


@pytest.fixture
def array_keys(make_array_model):
    return [e.key for e in make_array_model().metadata_props if e.key.startswith('avdet.')]


def stretched(rig, factor):
    centre = rig.array_position_m
    return replace(rig, microphones_m=(rig.microphones_m - centre) * factor + centre)


def test_array_contract_round_trips_through_a_model_file(make_array_model, save):
    _, contract = read_model(save(make_array_model()))
    assert contract.contract_version == 2
    assert contract.steering_shape == (80, 80, 24)
    assert contract.microphones_m is None
    assert contract.ranges.aperture_m == (0.2, 1.5)
    assert contract.eye_height_m == EYE_HEIGHT_M
    np.testing.assert_allclose(contract.azimuths_deg, azimuth_grid(), atol=1e-6)
    assert 'avdet.image_width' not in metadata(contract)


def test_every_metadata_key_except_eye_height_is_required(make_array_model, save, array_keys):
    assert {'avdet.azimuths_deg', EYE} <= set(array_keys)
    for key in set(array_keys) - {EYE}:
        with pytest.raises(AvdetError, match=rf'{key}: expected a value, found none'):
            read_model(save(set_metadata(make_array_model(), key, None)))


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        (EYE, '-1'),
        (EYE, 'NaN'),
        (EYE, 'high'),
        ('avdet.azimuths_deg', '[]'),
        ('avdet.azimuths_deg', '[[1, 2]]'),
        ('avdet.azimuths_deg', '[1, NaN]'),
        ('avdet.azimuths_deg', '["a"]'),
        ('avdet.azimuths_deg', json.dumps([0.0] * 1025)),
        ('avdet.aperture_m', '[2, 1]'),
        ('avdet.aperture_m', '[1]'),
        ('avdet.spacing_m', '3'),
        ('avdet.live_microphones', '{"low": 3}'),
        ('avdet.features', json.dumps(['a'] * 31)),
    ],
)
def test_errors_of_bad_values_name_the_key(make_array_model, save, key, value):
    with pytest.raises(AvdetError, match=rf'{key}: expected .*, found .') as caught:
        read_model(save(set_metadata(make_array_model(), key, value)))
    assert len(str(caught.value)) < 500


def test_graph_must_match_the_metadata(make_array_model, make_model, save):
    for shape in [(80, 79, 24), (64, 80, 24), (80, 80, 56), (1, 80, 80, 24)]:
        with pytest.raises(
            AvdetError, match=r'input steering: expected float \[80, 80, 24\], found float'
        ):
            read_model(save(make_array_model(steering_shape=shape)))
    model = make_array_model()
    del model.graph.output[3]
    with pytest.raises(AvdetError, match='outputs: expected boxes, scores, labels, range_m'):
        read_model(save(model))
    model = make_array_model()
    model.graph.input[1].type.tensor_type.elem_type = TensorProto.DOUBLE
    with pytest.raises(AvdetError, match=r'input steering: expected float .* found double'):
        read_model(save(model))
    # A file of contract 1 with a steering input is invalid.
    model = make_array_model()
    for key, value in metadata(contract_for_rig()).items():
        if key not in {entry.key for entry in model.metadata_props}:
            model.metadata_props.add(key=key, value=value)
    with pytest.raises(AvdetError, match='inputs: expected spectrogram, found'):
        read_model(save(set_metadata(model, 'avdet.contract_version', '1')))


def contract_for_rig():
    from avdet_ros.rig import load_rig

    return contract_for(load_rig(), FrontEnd(), -0.5)


def test_any_rig_fits_and_values_outside_training_are_reported(
    make_array_model, save, rig, front_end
):
    _, contract = read_model(save(make_array_model()))
    camera = replace(rig.camera, width_px=1280, height_px=720, fx=800.0, cx=640.0)
    other = replace(stretched(rig, 1.3), camera=camera, array_yaw_deg=33.0)
    check(contract, other, front_end)
    turn = np.array([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])
    yawed = replace(rig, camera=replace(rig.camera, rotation=rig.camera.rotation @ turn))
    assert remarks(contract, rig) == remarks(contract, other) == remarks(contract, yawed) == []
    found = remarks(contract, stretched(rig, 8))
    assert [sentence.split(':')[0] for sentence in found] == ['aperture_m', 'spacing_m']
    assert 'expected 0.2 to 1.5 as the model was taught, found 4' in found[0]
    alive = np.arange(8) < 4
    found = remarks(contract, replace(rig, alive=alive))
    assert any(sentence.startswith('live_microphones') for sentence in found)
    line = rig.microphones_m.copy()
    line[:, 0] = rig.array_position_m[0]
    assert 'on one line' in remarks(contract, replace(rig, microphones_m=line))[-1]
    with pytest.raises(AvdetError, match=r'avdet\.n_mels: expected 80 as .*, found 64'):
        check(contract, rig, FrontEnd(n_mels=64))


@pytest.mark.parametrize(('eye', 'middle_y'), [('1.5', 305), (None, 285)])
def test_boxes_are_in_pixels_of_the_camera_in_use(
    make_array_model, save, rig, front_end, eye, middle_y
):
    """Boxes of older files are relative to the centre of the array."""
    model = set_metadata(make_array_model(), EYE, eye)
    detector = Detector(save(model), rig, front_end, providers=['cpu'])
    blank = np.zeros((32, 80, 173), np.float32)
    found = detector.detect(blank)
    # 10 m from the array is 9.7 m from the camera, which is 0.15 m lower than the array and
    # 0.05 m higher than the eye.
    x, y = 2e3 / 9.7, 1e3 / 9.7
    expected = [960 - x, middle_y - y, 960 + x, middle_y + y]
    np.testing.assert_allclose(found.boxes_px, [expected], atol=3)
    np.testing.assert_allclose(found.range_m, [[8, 10, 13]])
    assert found.range_m.dtype == np.float32
    assert len(found.only(np.zeros(1, bool)).range_m) == 0
    narrow = replace(rig, camera=replace(rig.camera, fx=4000.0, fy=4000.0))
    detector.use_rig(narrow, front_end)
    cut = detector.detect(blank).boxes_px[0]
    assert tuple(cut[[0, 2]]) == (pytest.approx(142, abs=10), pytest.approx(1778, abs=10))


def test_boxes_beyond_the_image_are_returned_on_request(make_array_model, save, rig, front_end):
    """Boxes ahead, across the left edge, right of the image, behind the camera, mostly outside."""
    boxes = [
        [-0.2, -0.1, 0.2, 0.1],
        [-1.1, -0.1, -0.7, 0.1],
        [1.1, -0.1, 1.3, 0.1],
        [0, 0, 1, 1],
        [-1.3, -0.1, -0.85, 0.1],
    ]
    near = [[8, 10, 13]] * 3 + [[0.1, 0.2, 0.3], [8, 10, 13]]
    model = make_array_model(boxes=boxes, scores=[0.9, 0.8, 0.7, 0.6, 0.5], range_m=near)
    detector = Detector(save(model), rig, front_end, providers=['cpu'])
    blank = np.zeros((32, 80, 173), np.float32)
    inside, every = detector.detect(blank), detector.detect(blank, beyond_image=True)
    assert inside.scores == pytest.approx([0.9, 0.8])
    assert every.scores == pytest.approx([0.9, 0.8, 0.7, 0.5])
    # Less than a quarter of the last box lies in the image: too little to count as inside.
    assert 0 == every.boxes_px[3, 0] < every.boxes_px[3, 2]
    assert np.array_equal(every.boxes_px[:2], inside.boxes_px)
    assert inside.boxes_px[1, 0] == 0
    left, _, right, _ = every.boxes_px[2]
    assert 1920 < left < right
    # The bearings, positive to the left, are those of the box centres.
    lefts = [np.arctan(sides).mean() for sides in ([1.1, 0.7], [1.3, 0.85])]
    expected = [0, lefts[0], -np.arctan([1.1, 1.3]).mean(), lefts[1]]
    assert every.azimuth_rad == pytest.approx(expected, abs=1e-5)
    for yaw_deg in (50.0, 170.0, -160.0):
        turn = Rotation.from_euler('z', yaw_deg, degrees=True).as_matrix()
        camera = replace(rig.camera, rotation=rig.camera.rotation @ turn.T)
        detector.use_rig(replace(rig, camera=camera), front_end)
        turned = detector.detect(blank, beyond_image=True).azimuth_rad[:3]
        apart = (turned - np.array(expected[:3]) - np.radians(yaw_deg) + 1) % (2 * np.pi)
        assert apart == pytest.approx([1.0] * 3, abs=1e-5)
        assert np.abs(turned).max() <= np.pi + 1e-6


def test_steering_follows_the_rig(
    make_array_model, save, rig, front_end, scattered, plane_wave, caplog
):
    """The tiny model scores by its largest steered response: a wave fits its own array only."""
    detector = Detector(save(make_array_model()), rig, front_end, providers=['cpu'])
    other = scattered(3)
    features = front_end.compute(plane_wave(other, 12.0))
    wrong = detector.detect(features).scores[0]
    detector.use_rig(other, front_end)
    right = detector.detect(features).scores[0]
    assert right > 1.5 * wrong
    assert detector.notes == []
    detector.use_rig(stretched(rig, 8), front_end)
    assert [note.split(':')[0] for note in detector.notes] == ['aperture_m', 'spacing_m']
    assert 'aperture_m' in caplog.text
    detector.use_rig(rig, front_end)
    assert detector.notes == []
    with pytest.raises(AvdetError, match='n_mels'):
        detector.use_rig(other, FrontEnd(n_mels=64))
    assert len(detector.detect(features)) == 1


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ({'range_m': [[5.0, np.nan, 7.0]]}, 'range_m: expected positive finite'),
        ({'range_m': [[0.0, 5.0, 7.0]]}, 'range_m: expected positive finite'),
        ({'range_m': [[9.0, 8.0, 10.0]]}, 'range_m: expected rising'),
        ({'range_m': [[1.0, 2.0, 3.0]] * 2}, r'range_m: expected shape \(1, 3\), found \(2, 3\)'),
        ({'boxes': [[0, 0, np.inf, 1]]}, 'finite numbers'),
        ({'scores': [2.0]}, 'from 0 to 1'),
    ],
)
def test_model_outputs_are_checked(make_array_model, save, rig, front_end, options, sentence):
    detector = Detector(save(make_array_model(**options)), rig, front_end, providers=['cpu'])
    with pytest.raises(AvdetError, match=sentence):
        detector.detect(np.zeros((32, 80, 173), np.float32))


def test_model_of_one_rig_checks_camera_and_mounting(make_model, save, rig, front_end):
    _, contract = read_model(save(make_model()))
    assert differences(contract, rig, front_end) == []
    assert remarks(contract, rig) == []
    turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    others = {
        'avdet.focal_px': replace(rig, camera=replace(rig.camera, fx=2000.0)),
        'avdet.principal_px': replace(rig, camera=replace(rig.camera, cx=900.0)),
        'avdet.camera_position_m': replace(
            rig, camera=replace(rig.camera, position_m=rig.camera.position_m + [0, 0, 0.5])
        ),
        'avdet.camera_rotation': replace(
            rig, camera=replace(rig.camera, rotation=rig.camera.rotation @ turn)
        ),
        'avdet.array_position_m': replace(
            rig,
            array_position_m=rig.array_position_m + [0.5, 0, 0],
            microphones_m=rig.microphones_m + [0.5, 0, 0],
        ),
    }
    for key, other in others.items():
        with pytest.raises(AvdetError, match=rf'{key}: expected .*, found'):
            check(contract, other, front_end)
    nearly = replace(rig, camera=replace(rig.camera, fx=1005.0, cx=965.0))
    check(contract, nearly, front_end)


def test_turned_array_is_rejected(make_model, save, rig, front_end):
    _, contract = read_model(save(make_model()))
    centre = rig.array_position_m
    quarter = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    turned = replace(
        rig, array_yaw_deg=90.0, microphones_m=(rig.microphones_m - centre) @ quarter + centre
    )
    with pytest.raises(AvdetError, match=r'avdet\.array_yaw_deg: expected 0 .*, found 90'):
        check(contract, turned, front_end)


def test_older_files_without_mounting_are_accepted_with_a_remark(
    make_model, save, rig, front_end, caplog
):
    model = make_model()
    for key in (
        'focal_px',
        'principal_px',
        'camera_position_m',
        'camera_rotation',
        'array_position_m',
        'array_yaw_deg',
    ):
        set_metadata(model, 'avdet.' + key, None)
    detector = Detector(save(model), rig, front_end, providers=['cpu'])
    assert detector.notes == []
    assert 'does not say with which camera' in remarks(detector.contract, rig)[0]
    assert 'does not say with which camera' in caplog.text
    with pytest.raises(AvdetError, match=r'avdet\.focal_px: expected a value, found none'):
        read_model(save(set_metadata(make_model(), 'avdet.focal_px', None)))


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('avdet.focal_px', '[0, 1000]'),
        ('avdet.camera_rotation', '[[1, 0, 0], [0, 1, 0], [0, 0, 2]]'),
        ('avdet.array_yaw_deg', '"north"'),
        ('avdet.camera_position_m', '[1, 2]'),
    ],
)
def test_invalid_mounting_values_are_rejected(make_model, save, key, value):
    with pytest.raises(AvdetError, match=rf'{key}: expected .*, found .'):
        read_model(save(set_metadata(make_model(), key, value)))
