"""Videos and contact sheets."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from avdet_ros.drawing.video import VideoWriter, contact_sheet


def no_ffmpeg(*_, **__):
    raise RuntimeError('No ffmpeg exe could be found.')


def test_video_contains_its_frames_at_its_rate(tmp_path):
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


def test_unwritable_video_is_reported(tmp_path):
    writer = VideoWriter(tmp_path / 'missing' / 'a.mp4', 10)
    for _ in range(80):
        writer.add(np.zeros((650, 1920, 3), np.uint8))
    writer.close()
    assert 'a.mp4' in writer.fault


@pytest.mark.parametrize('failure', ['no package', 'none found', 'not there'])
def test_missing_ffmpeg_is_reported_on_close(tmp_path, monkeypatch, failure):
    if failure == 'no package':
        monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', None)
    elif failure == 'none found':
        broken = SimpleNamespace(write_frames=no_ffmpeg)
        monkeypatch.setitem(sys.modules, 'imageio_ffmpeg', broken)
    else:
        monkeypatch.setenv('IMAGEIO_FFMPEG_EXE', str(tmp_path / 'ffmpeg'))
    writer = VideoWriter(tmp_path / 'a.mp4', 10)
    for _ in range(80):
        writer.add(np.zeros((64, 128, 3), np.uint8))
    writer.close()
    assert writer.fault.startswith(f'{tmp_path / "a.mp4"}: ')


def test_contact_sheet_has_rows_and_columns():
    pictures = [np.full((65, 192, 3), 10 * step, np.uint8) for step in range(7)]
    sheet = contact_sheet(pictures, columns=2, width_px=96)
    assert sheet.shape[1] == 2 * 96 + 6
    assert sheet.shape[0] > 4 * 32
