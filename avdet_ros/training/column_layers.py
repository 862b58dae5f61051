"""Layers that are shared along one axis, such as the azimuths that a network looks at."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def conv1d(
    before: int, after: int, kernel: int, stride: int = 1, dilation: int = 1
) -> list[nn.Module]:
    """A convolution along the last axis that keeps its length at stride 1, and what follows it."""
    convolution = nn.Conv1d(
        before, after, kernel, stride, dilation * (kernel // 2), dilation=dilation, bias=False
    )
    return [convolution, nn.BatchNorm1d(after), nn.ReLU()]


class Residual1d(nn.Module):
    """Two convolutions along the last axis, added to what goes in.

    Args:
        channels: in and out.
        dilation: of the first, which is three elements wide; the second is one.
    """

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv1d(channels, channels, 3, dilation=dilation),
            nn.Conv1d(channels, channels, 1, bias=False),
            nn.BatchNorm1d(channels),
        )

    def forward(self, columns: Tensor) -> Tensor:
        """(B, channels, N) to the same."""
        return functional.relu(columns + self.layers(columns))
