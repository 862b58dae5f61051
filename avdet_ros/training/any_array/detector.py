"""A `BearingFirst` and what turns its columns into final boxes: scored in training, exported."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avdet_ros.audio.features import POOL_FRAMES
from avdet_ros.rig import MICROPHONES
from avdet_ros.training.any_array.bearing_first import (
    BearingFirst,
    BearingShape,
    live_microphones,
    mean_level,
)
from avdet_ros.training.any_array.boxes import (
    decoded_angles,
    plane_boxes,
    range_quantiles,
)
from avdet_ros.training.boxes.score_calibration import Calibration

APART_DEG = 2.0
"""Of two bearings closer than this the less likely one is dropped."""

OVERLAP = 0.5
"""The same of two boxes that overlap more."""

LEAST_SCORE = 0.02
"""Boxes that are right less often than that are not reported."""


class BearingDetector(nn.Module):
    """From a window as the topic carries it, and the steering, to boxes.

    Attributes:
        network: says the columns.
        calibration: turns logits into scores.
    """

    def __init__(self, network: BearingFirst) -> None:
        super().__init__()
        self.network = network
        self.calibration = Calibration()

    def forward(
        self, spectrogram: Tensor, steering: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One window; this is what is exported.

        Args:
            spectrogram: (1, 32, n_mels, frames) float32.
            steering: (n_mels, A, 24) float32.

        Returns:
            boxes: (N, 4) float32, see `avdet_ros.detection.angles`.
            scores: (N,) float32, descending.
            labels: (N,) int64, all 0.
            range_m: (N, 3) float32.
        """
        pooled = nn.functional.avg_pool2d(
            spectrogram, (1, POOL_FRAMES), ceil_mode=True, count_include_pad=False
        )
        steering = steering[None]
        level_db = mean_level(pooled[:, :MICROPHONES], live_microphones(steering))
        coherence = pooled[:, MICROPHONES:].transpose(1, 2)
        columns = self.network(level_db, coherence, steering)[0].T
        angles, logits, range_m = distinct(columns, self.network.shape)
        scores = self.calibration(logits)
        # The curve rises, but its sum may round the other way for neighbours.
        scores, order = torch.sort(scores, descending=True)
        kept = torch.nonzero(scores > LEAST_SCORE).flatten()
        order = order[kept]
        scores = scores[kept]
        labels = torch.zeros_like(scores, dtype=torch.int64)
        return plane_boxes(angles[order]), scores, labels, range_m[order]


def distinct(columns: Tensor, shape: BearingShape) -> tuple[Tensor, Tensor, Tensor]:
    """The columns of one window that say something no likelier one says.

    Args:
        columns: (front, VALUES).
        shape: of the network.

    Returns:
        angles_deg: (N, 4); logits: (N,) descending; range_m: (N, 3).
    """
    columns, angles, first = ranked(columns[None], shape)
    kept = torch.nonzero(first[0]).flatten()
    columns = columns[0, kept]
    return angles[0, kept], columns[:, 0], range_quantiles(columns)


def ranked(columns: Tensor, shape: BearingShape) -> tuple[Tensor, Tensor, Tensor]:
    """Columns by likeliness, and which say something no likelier one says.

    All pairs at once, without a loop: a column is dropped if a likelier one, dropped or not, is
    `APART_DEG` near or overlaps by `OVERLAP` (D. Bolya et al., "YOLACT", arXiv 1904.02689).

    Args:
        columns: (B, front, VALUES).
        shape: of the network.

    Returns:
        columns: (B, front, VALUES) likeliest first; angles_deg: (B, front, 4) of them;
        first: (B, front) bool.
    """
    angles = decoded_angles(columns, shape)
    order = torch.argsort(columns[..., 0], dim=1, descending=True)[..., None]
    columns = torch.gather(columns, 1, order.expand(-1, -1, columns.shape[-1]))
    angles = torch.gather(angles, 1, order.expand(-1, -1, 4))
    middle, size = -angles[..., :2], angles[..., 2:]
    low, high = middle - size / 2, middle + size / 2
    shared = torch.minimum(high[:, :, None], high[:, None])
    shared = (shared - torch.maximum(low[:, :, None], low[:, None])).clamp(min=0)
    shared = shared[..., 0] * shared[..., 1]
    area = size[..., 0] * size[..., 1]
    overlap = shared / (area[:, :, None] + area[:, None] - shared).clamp(min=1e-6)
    near = (angles[:, :, None, 0] - angles[:, None, :, 0]).abs() < APART_DEG
    same = (near | (overlap > OVERLAP)).float()
    likelier = torch.ones(shape.front, shape.front, device=columns.device).tril(-1)
    return columns, angles, (same * likelier).sum(dim=2) == 0
