"""A student's input and output."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

P5 = 2
"""Index of P5 in the levels P3..P7; its features and embedding are compared."""


@dataclass(frozen=True)
class Batch:
    """Some windows of a set, with the teachers' predictions for them.

    Attributes:
        spectrogram: (B, C, n_mels, T) float32 features, unscaled.
        boxes: per window (n, 4) float32, relative to the image size.
        attention: per level (B, M, h, w) maps of M teachers; empty if not requested.
        embedding: (B, M, D) of P5; (B, 0, 0) if not requested.
        teacher_features: (B, M, D, h, w) of P5; (B, 0, 0, 0, 0) if not requested.
        indices: positions in the set.
        names: names of the windows.
        open_areas: per window (m, 4) areas of the image without labels, in the format of
            ``boxes``, which add nothing to the loss; empty if all areas are labelled.
        drives: drive of each window; empty if unknown.
        times_s: time of each window in its drive; empty if unknown.
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

    def to(self, device: torch.device, **options: bool) -> Batch:
        """Copy the batch to a device; Lightning calls this."""
        return replace(
            self,
            spectrogram=self.spectrogram.to(device, **options),
            boxes=[box.to(device, **options) for box in self.boxes],
            open_areas=[area.to(device, **options) for area in self.open_areas],
            attention=[level.to(device, **options) for level in self.attention],
            embedding=self.embedding.to(device, **options),
            teacher_features=self.teacher_features.to(device, **options),
        )

    def described(self) -> str:
        """Name the windows for an error message: the first three and the number of others."""
        more = len(self.names) - 3
        return ', '.join(self.names[:3]) + (f' and {more} more' if more > 0 else '')


@dataclass
class StudentOutput:
    """A student's output for a batch.

    Attributes:
        prediction: the network's own output, for its `candidates` and `loss`.
        maps: (B, C, h, w) for each requested level, on the cells of the student's `cells`.
        embedding: (B, D), one vector per window.
    """

    prediction: Any
    maps: list[Tensor]
    embedding: Tensor
