from dataclasses import replace
import json

import numpy as np
import pytest

from avdet_ros.dataset import layout
from avdet_ros.dataset.labels import (
    DriveLabels,
    empty_labels,
    fuse_boxes,
    label_sources,
    labels_of,
    read_labels,
    require_labels,
    write_labels,
)
from avdet_ros.errors import AvdetError


@pytest.fixture
def labels():
    rng = np.random.default_rng(0)
    sizes = np.array([[4, 4], [2, 2], [1, 1], [1, 1], [1, 1]], np.int32)
    return DriveLabels(
        ids=np.array(['1_000000001_001', '2_000000001_001']),
        teachers=('rgb', 'thermal'),
        boxes_px=np.array(
            [[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60], [5, 5, 9, 9]], np.float32
        ),
        scores=np.array([0.6, 0.9, 0.8, 0.2], np.float32),
        frame=np.array([0, 0, 0, 1], np.int32),
        teacher=np.array([0, 1, 1, 0], np.int8),
        attention=rng.random((2, 2, 23)).astype(np.float16),
        attention_sizes=sizes,
        embedding=rng.random((2, 2, 5, 8)).astype(np.float16),
        features=rng.random((2, 2, 8, 3, 3)).astype(np.float16),
    )


def test_overlapping_boxes_of_teachers_fuse_into_one_label(labels):
    both = labels.fused(0, ['rgb', 'thermal'])
    np.testing.assert_array_equal(both.boxes_px, [[1, 0, 11, 10], [50, 50, 60, 60]])
    alone = labels.fused(0, ['rgb'])
    np.testing.assert_array_equal(alone.boxes_px, [[0, 0, 10, 10]])


def test_boxes_below_the_score_threshold_are_dropped(labels):
    assert len(labels.fused(1, ['rgb'])) == 0
    assert len(fuse_boxes(np.zeros((0, 4)), np.zeros(0))) == 0


def test_missing_teacher_is_named_in_the_error(labels):
    with pytest.raises(AvdetError, match='depth is missing'):
        labels.fused(0, ['rgb', 'depth'])


def test_labels_round_trip_through_their_file(labels, tmp_path):
    write_labels(tmp_path / 'drive.npz', labels)
    again = read_labels(tmp_path / 'drive.npz')
    assert again.teachers == labels.teachers
    np.testing.assert_array_equal(again.attention, labels.attention)
    levels = list(again.attention_levels(1, 'thermal'))
    assert [level.shape for level in levels] == [(4, 4), (2, 2), (1, 1), (1, 1), (1, 1)]
    assert levels[1][1, 1] == labels.attention[1, 1, 19]
    assert [path.name for path in tmp_path.iterdir()] == ['drive.npz']


def test_broken_label_file_is_named_in_the_error(labels, tmp_path):
    path = tmp_path / 'drive.npz'
    with pytest.raises(AvdetError, match='avdet train label'):
        read_labels(path)
    write_labels(path, labels)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(AvdetError, match=r'drive\.npz'):
        read_labels(path)
    np.savez(path, ids=labels.ids)
    with pytest.raises(AvdetError) as caught:
        read_labels(path)
    words = f'labels {path}: teachers: expected 1 dimensions of kind U, found none'
    assert str(caught.value) == words
    flat = replace(labels, boxes_px=labels.boxes_px.ravel())
    write_labels(path, flat)
    with pytest.raises(AvdetError) as caught:
        read_labels(path)
    words = (
        f'labels {path}: boxes_px: expected 2 dimensions of kind f, found 1 dimensions of float32'
    )
    assert str(caught.value) == words
    write_labels(path, replace(labels, frame=labels.frame.astype(np.float32)))
    with pytest.raises(AvdetError, match='frame: expected 1 dimensions of kind i, found 1 dim'):
        read_labels(path)


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / 'evil.npz', ids=np.array([{'a': 1}], dtype=object))
    with pytest.raises(AvdetError, match='expected arrays'):
        read_labels(tmp_path / 'evil.npz')


def test_fused_boxes_keep_their_disparity(labels, tmp_path):
    ranged = replace(labels, disparity_px=np.array([10, 20, np.nan, 30], np.float32))
    write_labels(tmp_path / 'labels' / 'one.npz', ranged)
    write_labels(tmp_path / 'labels' / 'other.npz', labels)
    found = labels_of(tmp_path, 'one', 'teachers')['1_000000001_001']
    np.testing.assert_array_equal(found.boxes_px, [[1, 0, 11, 10], [50, 50, 60, 60]])
    np.testing.assert_array_equal(found.disparity_px, [20, np.nan])
    assert labels_of(tmp_path, 'other', 'teachers')['1_000000001_001'].disparity_px is None


