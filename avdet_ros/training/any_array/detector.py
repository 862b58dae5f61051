"""A `BearingFirst` with the decoding of its columns into final boxes, for scoring and export."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.ops import nms

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
from avdet_ros.training.any_array.range_spread import RangeSpread
from avdet_ros.training.boxes.score_calibration import Calibration

APART_DEG = 2.0
"""Of two bearings closer than this, the less likely one is dropped."""

OVERLAP = 0.5
"""Of two boxes with a larger IoU, the less likely one is dropped."""

AVERAGED_DEG = 0.7
"""Columns whose bearings differ by about this much mean the same vehicle, see `averaged_azimuths`.
For the gain see docs/experiments.md, "What boxes lack"; wider values cost average precision
("Other scores")."""

LEAST_SHARE = 1e-6
"""If no column has a higher probability, all of them count equally."""

LEAST_SCORE = 0.005
"""Boxes with a lower score, the probability to overlap a vehicle, are not reported; about nine per
window are. At low scores, a bearing is right more often than its box: with 0.02, a tenth of the
right bearings would be lost."""


class BearingDetector(nn.Module):
    """Detector for windows in the topic's format, with their steering.

    Attributes:
        network: predicts the columns.
        calibration: turns logits into scores.
        spread: corrects the ranges' outer quantiles.
    """

    def __init__(self, network: BearingFirst) -> None:
        super().__init__()
        self.network = network
        self.calibration = Calibration()
        self.spread = RangeSpread()

    def forward(
        self, spectrogram: Tensor, steering: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Detect vehicles in one window; this function is exported.

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
        # The curve rises, but rounding of its sum may swap neighbours.
        scores, order = torch.sort(scores, descending=True)
        kept = torch.nonzero(scores > LEAST_SCORE).flatten()
        order = order[kept]
        scores = scores[kept]
        labels = torch.zeros_like(scores, dtype=torch.int64)
        return plane_boxes(angles[order]), scores, labels, self.spread(range_m[order])


def distinct(columns: Tensor, shape: BearingShape) -> tuple[Tensor, Tensor, Tensor]:
    """Decode the columns of one window, without those that repeat a more likely one.

    Args:
        columns: (front, VALUES).
        shape: of the network.

    Returns:
        angles_deg: (N, 4); logits: (N,) descending; range_m: (N, 3).
    """
    angles = decoded_angles(columns, shape)
    kept = distinct_boxes(angles, columns[:, 0])
    angles = averaged_azimuths(angles, columns[:, 0])
    columns = columns[kept]
    return angles[kept], columns[:, 0], range_quantiles(columns)


def averaged_azimuths(
    angles_deg: Tensor, logits: Tensor, within_deg: float = AVERAGED_DEG
) -> Tensor:
    """Move boxes to the mean azimuth of the columns that mean the same vehicle.

    The mean is weighted by probability. Neighbouring columns each estimate where the centre of
    one vehicle is, and their errors are partly independent.

    Args:
        angles_deg: (..., front, 4) of `decoded_angles`.
        logits: (..., front).
        within_deg: about how far apart the bearings of such columns are.

    Returns:
        (..., front, 4).
    """
    azimuth = angles_deg[..., 0]
    apart = (azimuth[..., :, None] - azimuth[..., None, :]) / within_deg
    sure = torch.sigmoid(logits).clamp(min=LEAST_SHARE)
    weights = torch.exp(-(apart**2) / 2) * sure[..., None, :] ** 2
    averaged = (weights * azimuth[..., None, :]).sum(dim=-1) / weights.sum(dim=-1)
    return torch.cat([averaged[..., None], angles_deg[..., 1:]], dim=-1)


def distinct_boxes(angles_deg: Tensor, logits: Tensor) -> Tensor:
    """Select the boxes that do not repeat a more likely, kept box.

    Next to a loud vehicle, logits fall from column to column. If a dropped box could drop its
    neighbour in turn, nothing would be found on the whole slope: measured on validation windows,
    that costs 0.08 of the bearings' average precision and a fifth of the vehicles at any score.

    Args:
        angles_deg: (N, 4) azimuth, elevation, width and height.
        logits: (N,).

    Returns:
        (M,) int64 indices, most likely first.
    """
    middle, size = -angles_deg[:, :2], angles_deg[:, 2:]
    kept = nms(torch.cat([middle - size / 2, middle + size / 2], dim=1), logits, OVERLAP)
    # Sectors this wide have an IoU of one half if they are `APART_DEG` apart.
    left = middle[kept, 0] - 1.5 * APART_DEG
    flat = torch.zeros_like(left)
    sectors = torch.stack([left, flat, left + 3 * APART_DEG, flat + 1], dim=1)
    kept = kept[nms(sectors, logits[kept], 0.5)]
    return kept[torch.argsort(logits[kept], descending=True)]
