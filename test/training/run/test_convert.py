"""Checkpoints of the authors' program are converted to teachers and to a model file."""

from __future__ import annotations

from helpers.released import as_released
import numpy as np
import pytest
import torch

from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.training.efficientdet.network import EfficientDetector
from avdet_ros.training.efficientdet.zero_padding import ZeroPaddedPool
from avdet_ros.training.networks.paper import PaperStudent
from avdet_ros.training.run.convert import convert_checkpoint
from avdet_ros.training.teachers.efficientdet import EfficientDetTeacher

SIDE = 384


@pytest.fixture
def released(tmp_path):
    """Writes the checkpoint of a network of random weights; returns its path and the network."""

    def make(channels):
        torch.manual_seed(channels)
        network = EfficientDetector(
            'tf_efficientdet_d0', channels, (SIDE, SIDE), zero_padded_pools=True
        ).eval()
        for value in network.network.state_dict().values():
            if value.is_floating_point() and value.dim() < 2:
                value += 0.2 * torch.rand_like(value)
        # Scores must be high enough to be reported.
        network.network.class_net.predict.conv_pw.bias.data += 3.5
        path = tmp_path / 'released.pth'
        state = {f'module.{name}': value for name, value in as_released(network).items()}
        torch.save({'epoch': 3, 'state_dict': state}, path)
        return path, network

    return make


@pytest.mark.slow
@pytest.mark.parametrize(('modality', 'channels'), [('thermal', 1), ('depth', 3)])
def test_converted_teacher_matches_the_released_network(
    released, tmp_path, rig, modality, channels
):
    path, network = released(channels)
    made = convert_checkpoint(path, modality, tmp_path / modality, rig, SIDE)
    assert made == tmp_path / modality / 'teacher.pt'
    teacher = EfficientDetTeacher.load(tmp_path / modality)
    assert (teacher.modality, teacher.scaling, teacher.crop) == (modality, 'released', True)
    assert teacher.fingerprint.endswith('-released')
    pools = [p for p in teacher.detector.modules() if isinstance(p, torch.nn.MaxPool2d)]
    assert not pools
    assert any(isinstance(part, ZeroPaddedPool) for part in teacher.detector.modules())
    picture = torch.rand(1, channels, SIDE, SIDE)
    with torch.no_grad():
        expected, found = network(picture), teacher.detector(picture)
    assert (expected.logits - found.logits).abs().max() < 1e-6
    assert (expected.offsets - found.offsets).abs().max() < 1e-6


@pytest.mark.slow
def test_converted_student_model_runs_and_matches_the_network(released, tmp_path, rig, front_end):
    path, network = released(8)
    model = convert_checkpoint(path, 'sound', tmp_path / 'student', rig, SIDE)
    detector = Detector(model, rig, front_end, providers=['cpu'])
    rng = np.random.default_rng(2)
    levels = rng.normal(-50, 8, (8, 80, 173)).astype(np.float32)
    window = np.zeros((32, 80, 173), np.float32)
    window[:8] = levels
    found = detector.detect(window)
    assert len(found) > 0
    # The best score is the network's own for decibels relative to each microphone's maximum.
    student = PaperStudent('tf_efficientdet_d0', (SIDE, SIDE), scaling='released').eval()
    student.detector.network.load_state_dict(network.network.state_dict())
    below = torch.from_numpy(levels - levels.max(axis=(1, 2), keepdims=True)).clamp(min=-80)
    with torch.no_grad():
        best = torch.sigmoid(student(below[None]).logits.max()).item()
    assert found.scores[0] == pytest.approx(best, abs=0.02)  # the calibration curve has 16 knots


def test_cubic_resize_matches_opencv():
    cv2 = pytest.importorskip('cv2')
    student = PaperStudent('tf_efficientdet_lite0', (128, 128), scaling='released')
    rng = np.random.default_rng(3)
    levels = rng.uniform(-80, 0, (8, 80, 173)).astype(np.float32)
    expected = cv2.resize(
        levels.transpose(1, 2, 0), (128, 128), interpolation=cv2.INTER_CUBIC
    ).transpose(2, 0, 1)
    found = student.picture(torch.from_numpy(levels)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_invalid_modality_or_checkpoint_is_rejected(released, tmp_path, rig):
    path, _ = released(3)
    with pytest.raises(AvdetError, match='modality: expected one of rgb, depth, thermal, sound'):
        convert_checkpoint(path, 'radar', tmp_path / 'x', rig)
    with pytest.raises(AvdetError, match=r'expected a network of 1 channels for thermal, found 3'):
        convert_checkpoint(path, 'thermal', tmp_path / 'x', rig)
    torch.save({'conv1.weight': torch.zeros(3)}, path)
    with pytest.raises(AvdetError, match="expected layers of the released EfficientDet, found 'c"):
        convert_checkpoint(path, 'rgb', tmp_path / 'x', rig)
    path.write_bytes(b'nothing')
    with pytest.raises(AvdetError, match='expected a state dict'):
        convert_checkpoint(path, 'rgb', tmp_path / 'x', rig)
