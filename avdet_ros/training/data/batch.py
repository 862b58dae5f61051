"""What goes into a student and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

P5 = 2
"""Place of P5 among the levels P3..P7; its features and embedding are compared."""


@dataclass(frozen=True)
class Batch:
    """Some windows of a set, with what the teachers saw.

    Attributes:
        spectrogram: (B, C, n_mels, T) float32 features, unscaled.
        boxes: per window (n, 4) float32 in parts of the image.
        attention: one (B, M, h, w) a level, of M teachers; empty if not asked for.
        embedding: (B, M, D) of P5; (B, 0, 0) if not asked for.
        teacher_features: (B, M, D, h, w) of P5; (B, 0, 0, 0, 0) if not asked for.
        indices: places in the set.
        names: of the windows.
        open_areas: per window (m, 4) parts of the image that teach nothing, as ``boxes``; empty
            where every window is labelled everywhere.
        drives: which each window is of; empty where nobody knows.
        times_s: when each window is in its drive; empty where nobody knows.
    """

    spectrogram: Tensor
    boxes: list[Tensor]
    attention: list[Tensor]
    embedding: Tensor
    teacher_features: Tensor
    indices: list[int]
    names: list[str]
    open_areas: list[Tensor] = field(default_factory=list)
    drives: list[str] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.boxes)

    def to(self, device: torch.device, **how: bool) -> Batch:
        """The same on another device; Lightning calls this."""
        return replace(
            self,
            spectrogram=self.spectrogram.to(device, **how),
            boxes=[box.to(device, **how) for box in self.boxes],
            open_areas=[area.to(device, **how) for area in self.open_areas],
            attention=[level.to(device, **how) for level in self.attention],
            embedding=self.embedding.to(device, **how),
            teacher_features=self.teacher_features.to(device, **how),
        )

    def described(self) -> str:
        """The windows for an error message: the first three and how many more."""
        more = len(self.names) - 3
        return ', '.join(self.names[:3]) + (f' and {more} more' if more > 0 else '')


@dataclass
class StudentOutput:
    """What a student makes of a batch.

    Attributes:
        prediction: the network's own output, for its `candidates` and `loss`.
        maps: (B, C, h, w) for each level asked for, on the cells of the student's `cells`.
        embedding: (B, D), the window as one vector.
    """

    prediction: Any
    maps: list[Tensor]
    embedding: Tensor