def test_missing_teacher_labels_error_mentions_true_boxes(tmp_path):
    drive = tmp_path / 'drive'
    with pytest.raises(AvdetError, match=r'avdet train label makes labels from teachers$'):
        require_labels(tmp_path, ['drive'], 'teachers')
    (drive / 'truth').mkdir(parents=True)
    (drive / 'truth' / 'frames.jsonl').write_text('')
    with pytest.raises(AvdetError, match=r'; the drive has true boxes, for labels: truth$'):
        require_labels(tmp_path, ['drive'], 'teachers')


def test_true_labels_keep_only_vehicles_marked_as_labels(drives):
    """The second vehicle of each frame is not marked as a label."""
    (name, *_) = sorted(path.name for path in drives.glob('drive_*'))
    truth = layout.read_truth(drives, name)
    found = labels_of(drives, name, 'truth')
    assert list(found) == list(truth)
    for stamp, its in found.items():
        np.testing.assert_array_equal(its.boxes_px, truth[stamp]['boxes_px'][:1])
        assert (its.ids.tolist(), its.distance_m.tolist(), its.visible.tolist()) == (
            [1],
            [20],
            [1],
        )
        assert its.disparity_px is None


def test_values_missing_in_recorded_truth_are_nan(tmp_path):
    line = {'stamp': '1', 'boxes_px': [[0, 1, 2, 3], [4, 5, 6, 7]], 'ids': [8, 9]}
    path = tmp_path / 'drive' / 'truth' / 'frames.jsonl'
    path.parent.mkdir(parents=True)
    for label in ([False, True], [0, 1]):
        path.write_text(json.dumps({**line, 'label': label, 'distance_m': [3.0, None]}))
        its = labels_of(tmp_path, 'drive', 'truth')['1']
        assert (its.boxes_px.tolist(), its.ids.tolist()) == ([[4, 5, 6, 7]], [9])
        assert np.isnan(its.distance_m).tolist() == np.isnan(its.visible).tolist() == [True]


def test_label_sources_list_what_exists(labels, tmp_path):
    (tmp_path / 'drive' / 'truth').mkdir(parents=True)
    assert label_sources(tmp_path, 'drive') == ()
    (tmp_path / 'drive' / 'truth' / 'frames.jsonl').write_text('')
    assert label_sources(tmp_path, 'drive') == ('truth',)
    write_labels(tmp_path / 'elsewhere' / 'drive.npz', labels)
    assert label_sources(tmp_path, 'drive') == ('truth',)
    assert label_sources(tmp_path, 'drive', tmp_path / 'elsewhere') == ('teachers', 'truth')
    require_labels(tmp_path, ['drive'], 'teachers', tmp_path / 'elsewhere')
    with pytest.raises(AvdetError, match=r'other: expected .*other/truth/frames\.jsonl, found'):
        require_labels(tmp_path, ['drive', 'other'], 'truth')
    its = labels_of(tmp_path, 'drive', 'teachers', tmp_path / 'elsewhere', ['rgb'])
    assert its['1_000000001_001'].boxes_px.tolist() == [[0, 0, 10, 10]]
    assert its['1_000000001_001'].ids.tolist() == [-1]
    assert np.isnan(its['1_000000001_001'].distance_m).tolist() == [True]
    assert np.isnan(its['1_000000001_001'].visible).tolist() == [True]


def test_fusion_thresholds_are_exclusive():
    """An IoU of exactly 0.5 and a score of exactly 0.3 are not above their thresholds."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 21], [50, 0, 60, 10]], np.float32)
    found = fuse_boxes(boxes[:2], np.array([0.9, 0.8]))
    assert found.boxes_px.tolist() == boxes[:2].tolist()
    closer = fuse_boxes(boxes[[0, 0]] + [[0, 0, 0, 0], [0, 0, 0, 9.5]], np.array([0.8, 0.9]))
    assert closer.scores.tolist() == pytest.approx([0.9])
    sure = fuse_boxes(boxes[[0, 3]], np.array([0.3, 0.31], np.float64))
    assert sure.boxes_px.tolist() == boxes[3:].tolist()


def test_empty_labels_round_trip_through_their_file(tmp_path):
    none = empty_labels(('rgb', 'depth', 'thermal'))
    write_labels(tmp_path / 'a.npz', none)
    for mapped in (False, True):
        again = read_labels(tmp_path / 'a.npz', mapped)
        assert (len(again), again.teachers) == (0, ('rgb', 'depth', 'thermal'))
        shapes = (again.attention.shape, again.embedding.shape, again.features.shape)
        assert shapes == ((0, 3, 0), (0, 3, 0, 0), (0, 3, 0, 0, 0))
        assert (again.boxes_px.shape, again.attention_sizes.shape) == ((0, 4), (0, 2))
