"""Max pools that pad with zeros, as in the pyramid of MM-DistillNet's program."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def pad_pools_with_zeros(pyramid: nn.Module) -> None:
    """Make a pyramid's max pools pad with zeros, as the authors' program does.

    effdet pads with minus infinity, which is never the maximum; with zeros, the result differs for
    a map that is negative at its edge.
    """
    found = [
        (parent, name)
        for parent in pyramid.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.MaxPool2d)
    ]
    for parent, name in found:
        setattr(parent, name, ZeroPaddedPool())


class ZeroPaddedPool(nn.Module):
    """Max pooling over 3 x 3 places with a stride of two and "same" padding with zeros."""

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, ceil(H / 2), ceil(W / 2))."""
        height, width = features.shape[-2:]
        padded = functional.pad(features, _same(width) + _same(height))
        return functional.max_pool2d(padded, 3, stride=2)


def _same(side: int) -> list[int]:
    """Padding before and after a side of a 3 x 3 window with a step of 2."""
    needed = max((-(-side // 2) - 1) * 2 + 3 - side, 0)
    return [needed // 2, needed - needed // 2]
