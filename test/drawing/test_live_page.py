"""The live page in the Rerun viewer."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest

from avdet_ros.drawing.from_above import Placed
from avdet_ros.drawing.live_page import SCREENS, LivePage
from avdet_ros.errors import AvdetError


def test_unknown_distances_do_not_hide_known_ones(rig, tmp_path, monkeypatch):
    pytest.importorskip('rerun')
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    shown, blank = [], page._rr.Clear(recursive=False)
    monkeypatch.setattr(page, '_jpeg', lambda image: shown.append(image) or blank)
    distance = np.linspace(1, 80, 12, dtype=np.float32).reshape(3, 4)
    distance[0, :3] = np.nan, np.inf, -np.inf
    page.picture(distance)
    assert shown[0].dtype == np.uint8
    assert shown[0][0, :3].max() == 0
    assert shown[0][-1, -1] == 255
    assert 100 < shown[0][1, 2] < 200


@pytest.mark.parametrize(
    ('size_px', 'scale'), [((400, 900), 1.0), ((1300, 3840), 0.5), ((3840, 2), 0.5)]
)
def test_boxes_are_scaled_with_downscaled_picture(rig, tmp_path, monkeypatch, size_px, scale):
    pytest.importorskip('rerun')
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    logged = {}
    monkeypatch.setattr(page._stream, 'log', lambda name, entity: logged.update({name: entity}))
    page.picture(np.zeros(size_px, np.uint8))
    page.boxes('tracks', np.array([[100.0, 200, 300, 400]]), np.array([0.5]), ['7'])
    blob = logged['camera/picture'].blob.as_arrow_array().to_pylist()[0]
    picture = cv2.imdecode(np.array(blob, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture.shape == (size_px[0] * scale, size_px[1] * scale)
    centre = logged['camera/tracks'].centers.as_arrow_array().to_pylist()[0]
    assert centre == [200 * scale, 300 * scale]


def test_heat_map_is_scaled_to_shown_picture(rig, tmp_path, monkeypatch):
    pytest.importorskip('rerun')
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    logged = {}
    monkeypatch.setattr(page._stream, 'log', lambda name, entity: logged.update({name: entity}))
    page.picture(np.zeros((1300, 3840), np.uint8))
    page.heat(np.array([[0.0, 1.0]]))
    blob = logged['camera/attention'].blob.as_arrow_array().to_pylist()[0]
    lit = cv2.imdecode(np.array(blob, np.uint8), cv2.IMREAD_COLOR).sum(axis=2)
    assert lit.shape == (650, 1920)
    assert lit[300, 1900] > 400 > 50 > lit[300, 20]
    page.heat(np.zeros((0, 0)))
    assert type(logged['camera/attention']).__name__ == 'Clear'


@pytest.mark.parametrize('shape', [(1, 100_000), (100_000, 1), (1, 1)])
def test_picture_of_any_shape_is_shown(rig, tmp_path, shape):
    pytest.importorskip('rerun')
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    page.picture(np.zeros(shape, np.uint8))
    page.sound(np.zeros((8, *shape), np.float32))


def test_vehicles_are_shown_from_above_with_forward_up(rig, tmp_path, monkeypatch):
    pytest.importorskip('rerun')
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    logged = {}
    monkeypatch.setattr(page._stream, 'log', lambda name, entity: logged.update({name: entity}))
    for step in range(2):
        page.ground(step, [Placed(7, np.array([20.0 + step, 5.0]), np.diag([4.0, 1.0]))])
    (outline,) = logged['above/ellipses'].strips.as_arrow_array().to_pylist()
    middle = np.mean(outline[:-1], axis=0)
    assert middle == pytest.approx([-5.0, -21.0], abs=1e-3)
    (trail,) = logged['above/trails'].strips.as_arrow_array().to_pylist()
    np.testing.assert_allclose(trail, [[-5, -20], [-5, -21]])


def test_hidden_vehicle_is_shown_with_line_and_label(rig, tmp_path, monkeypatch):
    pytest.importorskip('rerun')
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    logged = {}
    monkeypatch.setattr(page._stream, 'log', lambda name, entity: logged.update({name: entity}))
    page.hidden(np.array([[10.0, 20.0]]), [7], ['#7 heard, not seen'])
    shown = logged['above/hidden']
    np.testing.assert_allclose(shown.strips.as_arrow_array().to_pylist(), [[[0, 0], [-20, -10]]])
    assert shown.labels.as_arrow_array().to_pylist() == ['#7 heard, not seen']
    page.hidden(np.zeros((0, 2)), [], [])  # the vehicle is gone or in sight
    assert not logged['above/hidden'].strips.as_arrow_array().to_pylist()


def test_missing_viewer_error_names_constraints_file(rig, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rerun', None)
    with pytest.raises(AvdetError, match=r'found none .*constraints\.txt'):
        LivePage(rig)


def test_missing_screen_error_names_web_and_save_options(rig, monkeypatch):
    pytest.importorskip('rerun')
    for name in SCREENS:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(AvdetError, match=r'found none of DISPLAY.*--web .*--save'):
        LivePage(rig)
