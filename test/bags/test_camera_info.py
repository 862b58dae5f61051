"""The camera matrix of images, from camera_info as real drivers send it."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from avdet_ros.bags.camera_info import (
    CameraModel,
    _scale,
    first_calibrated,
    info_topic,
    is_rectified,
    model_of,
)
from avdet_ros.bags.reader import Bag
from avdet_ros.bags.writer import BagWriter
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import CAMERA_INFO
from avdet_ros.messages.encode_offline import make_header
from avdet_ros.messages.typestore import serialize, typestore

SIZE = (1920, 1080)
K = [1000.0, 0, 950, 0, 1010, 550, 0, 0, 1]
P = [900.0, 0, 955, 0, 0, 910, 545, 0, 0, 0, 1, 0]
NO_CROP = (0, 0, 0, 0)


def info(size=SIZE, k=K, p=P, d=(), model='plumb_bob', binning=(0, 0), crop=NO_CROP, frame='cam'):
    """A camera_info; ``crop`` is x, y, width, height."""
    roi = SimpleNamespace(
        x_offset=crop[0], y_offset=crop[1], width=crop[2], height=crop[3], do_rectify=False
    )
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=frame),
        width=size[0],
        height=size[1],
        distortion_model=model,
        d=np.array(d, np.float64),
        k=np.array(k, np.float64),
        p=np.array(p, np.float64),
        binning_x=binning[0],
        binning_y=binning[1],
        roi=roi,
    )


def found(message, picture_px, rectified=False):
    """Focal lengths and principal point of images of a size."""
    model = model_of(message, picture_px, rectified, '/camera/camera_info', 'picture frame')
    assert model.size_px == picture_px
    assert model.matrix[[0, 1, 2, 2, 2], [1, 0, 0, 1, 2]].tolist() == [0, 0, 0, 0, 1]
    return [model.matrix[0, 0], model.matrix[1, 1], model.matrix[0, 2], model.matrix[1, 2]]


OF_K = [1000, 1010, 950, 550]
HALF = [500, 505, 475, 275]
PICTURES = {
    'as calibrated': (info(), SIZE, OF_K),
    'binned as declared': (info(binning=(2, 2)), (960, 540), HALF),
    'binned along one side': (info(binning=(1, 2)), (1920, 540), [1000, 505, 950, 275]),
    'binned, calibrated binned': (info(binning=(2, 2)), SIZE, OF_K),
    'binned by three, rounded': (info(binning=(7, 7)), (274, 154), [x / 7 for x in OF_K]),
    'scaled without declaration': (info(), (960, 540), HALF),
    'scaled up': (info(), (3840, 2160), [2 * x for x in OF_K]),
    'scaled and rounded': (info(), (853, 480), [x * 853 / 1920 for x in OF_K]),
    'cropped': (info(crop=(100, 50, 1600, 900)), (1600, 900), [1000, 1010, 850, 500]),
    'cropped and binned': (
        info(crop=(100, 50, 1600, 900), binning=(2, 2)),
        (800, 450),
        [500, 505, 425, 250],
    ),
    'cropped and scaled': (info(crop=(100, 50, 1600, 900)), (400, 225), [250, 252.5, 212.5, 125]),
    'full image with an unused crop': (info(crop=(100, 50, 1600, 900)), SIZE, OF_K),
    'crop of the full image': (info(crop=(0, 0, 1920, 1080)), SIZE, OF_K),
    'calibrated as cropped': (info(crop=(300, 200, 1920, 1080)), SIZE, OF_K),
    'without a size': (info(size=(0, 0)), SIZE, OF_K),
    'only P': (info(k=[0] * 9), SIZE, [900, 910, 955, 545]),
    'K the identity': (info(k=np.eye(3).ravel()), SIZE, [900, 910, 955, 545]),
}


@pytest.mark.parametrize('name', PICTURES)
def test_matrix_fits_the_image_size(name):
    message, picture_px, expected = PICTURES[name]
    within = 1.0 if 'round' in name else 1e-9
    assert found(message, picture_px) == pytest.approx(expected, rel=1e-2, abs=within)
    if 'round' not in name:
        assert found(message, picture_px) == pytest.approx(expected)


@pytest.mark.parametrize(
    ('message', 'picture_px', 'words'),
    [
        (info(), (1920, 650), 'pictures of 1920 x 1080, .*found 1920 x 650'),
        (info(), (640, 480), 'pictures of 1920 x 1080, .*found 640 x 480'),
        (info(crop=(0, 0, 1600, 900)), (1000, 900), 'or a crop of 1600 x 900.*found 1000 x 900'),
        (info(size=(0, 0)), (640, 480), 'found 0 x 0 for pictures of 640 x 480'),
        (info(size=(4, 6)), (4, 6), r'K and size, found K\[0\] 1000 and size 4 x 6$'),
    ],
)
def test_other_image_size_is_rejected_naming_both_sizes(message, picture_px, words):
    with pytest.raises(AvdetError, match=words):
        found(message, picture_px)


@pytest.mark.parametrize(
    ('calibrated', 'pictures', 'fits'),
    [
        ((1920, 190), (100, 10), True),  # 9.9 rows round to 10; 10 / 190 would give 101 columns
        ((190, 1920), (10, 100), True),
        ((1920, 1080), (853, 480), True),
        ((1920, 1080), (850, 480), False),
        ((1920, 190), (100, 11), False),
    ],
)
def test_scale_may_differ_by_rounding_of_the_shorter_side(calibrated, pictures, fits):
    expected = (pictures[0] / calibrated[0], pictures[1] / calibrated[1]) if fits else None
    assert _scale(calibrated, pictures) == expected


@pytest.mark.parametrize('fisheye', [False, True])
def test_undistort_moves_a_dot_to_its_pinhole_position(fisheye):
    """The lens equation gives the position of the dot in the distorted image."""
    matrix = np.array([[100.0, 0, 70], [0, 120, 55], [0, 0, 1]])
    lens = np.array([-0.2, 0.03, 0.01, -0.004]) if not fisheye else np.array([-0.1, 0.02, 0, 0])
    x, y = 0.4, -0.25
    square = x**2 + y**2
    if fisheye:
        angle = np.arctan(np.sqrt(square))
        bent = angle * (1 + lens[0] * angle**2 + lens[1] * angle**4) / np.sqrt(square)
        seen = x * bent, y * bent
    else:
        radial = 1 + lens[0] * square + lens[1] * square**2
        seen = (
            x * radial + 2 * lens[2] * x * y + lens[3] * (square + 2 * x**2),
            y * radial + lens[2] * (square + 2 * y**2) + 2 * lens[3] * x * y,
        )
    rows, columns = np.mgrid[:110, :140]
    place = matrix[:2, :2] @ seen + matrix[:2, 2]
    away = (columns - place[0]) ** 2 + (rows - place[1]) ** 2
    picture = np.round(250 * np.exp(-away / 8)).astype(np.uint8)
    model = CameraModel('cam', (140, 110), matrix, lens, fisheye)
    straight = model.undistort()(picture).astype(float)
    middle = [(straight * grid).sum() / straight.sum() for grid in (columns, rows)]
    assert middle == pytest.approx(matrix[:2, :2] @ (x, y) + matrix[:2, 2], abs=0.3)
    assert np.hypot(*(middle - place)) > 1
    none = CameraModel('cam', (140, 110), matrix, np.zeros(0), False)
    assert none.undistort()(picture) is picture


def test_rectified_images_use_matrix_p_and_no_distortion():
    message = info(d=(-0.3, 0.1, 0, 0, 0))
    assert found(message, SIZE, rectified=True) == [900, 910, 955, 545]
    assert not model_of(message, SIZE, True, 'x').distortion.any()
    assert model_of(message, SIZE, False, 'x').distortion.any()
    assert found(info(p=[0] * 12), SIZE, rectified=True) == OF_K


@pytest.mark.parametrize(
    ('topic', 'expected'),
    [
        ('/cam/image_raw', '/cam/camera_info'),
        ('/cam/image_raw/compressed', '/cam/camera_info'),
        ('/cam/depth/image_rect_raw/compressedDepth', '/cam/depth/camera_info'),
        ('/image', '/camera_info'),
    ],
)
def test_info_topic_is_next_to_the_image_topic(topic, expected):
    assert info_topic(topic) == expected


@pytest.mark.parametrize(
    ('model', 'd', 'kept', 'fisheye'),
    [
        ('plumb_bob', (0.1, 0.2, 0.3, 0.4, 0.5), 5, False),
        ('plumb_bob', (0.1, 0.2, 0, 0, 0, 0, 0, 0), 4, False),  # padded to eight
        ('Plumb Bob', (0.1, 0.2), 4, False),
        (' (plumb-bob) ', (0.1, 0.2), 4, False),
        ('radtan', (0.1, 0.2, 0.3, 0.4), 4, False),
        ('Brown_Conrady', (0.1, 0.2, 0.3, 0.4, 0.5), 5, False),
        ('rational_polynomial', tuple(np.arange(1, 9) / 10), 8, False),
        ('rational_polynomial', tuple(np.arange(1, 13) / 10), 12, False),
        ('rational_polynomial', (0.1, 0.2, 0.3, 0.4, 0.5, 0, 0, 0), 5, False),
        ('', tuple(np.arange(1, 15) / 10), 14, False),
        ('equidistant', (0.1, 0.2, 0.3, 0.4), 4, True),
        ('fisheye', (0.1, 0.2, 0.3, 0.4, 0.0), 4, True),
        ('kannala_brandt4', (0.1, 0.2, 0.3, 0.4), 4, True),
        ('none', (0, 0, 0, 0, 0), 0, False),
        ('inverse_brown_conrady', (), 0, False),
        ('double_sphere', (0.0, 0.0), 0, False),
    ],
)
def test_distortion_models_are_recognised_by_driver_names(model, d, kept, fisheye):
    camera = model_of(info(model=model, d=d), SIZE, False, 'x')
    assert (len(camera.distortion), camera.fisheye) == (kept, fisheye)
    assert camera.distortion == pytest.approx(np.pad(d, (0, 20))[:kept])
    picture = np.full((SIZE[1], SIZE[0]), 9, np.uint8)
    assert camera.undistort()(picture).shape == picture.shape


@pytest.mark.parametrize(
    ('model', 'd'),
    [
        ('double_sphere', (0.1, 0.2)),
        ('inverse_brown_conrady', (0.1, 0.2, 0, 0, 0)),
        ('equidistant', (0.1, 0.2, 0.3, 0.4, 0.5)),
        ('plumb_bob', (0.1, 0.2, 0.3)),
        ('plumb_bob', (0.1, np.nan, 0, 0, 0)),
    ],
)
def test_unsupported_distortions_are_rejected(model, d):
    with pytest.raises(AvdetError, match=f"expected distortion model plumb_bob.*'{model}' with"):
        model_of(info(model=model, d=d), SIZE, False, 'x')


@pytest.mark.parametrize(
    ('message', 'picture_px', 'rectified', 'how'),
    [
        (info(), SIZE, False, ''),
        (info(), SIZE, True, 'rectified pictures: P'),
        (info(p=[0] * 12), SIZE, True, 'rectified pictures: K, since P is empty'),
        (info(k=[0] * 9), SIZE, False, 'P, since K is empty'),
        (info(), (960, 540), False, 'scaled from 1920 x 1080 to 960 x 540'),
        (info(size=(0, 0)), SIZE, False, 'without a size: that of the pictures'),
        (
            info(crop=(100, 50, 1600, 900)),
            (400, 225),
            True,
            'rectified pictures: P; cropped to 1600 x 900 at 100, 50, scaled from .* to 400 x 225',
        ),
    ],
)
def test_model_describes_how_it_was_derived(message, picture_px, rectified, how):
    assert re.fullmatch(how, model_of(message, picture_px, rectified, 'x').how)


@pytest.mark.parametrize(
    ('topic', 'rectified'),
    [
        ('/camera/image_rect', True),
        ('/camera/image_rect_color', True),
        ('/camera/rectified/image', True),
        ('/camera/image_raw', False),
        ('/direct/image', False),
        ('/camera/rectangle', False),
    ],
)
def test_rectified_images_are_recognised_by_topic_name(topic, rectified):
    assert is_rectified(topic) == rectified


def test_missing_image_size_is_taken_from_camera_info():
    model = model_of(info(binning=(2, 2)), None, False, 'x')
    assert (model.size_px, model.matrix[0, 0]) == ((960, 540), 500)
    with pytest.raises(AvdetError, match='found 0 x 0 for pictures of none'):
        model_of(info(size=(0, 0)), None, False, 'x')
    with pytest.raises(AvdetError, match='expected a camera matrix in K or P, found none in eit'):
        model_of(info(k=[0] * 9, p=[0] * 12), SIZE, False, 'x')


def test_empty_frame_id_falls_back_to_the_image_frame():
    assert model_of(info(frame=''), SIZE, False, 'x', 'picture frame').frame_id == 'picture frame'


@pytest.mark.parametrize('empty', [[0.0] * 9, list(np.eye(3).ravel()), [np.nan] * 9])
def test_first_message_with_a_matrix_is_used(tmp_path, empty):
    types = typestore().types
    roi = types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)

    def message(k):
        parts = np.zeros(5), np.array(k, np.float64), np.eye(3).ravel(), np.zeros(12)
        return types[CAMERA_INFO](make_header(1, 'cam'), 8, 8, '', *parts, 0, 0, roi)

    for name, rows in {'late': [empty, empty, K, P[:9]], 'never': [empty, empty]}.items():
        with BagWriter(tmp_path / name) as writer:
            for index, k in enumerate(rows):
                writer.write('/camera_info', CAMERA_INFO, serialize(message(k)), index + 1)
    with Bag(tmp_path / 'late') as bag:
        assert first_calibrated(bag, '/camera_info')[0].k.tolist() == K
    with Bag(tmp_path / 'never') as bag:
        nothing, words = first_calibrated(bag, '/camera_info')
    assert nothing is None
    assert words.endswith('size 8 x 8')
