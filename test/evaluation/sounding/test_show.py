"""Filtered labels on the live page."""

from __future__ import annotations

import subprocess

import cv2
import numpy as np
import pytest

from avdet_ros.cli import main as cli
from avdet_ros.dataset import layout
from avdet_ros.dataset.attention_maps import write_attention
from avdet_ros.dataset.label_filter import FilteredFrame, filter_path, write_filtered
from avdet_ros.evaluation.sounding.show import chances

rerun = pytest.importorskip('rerun')

DRIVE = 'drive_day_2030_01_01_10_00_00'


def frame(score):
    boxes = np.float32([[400, 300, 500, 360], [900, 300, 960, 350]])
    strip = np.float32([[1500, 0, 1560, 650]])
    return FilteredFrame(boxes, np.array([1, -1], np.int8), np.float32(score), strip)


def test_chances_fall_back_to_the_verdict_without_scores():
    assert chances(frame([0.75, 0.25])).tolist() == [0.75, 0.25]
    assert chances(frame([np.nan, np.nan])).tolist() == [1.0, 0.0]


def test_boxes_show_their_sounding_probability(
    sounding_drives, make_vehicle, tmp_path, monkeypatch, capsys
):
    root, drives = sounding_drives({DRIVE: [[make_vehicle(1, 500, 50.0)]] * 2})
    (root / 'train_all.txt').touch()
    (root / DRIVE / 'fl_rgb').mkdir()
    for one in drives[DRIVE]:
        cv2.imwrite(
            str(layout.picture_path(root, one, 'rgb', '.jpg')), np.full((65, 192, 3), 99, np.uint8)
        )
    judged = {drives[DRIVE][0].stamp: frame([0.87, 0.12])}
    write_filtered(filter_path(root / 'labels', 'sounding', DRIVE), judged)
    heat = np.full((1, 8, 24), 0.01)
    write_attention(root / 'labels', DRIVE, [drives[DRIVE][0].stamp], heat)
    saved = tmp_path / 'page.rrd'
    monkeypatch.setattr('sys.argv', ['avdet', 'view', str(root), '--save', str(saved)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (None, 0)
    assert '1 frames of val' in capsys.readouterr().out
    text = subprocess.run(
        ['rerun', 'rrd', 'print', '-vvv', saved], capture_output=True, text=True, check=True
    ).stdout
    assert '0.87' in text
    assert 'camera/picture' in text
    assert 'camera/attention' in text
