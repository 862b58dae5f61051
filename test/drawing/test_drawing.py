"""Pictures: what is where, and that odd input is drawn too."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from avdet_ros.drawing.live_page import LivePage
from avdet_ros.drawing.picture import Box, Painter, View
from avdet_ros.drawing.road import draw_road, horizon_y
from avdet_ros.drawing.sound_strip import SoundStrip
from avdet_ros.drawing.style import colour
from avdet_ros.drawing.trails import Trails, ground_place
from avdet_ros.drawing.video import VideoWriter, contact_sheet
from avdet_ros.errors import AvdetError
from avdet_ros.rig import load_rig


@pytest.fixture(scope='module')
def rig():
    return load_rig()


@pytest.fixture
def painter(rig):
    return Painter(rig)


def test_the_horizon_is_where_the_camera_says(rig):
    road = draw_road(rig.camera)
    assert road.shape == (650, 1920, 3)
    assert horizon_y(rig.camera) == pytest.approx(rig.camera.cy, abs=0.1)
    sky, ground = road[290, 5].astype(int), road[310, 5].astype(int)
    assert sky[0] > ground[0] + 20  # blue above, asphalt below


def test_neighbouring_identities_differ_in_colour():
    colours = np.array([colour(number) for number in range(1, 9)])
    apart = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 1000 * np.eye(8)
    assert apart.min() > 60


def test_a_box_is_drawn_and_its_label_stays_inside(painter):
    corner = Box(np.array([1890.0, -5.0, 1960.0, 60.0]), 3, 0.5)
    plain = painter.paint(View())
    picture = painter.paint(View(tracks=[corner]))
    changed = np.argwhere((picture != plain).any(axis=2))
    assert len(changed)
    assert picture.shape == plain.shape


@pytest.mark.parametrize(
    'box', [[0, 0, 0, 0], [-50, -50, -10, -10], [3000, 3000, 4000, 4000], [500, 500, 400, 400]]
)
def test_boxes_anywhere_do_no_harm(painter, box):
    painter.paint(
        View(tracks=[Box(np.array(box, float), 1)], truth=[Box(np.array(box, float), 2)])
    )


def test_an_image_of_another_size_is_fitted(painter):
    image = np.full((325, 960, 3), 90, np.uint8)
    picture = painter.paint(View(image=image))
    assert picture.shape == (650, 1920, 3)
    assert tuple(picture[300, 300]) == (90, 90, 90)


def test_the_strip_takes_only_what_is_new():
    strip = SoundStrip(seconds=2.0)
    quiet, loud = np.full((8, 80, 173), -90.0, 'f4'), np.full((8, 80, 173), -20.0, 'f4')
    strip.add(1.0, quiet)
    strip.add(1.1, loud)
    picture = strip.picture(80, round(2.0 * 172.27)).astype(int).sum(axis=2).mean(axis=0)
    bright = picture > picture.max() - 50
    assert bright.sum() == pytest.approx(17, abs=2)
    assert bright[-15:].all()
    np.testing.assert_allclose(strip.levels_db, -20, atol=0.1)


def test_the_strip_begins_anew_when_time_jumps_back():
    strip = SoundStrip(seconds=2.0)
    strip.add(100.0, np.full((8, 80, 173), -20.0, 'f4'))
    strip.add(1.0, np.full((8, 80, 173), -60.0, 'f4'))
    assert (strip._strip == -20.0).sum() == 0


def test_trails_forget(rig):
    trails = Trails(seconds=1.0)
    for step in range(30):
        trails.add(step * 0.1, [(4, np.array([step, 0, step + 10, 50.0]))] if step < 10 else [])
        if step == 9:
            ((number, points, ages),) = trails.lines(0.9)
            assert number == 4
            assert len(points) == 10
            assert ages[0] > ages[-1] == 0
    assert list(trails.lines(2.9)) == []


def test_a_box_stands_where_its_lower_edge_meets_the_road(rig):
    spot, depth = rig.camera.project([20.0, -3.0, 0.0])
    assert depth > 0
    box = np.array([spot[0] - 40, spot[1] - 60, spot[0] + 40, spot[1]])
    np.testing.assert_allclose(ground_place(rig.camera, box, 80), [20.0, -3.0], atol=0.05)
    above = np.array([900.0, 100, 1000, 200])
    assert np.hypot(*(ground_place(rig.camera, above, 80) - rig.camera.position_m[:2])) == (
        pytest.approx(80)
    )


def test_a_video_holds_its_frames(tmp_path):
    writer = VideoWriter(tmp_path / 'a.mp4', 10)
    for step in range(12):
        writer.add(np.full((64, 128, 3), 20 * step, np.uint8))
    writer.close()
    assert not writer.fault
    video = cv2.VideoCapture(str(tmp_path / 'a.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    video.set(cv2.CAP_PROP_POS_FRAMES, 6)
    assert video.read()[1].mean() == pytest.approx(120, abs=6)


def test_a_video_that_cannot_be_written_says_so(tmp_path):
    writer = VideoWriter(tmp_path / 'missing' / 'a.mp4', 10)
    for _ in range(80):
        writer.add(np.zeros((650, 1920, 3), np.uint8))
    writer.close()
    assert 'a.mp4' in writer.fault


def no_ffmpeg(*_, **__):
    raise RuntimeError('No ffmpeg exe could be found.')


@pytest.mark.parametrize('harm', ['no package', 'none found', 'not there'])
def test_a_video_without_ffmpeg_says_so_and_ends(tmp_path, monkeypatch, harm):
    if harm == 'no package':
        monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', None)
    elif harm == 'none found':
        broken = SimpleNamespace(write_frames=no_ffmpeg)
        monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', broken)
    else:
        monkeypatch.setenv('IMAGEIO_FFMPEG_EXE', str(tmp_path / 'ffmpeg'))
    writer = VideoWriter(tmp_path / 'a.mp4', 10)
    for _ in range(80):
        writer.add(np.zeros((64, 128, 3), np.uint8))
    writer.close()
    assert writer.fault.startswith(f'{tmp_path / "a.mp4"}: ')


def test_unknown_distances_do_not_hide_the_known_ones(rig, tmp_path, monkeypatch):
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
def test_boxes_lie_on_a_picture_that_is_shown_smaller(rig, tmp_path, monkeypatch, size_px, scale):
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


@pytest.mark.parametrize('shape', [(1, 100_000), (100_000, 1), (1, 1)])
def test_a_picture_of_any_shape_is_shown(rig, tmp_path, shape):
    pytest.importorskip('rerun')
    page = LivePage(rig, save=tmp_path / 'page.rrd')
    page.picture(np.zeros(shape, np.uint8))
    page.sound(np.zeros((8, *shape), np.float32))


def test_a_missing_viewer_is_one_sentence_with_the_pins(rig, monkeypatch):
    monkeypatch.setitem(sys.modules, 'rerun', None)
    with pytest.raises(AvdetError, match=r'found none .*constraints\.txt'):
        LivePage(rig)


def test_a_contact_sheet_has_rows_and_columns():
    pictures = [np.full((65, 192, 3), 10 * step, np.uint8) for step in range(7)]
    sheet = contact_sheet(pictures, columns=2, width_px=96)
    assert sheet.shape[1] == 2 * 96 + 6
    assert sheet.shape[0] > 4 * 32
