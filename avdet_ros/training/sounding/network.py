"""The selector's network: from the sound at a box and its appearance to one logit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG, MARGIN_DEG
from avdet_ros.training.sounding.box_set import BoxSet
from avdet_ros.training.sounding.sound_sums import GROUPS

EVIDENCE = {'sound': 4 * GROUPS, 'sight': 4, 'motion': 3, 'thermal': 1}
"""Kinds of evidence that a selector can use, and the size of each."""

HIDDEN = 64

FARTHEST_BELOW = 30.0
"""Assumed lead over the other boxes if there are none, dB or hundredths of coherence."""


def windows_of(sides_deg: Tensor, margin_deg: float = MARGIN_DEG) -> Tensor:
    """Mark the directions of each box, at least one: (F, K, A) bool."""
    azimuths = torch.from_numpy(AZIMUTHS_DEG).float()
    off = (azimuths - sides_deg.mean(dim=-1, keepdim=True)).abs()
    half = (sides_deg[..., :1] - sides_deg[..., 1:]) / 2
    return (off <= half + margin_deg) | (off == off.amin(dim=-1, keepdim=True))


def received_at(maps: Tensor, windows: Tensor, valid: Tensor) -> Tensor:
    """Return what is received at each box above the median direction and the best other box.

    The result is (F, K, 4 `GROUPS`), zeros where there is no box.

    Args:
        maps: (F, 2 `GROUPS`, A) of `DirectionMaps`.
        windows: (F, K, A) bool of `windows_of`.
        valid: (F, K) bool.
    """
    frame, slot = torch.nonzero(valid, as_tuple=True)
    peaks = torch.where(windows[frame, slot, None], maps[frame], -torch.inf).amax(dim=-1)
    scaled = maps.new_zeros(*valid.shape, 2 * GROUPS)
    scaled[frame, slot] = torch.cat([peaks[:, :GROUPS], 100 * peaks[:, GROUPS:]], dim=-1)
    middle = maps.median(dim=-1).values[:, None]
    middle = torch.cat([middle[..., :GROUPS], 100 * middle[..., GROUPS:]], dim=-1)
    masked = torch.where(valid[..., None], scaled, -torch.inf)
    best, place = masked.max(dim=1, keepdim=True)
    second_best = masked.scatter(1, place, -torch.inf).amax(dim=1, keepdim=True)
    number = torch.arange(valid.shape[1])[None, :, None]
    best_other = torch.where(number == place, second_best, best)
    lead = (scaled - best_other).clamp(-FARTHEST_BELOW, FARTHEST_BELOW)
    return torch.cat([scaled - middle, lead], dim=-1) * valid[..., None]


class SelectorNet(nn.Module):
    """A two-layer network on the selected kinds of evidence.

    Args:
        kinds: keys of `EVIDENCE`.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        super().__init__()
        self.kinds = tuple(kinds)
        size = sum(EVIDENCE[kind] for kind in self.kinds)
        self.register_buffer('mean', torch.zeros(size))
        self.register_buffer('deviation', torch.ones(size))
        self.layers = nn.Sequential(
            nn.Linear(size, HIDDEN), nn.ReLU(), nn.Dropout(0.2), nn.Linear(HIDDEN, 1)
        )

    def evidence(self, boxes: BoxSet, maps: Tensor | None) -> Tensor:
        """Collect the (F, K, size) evidence of each box, possibly with another sound's maps.

        Args:
            boxes: frames.
            maps: (F, 2 `GROUPS`, A) of `DirectionMaps`; ignored without ``sound``.
        """
        parts = {
            'sight': boxes.sight,
            'motion': boxes.motion,
            'thermal': boxes.warmth,
        }
        if 'sound' in self.kinds:
            parts['sound'] = received_at(maps, windows_of(boxes.sides_deg), boxes.valid)
        return torch.cat([parts[kind] for kind in self.kinds], dim=-1)

    def fit_scaling(self, evidence: Tensor, valid: Tensor) -> None:
        """Estimate mean and deviation from some boxes' evidence."""
        known = evidence[valid]
        if len(known) > 1:
            self.mean.copy_(known.mean(dim=0))
            self.deviation.copy_(known.std(dim=0).clamp(min=1e-3))

    def forward(self, evidence: Tensor) -> Tensor:
        """Map (..., size) to (...) logits."""
        scaled = ((evidence - self.mean) / self.deviation).clamp(-5, 5)
        return self.layers(scaled)[..., 0]


def picture_logit(logits: Tensor, valid: Tensor) -> Tensor:
    """Return (F,) logits that sound and picture match: log of the boxes' mean exponential.

    Args:
        logits: (F, K).
        valid: (F, K) bool, at least one in each frame.
    """
    masked = logits.masked_fill(~valid, -torch.inf)
    return masked.logsumexp(dim=1) - valid.sum(dim=1).clamp(min=1).log()
