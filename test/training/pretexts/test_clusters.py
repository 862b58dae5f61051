from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.pretexts.clusters import (
    Clusters,
    JointClusters,
    balanced,
    cluster_centres,
    seen_vectors,
    shared,
)


def test_empty_clusters_are_dropped_and_identical_vectors_rejected():
    vectors = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    centres = cluster_centres(vectors, 32, seed=0)
    assert len(centres) <= 3
    assert np.isfinite(centres).all()
    with pytest.raises(AvdetError, match='expected pictures of at least two kinds, found 1'):
        cluster_centres(np.ones((9, 4), np.float32), 32, seed=0)


def test_drive_mean_is_removed_from_seen_vectors(make_windows):
    windows = make_windows(32, 0)
    lit = [
        np.asarray(row, np.float32) + 50 * (place // 8)
        for place, row in enumerate(windows.embedding)
    ]
    vectors = seen_vectors(replace(windows, embedding=lit))
    for first in range(0, 32, 8):
        assert np.abs(vectors[first : first + 8].mean(axis=0)).max() < 1e-3
    labels = np.arange(32) // 8
    assert shared(labels, np.array(windows.drives)) == pytest.approx(1)


def test_seen_vectors_use_boxes_without_teacher_embeddings(make_windows):
    windows = replace(make_windows(16, 0), embedding=(), drives=())
    assert seen_vectors(windows).shape == (16, 12)


def test_shared_returns_normalised_mutual_information():
    first = np.array([0, 0, 1, 1])
    assert shared(first, np.array([5, 5, 3, 3])) == pytest.approx(1)
    assert shared(first, np.array([0, 1, 0, 1])) == pytest.approx(0, abs=1e-9)
    assert shared(first, np.zeros(4)) == 0


def test_balanced_labels_use_all_clusters_after_a_collapse():
    torch.manual_seed(0)
    collapsed = torch.zeros(64, 4)
    collapsed[:, 0] = 3.0
    collapsed += 0.01 * torch.randn(64, 4)
    labels = balanced(collapsed.log_softmax(dim=1))
    assert torch.allclose(labels.sum(dim=1), torch.ones(64), atol=1e-4)
    assert labels.sum(dim=0).min() > 8, 'equal shares would be 16'


def test_training_and_validation_windows_use_separate_cluster_labels(make_windows, make_pretext):
    train, val = make_windows(32, 0), make_windows(16, 1)
    task = make_pretext(Clusters, train, val)
    assert [len(each) for each in task.labels] == [32, 16]
    batch = val.batch([3, 5])
    assert task.eval().of_batch(batch, task.labels).tolist() == task.labels[1][[3, 5]].tolist()
    assert task.train().of_batch(batch, task.labels).tolist() == task.labels[0][[3, 5]].tolist()
    assert {'nmi_drive', 'nmi_count'} <= set(task.about)


def test_both_heads_of_joint_clusters_get_gradients(make_windows, make_pretext):
    windows = make_windows(32, 0)
    task = make_pretext(JointClusters, windows, windows)
    terms = task.measure(windows.batch(range(32)))
    terms['loss'].backward()
    assert task.hear.weight.grad.abs().max() > 0
    assert task.see.weight.grad.abs().max() > 0
    assert 0 < terms['used'] <= 1
