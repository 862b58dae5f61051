from __future__ import annotations

import numpy as np
import pytest
import torch

from avdet_ros.audio.features import FrontEnd
from avdet_ros.rig import load_rig
from avdet_ros.training.boxes.grid import CHANNELS
from avdet_ros.training.networks.stereosoundnet import Quarters, StereoSoundNet, StereoStudent


def test_stereosoundnet_uses_two_microphones_and_the_pose():
    torch.manual_seed(0)
    net = StereoSoundNet().eval()
    log_mel, pose = -80 * torch.rand(2, 8, 80, 173), torch.randn(2, 3)
    with torch.no_grad():
        grid = net(log_mel, pose)
        other_microphones = log_mel.clone()
        other_microphones[:, 2:] = 0
        assert torch.equal(net(other_microphones, pose), grid)
        assert not torch.allclose(net(log_mel, pose + 1), grid)
    assert grid.shape == (2, CHANNELS, 16, 48)


def test_unsupported_grid_size_is_rejected():
    with pytest.raises(ValueError, match='multiples of 8'):
        StereoSoundNet(rows=10)


def test_quarters_match_adaptive_pooling():
    for size in ((5, 11), (6, 8), (2, 3)):
        features = torch.rand(2, 3, *size)
        expected = torch.nn.functional.adaptive_avg_pool2d(features, 2)
        torch.testing.assert_close(Quarters()(features), expected)


def test_stereo_student_uses_the_outermost_side_microphones():
    rig = load_rig()
    student = StereoStudent(StereoSoundNet(), rig)
    left, right = rig.microphones_m[student.sides, 1]
    assert left == rig.microphones_m[:, 1].max()
    assert right == rig.microphones_m[:, 1].min()
    assert student.pose[0] == pytest.approx(rig.camera.position_m[2])
    assert student.pose[2] == pytest.approx(0, abs=1e-6)
    noise = (0.1 * np.random.default_rng(0).normal(size=(8, 44100))).astype(np.float32)
    sound = student.from_topic(torch.from_numpy(FrontEnd().compute(noise))[None])
    others = sound.clone()
    unused = [index for index in range(8) if index not in student.sides]
    others[:, unused] += torch.rand(1, len(unused), 80, 173)
    student.eval()
    assert torch.equal(student(sound, []).prediction, student(others, []).prediction)
