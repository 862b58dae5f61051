"""A small student that predicts for each direction whether a vehicle is there."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.sounding.sound_sums import GROUPS


class ColumnStudent(nn.Module):
    """Convolutions over directions that predict from sound where vehicles are."""

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        super().__init__()
        self.register_buffer('mean', mean)
        self.register_buffer('deviation', deviation)
        self.layers = nn.Sequential(
            nn.Conv1d(2 * GROUPS, 32, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(32, 32, 5, padding=4, dilation=2),
            nn.ReLU(),
            nn.Conv1d(32, 1, 5, padding=8, dilation=4),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Map (F, 2 `GROUPS`, A) direction maps to (F, A) logits."""
        return self.layers((maps - self.mean) / self.deviation)[:, 0]


def fit_columns(
    maps: Tensor,
    heat: Tensor,
    taught: Tensor,
    steps: int,
    seed: int,
    progress: Progress = SILENT,
) -> ColumnStudent:
    """Fit a student to directions.

    Args:
        maps: (F, 2 `GROUPS`, A) of `DirectionMaps`.
        heat: (F, A), 1 in directions labelled as vehicle.
        taught: (F, A) bool, directions with a label.
        steps: number of steps of 64 windows; every other step is mirrored left to right.
        seed: seed of weights and order.
        progress: displays the steps.
    """
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    mean = maps.mean(dim=(0, 2))[:, None]
    student = ColumnStudent(mean, maps.std(dim=(0, 2)).clamp(min=1e-3)[:, None])
    optimiser = torch.optim.AdamW(student.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    with progress.step('student', steps) as advance:
        for step in range(steps):
            drawn = torch.randint(len(maps), (64,), generator=chance)
            parts = [part[drawn] for part in (maps, heat, taught)]
            if step % 2:  # directions are symmetric about the heading
                parts = [part.flip(-1) for part in parts]
            shown, wanted, counts = parts
            each = functional.binary_cross_entropy_with_logits(
                student(shown), wanted, reduction='none'
            )
            loss = (each * counts).sum() / counts.sum().clamp(min=1)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            advance()
    return student.eval()
