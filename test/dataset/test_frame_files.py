"""A drive is checked for the modalities that its vehicle records."""

from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest
import soundfile

from avdet_ros.dataset import layout
from avdet_ros.dataset.check import check
from avdet_ros.dataset.frame_files import look_for_files

START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def drive(tmp_path):
    """Make thirty frames in the MAVD layout with the given modalities."""

    def make(*kinds, topics=None, name='day_1'):
        rng = np.random.default_rng(2)
        ids = [layout.make_id(name, START_NS + index * 100_000_000) for index in range(30)]
        picture = rng.integers(0, 255, (32, 96, 3), np.uint8)
        for frame in ids:
            for kind in kinds:
                counts = rng.integers(29000, 30000, (32, 96), np.uint16)
                ending = '.png' if kind == 'thermal' else '.jpg'
                path = layout.picture_path(tmp_path, frame, kind, ending)
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), counts if kind == 'thermal' else picture)
            first = layout.sound_paths(tmp_path, ids[0], '.flac')
            for path, origin in zip(
                layout.sound_paths(tmp_path, frame, '.flac'), first, strict=True
            ):
                path.parent.mkdir(parents=True, exist_ok=True)
                if path == origin:
                    soundfile.write(path, rng.normal(size=44100) * 0.02, 44100)
                elif not path.exists():
                    path.hardlink_to(origin)
        layout.write_ids(layout.split_path(tmp_path, 'train'), ids)
        if topics:
            facts = {'start_ns': START_NS, 'topics': dict.fromkeys(topics, '/x')}
            (tmp_path / name / 'parameters.json').write_text(json.dumps(facts))
        return tmp_path, ids

    return make


def findings(root, kind='missing file'):
    report = check(root)
    return [
        (finding.level, finding.what.removeprefix('missing file: '), finding.count)
        for finding in report.findings
        if finding.what.startswith(kind)
    ], report


@pytest.mark.parametrize(
    ('kinds', 'topics'),
    [
        (('rgb',), None),
        (('rgb', 'depth'), None),
        (('rgb', 'thermal'), ('rgb', 'thermal')),
        (('rgb', 'thermal', 'depth'), None),
    ],
)
def test_modality_missing_in_all_frames_is_no_error(drive, kinds, topics):
    root, _ = drive(*kinds, topics=topics)
    missing, report = findings(root)
    assert missing == []
    summary = report.drives['day_1']
    assert summary.checked == 20
    assert [kind for kind, size in summary.sizes.items() if size] == list(kinds)
    assert len(summary.level_dbfs) == 8


def test_slower_camera_is_a_warning_in_bag_drives_and_an_error_otherwise(drive):
    for topics, level in ((None, 'error'), (('rgb', 'thermal'), 'warning')):
        root, ids = drive('rgb', 'thermal', topics=topics)
        for frame in ids[::2]:
            layout.picture_path(root, frame, 'thermal').unlink()
        missing, report = findings(root)
        assert missing == [(level, 'fl_ir_aligned', 15)]
        assert report.drives['day_1'].checked == 20
        assert report.drives['day_1'].sizes['thermal']


def test_requested_modality_without_frames_causes_a_warning(drive):
    root, _ = drive('rgb', topics=('rgb', 'depth'))
    assert findings(root)[0] == [('warning', 'fl_rgb_depth', 30)]


def test_empty_files_are_errors_and_frames_without_rgb_are_skipped(drive):
    root, ids = drive('rgb', 'thermal')
    empty = [
        layout.picture_path(root, ids[3], 'rgb'),
        layout.picture_path(root, ids[5], 'thermal'),
    ]
    for path in empty:
        path.write_bytes(b'')
    found = []
    usable = look_for_files(root, 'day_1', ids, False, lambda *words: found.append(words))
    assert found == [('error', 'day_1', 'empty file', str(path)) for path in empty]
    assert usable == [*ids[:3], *ids[4:]]


def test_frame_without_picture_or_sound_is_an_error(drive):
    root, ids = drive('rgb')
    layout.picture_path(root, ids[3], 'rgb').unlink()
    layout.sound_paths(root, ids[4])[2].unlink()
    missing, report = findings(root)
    assert missing == [('error', 'fl_rgb', 1), ('error', 'sound', 1)]
    assert report.drives['day_1'].checked == 20
    shutil.rmtree(root / 'day_1' / 'fl_rgb')
    assert ('error', 'fl_rgb', 30) in findings(root)[0]
