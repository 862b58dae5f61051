from __future__ import annotations

import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest

from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError


@pytest.fixture
def blank(front_end):
    return np.zeros((32, 80, 173), np.float32)


def test_boxes_are_in_pixels(make_model, save, rig, front_end, blank):
    path = save(make_model())
    detector = Detector(path, rig, front_end)
    detections = detector.detect(blank)
    assert detections.boxes_px.dtype == detections.scores.dtype == np.float32
    np.testing.assert_allclose(
        detections.boxes_px, [[192, 130, 576, 390], [960, 325, 1920, 650]], rtol=1e-6
    )
    np.testing.assert_allclose(detections.scores, [0.9, 0.4])
    assert detector.provider in onnxruntime.get_available_providers()
    assert detector.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert detector.size_bytes == path.stat().st_size
    assert detector.contract.label_offset_s == -0.5


def test_input_reaches_the_model(make_model, save, rig, front_end, blank):
    detector = Detector(save(make_model(gain=0.05)), rig, front_end, providers=['cpu'])
    detections = detector.detect(blank + 1)
    np.testing.assert_allclose(detections.scores, [0.95, 0.45], rtol=1e-5)
    np.testing.assert_array_equal(detector.detect(blank + 1).scores, detections.scores)


def test_model_without_boxes_gives_no_detections(make_model, save, rig, front_end, blank):
    model = make_model(boxes=np.zeros((0, 4)), scores=np.zeros(0))
    detections = Detector(save(model), rig, front_end).detect(blank)
    assert len(detections) == 0
    assert detections.boxes_px.shape == (0, 4)


def test_boxes_are_clipped_to_the_image(make_model, save, rig, front_end, blank):
    boxes = np.array([[-0.5, 0.5, 0.5, 2.0], [1.1, 0, 1.2, 1], [0.4, 0.4, 0.3, 0.5]])
    detector = Detector(save(make_model(boxes=boxes, scores=[0.5, 0.4, 0.3])), rig, front_end)
    np.testing.assert_allclose(detector.detect(blank).boxes_px, [[0, 325, 960, 650]])


def test_scores_just_outside_0_to_1_are_clipped(make_model, save, rig, front_end, blank):
    detector = Detector(save(make_model(scores=[1 + 5e-6, -5e-6])), rig, front_end)
    assert detector.detect(blank).scores.tolist() == [1, 0]
    wrong = Detector(save(make_model(scores=[1.01, 0.5])), rig, front_end)
    with pytest.raises(AvdetError, match='output scores: expected numbers from 0 to 1'):
        wrong.detect(blank)


@pytest.mark.parametrize('shape', [(31, 80, 173), (32, 64, 173), (1, 32, 80, 173), (32, 80, 172)])
def test_other_input_shapes_are_rejected(make_model, save, rig, front_end, shape):
    detector = Detector(save(make_model()), rig, front_end)
    with pytest.raises(AvdetError, match=r'spectrogram: expected shape \(32, 80, 173\)'):
        detector.detect(np.zeros(shape, np.float32))


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_non_finite_input_is_rejected(make_model, save, rig, front_end, blank, value):
    detector = Detector(save(make_model()), rig, front_end)
    blank[5, 6, 7] = value
    with pytest.raises(AvdetError, match='spectrogram: expected finite'):
        detector.detect(blank)
    blank[5, 6, 7] = 0
    assert len(detector.detect(blank)) == 2  # it recovers when the cause goes


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        ({'boxes': [[0, 0, np.nan, 1]], 'scores': [0.5]}, 'finite numbers, found NaN'),
        ({'boxes': [[0, 0, 1, 1]], 'scores': [np.nan]}, 'finite numbers, found NaN'),
        ({'boxes': [[0, 0, 1, 1]], 'scores': [1.5]}, 'from 0 to 1'),
        ({'scores': [0.4, 0.9]}, 'descending order'),
        ({'labels': [0, 7]}, 'labels: expected numbers of the 1 classes'),
        ({'boxes': [[0, 0, 1, 1]]}, r'found \(1, 4\), \(2,\)'),
    ],
)
def test_model_outputs_are_checked(make_model, save, rig, front_end, blank, options, sentence):
    detector = Detector(save(make_model(**options)), rig, front_end)
    with pytest.raises(AvdetError, match=sentence):
        detector.detect(blank)


def test_session_uses_the_checked_bytes(make_model, save, rig, front_end, blank):
    path = save(make_model())
    detector = Detector(path, rig, front_end)
    path.write_bytes(onnx.ModelProto().SerializeToString())
    assert len(detector.detect(blank)) == 2


def test_providers_and_threads_reach_the_session(make_model, save, rig, front_end, blank):
    path = save(make_model())
    detector = Detector(path, rig, front_end, ['cpu'], threads=1)
    assert (detector.provider, detector.notes) == ('CPUExecutionProvider', [])
    assert len(detector.detect(blank)) == 2
    with pytest.raises(AvdetError, match='threads: expected'):
        Detector(path, rig, front_end, threads=0)
