import pytest
import torch
from torch import nn

from avdet_ros.training.networks.efficientdet import EfficientDetector
from avdet_ros.training.networks.grid import CHANNELS
from avdet_ros.training.networks.paper import (
    PaperStudent,
    Quarters,
    StereoSoundNet,
    VehicleCounter,
    unit_levels,
)


def test_levels_are_scaled_to_one():
    assert unit_levels(torch.tensor([-80.0, -40, 0, -200])).tolist() == [0, 0.5, 1, 0]


def test_the_papers_student_sees_bands_as_rows():
    student = PaperStudent('tf_efficientdet_lite0', (128, 128)).eval()
    log_mel = torch.full((1, 8, 80, 173), -80.0)
    log_mel[:, :, :40] = 0.0
    picture = student.picture(log_mel)
    assert picture.shape == (1, 8, 128, 128)
    assert picture[0, :, 10].min() == 1
    assert picture[0, :, -10].max() == 0
    prediction = student(log_mel)
    assert prediction.logits.shape[1] == len(student.detector.anchors)


def test_the_original_hears_two_microphones_and_the_pose():
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


def test_counting_learns_and_hands_its_encoder_over():
    torch.manual_seed(1)
    detector = EfficientDetector('tf_efficientdet_lite0', 8, (128, 128))
    counter = VehicleCounter(nn.Conv2d(8, 16, 3), 16, most=3)
    counts = torch.tensor([0, 1, 2, 9] * 4)
    windows = counts.clamp(max=3)[:, None, None, None] * torch.ones(16, 8, 12, 12)
    optimiser = torch.optim.Adam(counter.parameters(), lr=0.01)
    for _ in range(400):
        loss = counter.loss(windows, counts)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    counter.eval()
    assert counter(windows).argmax(dim=1).tolist() == counts.clamp(max=3).tolist()

    backbone = VehicleCounter(_Deepest(detector.network.backbone), 320)
    assert backbone(torch.rand(1, 8, 128, 128)).shape == (1, 14)
    before = detector.network.backbone.conv_stem.weight.clone()
    backbone.loss(torch.rand(2, 8, 128, 128), torch.tensor([1, 2])).backward()
    with torch.no_grad():
        for parameter in backbone.encoder.parameters():
            parameter -= 0.1 * parameter.grad if parameter.grad is not None else 0
    assert not torch.equal(detector.network.backbone.conv_stem.weight, before)


def test_a_grid_that_cannot_be_grown_is_refused():
    with pytest.raises(ValueError, match='multiples of 8'):
        StereoSoundNet(rows=10)


class _Deepest(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, window):
        return self.backbone(window)[-1]


def test_quarters_are_adaptive_pooling():
    for size in ((5, 11), (6, 8), (2, 3)):
        features = torch.rand(2, 3, *size)
        expected = torch.nn.functional.adaptive_avg_pool2d(features, 2)
        torch.testing.assert_close(Quarters()(features), expected)
