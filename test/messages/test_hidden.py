"""The message of hidden vehicles and the map that is received."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy')

from geometry_msgs.msg import Point, Pose, Quaternion
from nav_msgs.msg import MapMetaData, OccupancyGrid

from avdet_ros.errors import AvdetError
from avdet_ros.messages.encode import encode_header
from avdet_ros.messages.hidden import HIDDEN_POINT, decode_cells, encode_hidden
from avdet_ros.messages.hidden_points import hidden_lines
from avdet_ros.tracking.around_corner import IMAGE, Sight


def test_point_contains_the_documented_fields():
    track = SimpleNamespace(
        track_id=7,
        position_m=np.array([3.0, 4.0]),
        size_m=np.array([4.0, 1.6]),
        score=0.75,
        bearing_rad=0.9273,
    )
    sight = Sight(track, 0.9, IMAGE, -0.25, -2.0, 1.0, 1.5, 0.5)
    cloud = encode_hidden(encode_header(2_500_000_000, 'base_link'), [sight])
    assert (cloud.width, cloud.point_step, cloud.header.frame_id) == (1, 56, 'base_link')
    assert [field.name for field in cloud.fields] == list(HIDDEN_POINT.names)
    assert [field.offset for field in cloud.fields] == list(range(0, 56, 4))
    kinds = {field.name: field.datatype for field in cloud.fields}
    assert (kinds['id'], kinds['by'], kinds['x']) == (6, 6, 7)  # UINT32, FLOAT32
    point = np.frombuffer(bytes(cloud.data), HIDDEN_POINT)[0]
    expected = {
        'x': 3,
        'y': 4,
        'z': 0.8,
        'bearing': 0.9273,
        'bearing_rate': -0.25,
        'range_rate': -2,
        'std_range_rate': 1,
        'time_to_sight': 1.5,
        'std_time_to_sight': 0.5,
        'hidden': 0.9,
        'approaching': 0.97725,
        'score': 0.75,
        'by': 1,
        'id': 7,
    }
    assert {name: float(point[name]) for name in HIDDEN_POINT.names} == pytest.approx(
        expected, abs=1e-5
    )
    assert encode_hidden(encode_header(1, 'base_link'), []).width == 0


def cloud_of(bearing=0.9273, sight_s=1.5, rate_mps=-2.0):
    track = SimpleNamespace(
        track_id=7,
        position_m=np.array([3.0, 4.0]),
        size_m=np.array([4.0, 1.6]),
        score=0.75,
        bearing_rad=bearing,
    )
    sight = Sight(track, 0.9, IMAGE, -0.25, rate_mps, 1.0, sight_s, 0.5)
    return encode_hidden(encode_header(2_500_000_000, 'base_link'), [sight])


def test_hidden_lines_describe_a_point_in_words():
    places_m, ids, words = hidden_lines(cloud_of())
    assert (places_m.tolist(), ids) == ([[3, 4]], [7])
    assert words == ['#7 heard, not seen, 53 left, comes nearer, in sight in 1.5 s']
    _, _, words = hidden_lines(cloud_of(bearing=-0.3, sight_s=-1.0, rate_mps=1.0))
    assert words == ['#7 heard, not seen, 17 right']
    assert hidden_lines(cloud_of(bearing=0.001, sight_s=-1.0, rate_mps=0.0))[2] == [
        '#7 heard, not seen, ahead'
    ]


def test_clouds_of_other_points_and_nan_are_rejected():
    other, cut, nan = cloud_of(), cloud_of(), cloud_of(bearing=float('nan'))
    other.point_step, cut.data = 16, cut.data[:-4]
    for message, found in ((other, 'points of 16'), (cut, '52 bytes'), (nan, 'finite numbers')):
        with pytest.raises(AvdetError, match=found):
            hidden_lines(message)


def grid(width=4, height=3, numbers=None, turn=1.0, cell_m=0.5):
    info = MapMetaData(
        resolution=cell_m,
        width=width,
        height=height,
        origin=Pose(position=Point(x=-1.0, y=-2.0), orientation=Quaternion(w=turn)),
    )
    data = np.zeros(width * height, np.int8) if numbers is None else numbers
    return OccupancyGrid(info=info, data=data.tolist())


def test_map_rows_run_along_y():
    numbers = np.zeros(12, np.int8)
    numbers[4 * 2 + 1] = 100  # column 1, row 2
    cells = decode_cells(grid(numbers=numbers))
    assert np.argwhere(cells.occupied).tolist() == [[2, 1]]
    assert (cells.origin.x_m, cells.origin.y_m) == (-1, -2)
    beside = np.array([[-0.25, -1.1], [-0.25, -0.5]])
    assert cells.blocked(np.array([-0.25, -1.8]), beside).tolist() == [False, True]


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'numbers': np.zeros(5, np.int8)}, 'expected 4 x 3 cells, found 5 numbers'),
        ({'turn': 0.0}, 'map: origin: expected a quaternion of length 1'),
        ({'cell_m': float('nan')}, 'expected cells of at most 10 m'),
        ({'width': 0, 'height': 0}, 'expected 1 to'),
    ],
)
def test_inconsistent_map_is_rejected(changes, words):
    with pytest.raises(AvdetError, match=words):
        decode_cells(grid(**changes))
