from __future__ import annotations

import torch
from torch import nn

from avdet_ros.training.efficientdet.network import EfficientDetector
from avdet_ros.training.pretexts.counting import VehicleCounter


def test_vehicle_counter_learns_and_updates_the_detector_backbone():
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


class _Deepest(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, window):
        return self.backbone(window)[-1]
