"""Pretext that matches directions of the sound with vehicles in the picture.

Audio-visual spatial alignment (P. Morgado et al., "Learning representations from audio-visual
spatial alignment", arXiv 2011.01819) on the columns of the image. With unit vectors a_jc of column
c of window j's encoding and v_k of box k of window i (its size, its height in the picture and, if
there are teachers, their features in it; never its column), T = 0.07,

    s_k = max over the box's columns of a_ic v_k / T
    L = mean over k of -log( exp(s_k) / (exp(s_k) + hard + easy) )

where *hard* sums over window i's own columns at least 6 degrees off and in no other box, among
them the mirrored position, and *easy* over the same columns of other windows that certainly have
other vehicles (`base.negatives`). Empty road is never a positive. The batch mean is subtracted
from a_jc and from the teachers' features, so that a constant per column, which a student may
learn, cannot replace hearing: with the sound of another window the column must not be found
(``deaf``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avdet_ros.errors import AvdetError
from avdet_ros.training.boxes.columns import COLUMNS, audio_columns, column_occupancy
from avdet_ros.training.data.batch import Batch
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.data.picture_area import PictureArea
from avdet_ros.training.data.windows import WindowDataset
from avdet_ros.training.networks.base import StudentAdapter
from avdet_ros.training.pretexts.base import MeasuredPretext, negatives, without
from avdet_ros.training.recipes.parts import Augmentation
from avdet_ros.training.recipes.student import StudentRecipe
from avdet_ros.training.registries import PRETEXTS

TEMPERATURE = 0.07
DIMENSIONS = 64
FAR = 0.055
"""Minimum distance of a hard negative from a box, relative to the width: 6 degrees."""

NEAR = 1 / COLUMNS
"""Margin by which a box's columns extend beyond it, relative to the width."""

POINTS = 3
"""Rows and columns of the points in a box at which the teachers' features are sampled."""


@PRETEXTS.register
class SpatialAlignment(MeasuredPretext):
    """Align boxes with columns of the sound's encoding."""

    name = 'spatial_alignment'
    compares = True

    def __init__(
        self, student: StudentAdapter, recipe: StudentRecipe, mirror: Mirror | None, channels: int
    ) -> None:
        super().__init__(student, recipe, mirror, channels)
        if not isinstance(getattr(student, 'area', None), PictureArea):
            raise AvdetError(
                f'pretext.task: {self.name}: expected a student with a map over the image, such '
                f'as steered, found {student.name}'
            )
        self.heard = nn.Conv1d(channels, DIMENSIONS, 1)

    @classmethod
    def needs_of(cls, recipe: StudentRecipe) -> tuple[str, ...]:
        """Require the teachers' features with labels by teachers, otherwise boxes alone."""
        return ('features',) if recipe.labels == 'teachers' else ()

    @property
    def augmentation(self) -> Augmentation:
        """No mixing (no matching picture), and no gain or loss of single microphones."""
        return without(self.recipe.augmentation, 'mix', 'channel_gain_db', 'drop_channel')

    def prepare(self, train: WindowDataset, val: WindowDataset) -> None:
        """Build the projection of the boxes' evidence."""
        super().prepare(train, val)
        if not any(map(len, train.boxes)):
            raise AvdetError(f'pretext.task: {self.name}: expected labelled boxes, found none')
        inputs = 3
        if len(train.teacher_features):
            inputs += train.teacher_features[0].__array__().shape[1]
        self.seen = nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, DIMENSIONS))

    def measure(self, batch: Batch) -> dict[str, Tensor]:
        """``loss``; ``found``: share of boxes whose columns beat all hard negatives.

        ``deaf``: the same with another window's sound, which should be at chance level.
        """
        sound = self.heard(audio_columns(self.student.encode(batch.spectrogram)))
        sound = functional.normalize(sound - sound.mean(dim=0, keepdim=True), dim=1)
        boxes = torch.cat(list(batch.boxes))
        if len(boxes) == 0:
            nothing = 0.0 * sound.sum()
            return {'loss': nothing, 'found': nothing, 'deaf': nothing}
        counts = torch.tensor([len(each) for each in batch.boxes], device=boxes.device)
        owner = torch.repeat_interleave(torch.arange(len(counts), device=boxes.device), counts)
        vectors = functional.normalize(self.seen(self._evidence(batch, boxes, owner)), dim=1)
        scores = torch.einsum('kd,bdc->kbc', vectors, sound) / TEMPERATURE
        own, far = box_columns(batch.boxes)
        terms = alignment(scores, owner, own, far, negatives(batch, boxes.device))
        deaf = alignment(scores, (owner + 1) % len(counts), own, far, None)
        return {**terms, 'deaf': deaf['found']}

    def _evidence(self, batch: Batch, boxes: Tensor, owner: Tensor) -> Tensor:
        """Return (K, 3 or 3 + D) per box: log width and height, lower edge, features."""
        size = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-3)
        seen = torch.cat([torch.log(size) + 3, boxes[:, 3:] * 4 - 2], dim=1)
        if batch.teacher_features.numel() == 0:
            return seen
        maps = batch.teacher_features.mean(dim=1)
        maps = maps - maps.mean(dim=0, keepdim=True)
        return torch.cat([seen, in_boxes(maps, boxes, owner, self.student.area)], dim=1)

    def describe(self, result: dict[str, Any]) -> str:
        """Report how often the columns are found, with the own and with other sound."""
        return (
            f'{self.name}: the columns of {result["found"]:.0%} of the boxes found, '
            f"{result['deaf']:.0%} with another window's sound"
        )


def box_columns(boxes: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Return each box's columns and its hard negatives, both (K, COLUMNS) bool."""
    flat = torch.cat(boxes)
    centres = (torch.arange(COLUMNS, device=flat.device) + 0.5) / COLUMNS
    outside = torch.maximum(flat[:, :1] - centres, centres - flat[:, 2:3])
    own = (outside <= NEAR) | (outside <= outside.amin(dim=1, keepdim=True))
    taken = column_occupancy(boxes, NEAR / 2) > 0.5
    counts = torch.tensor([len(each) for each in boxes], device=flat.device)
    return own, (outside >= FAR) & ~taken.repeat_interleave(counts, dim=0)


def alignment(
    scores: Tensor, owner: Tensor, own: Tensor, far: Tensor, allowed: Tensor | None
) -> dict[str, Tensor]:
    """Compute the loss of the module's equation, and the share of boxes found.

    Args:
        scores: (K, B, COLUMNS) similarities of boxes and windows' columns, divided by T.
        owner: (K,) window of each box.
        own: (K, COLUMNS) bool, the box's columns.
        far: (K, COLUMNS) bool, hard negatives.
        allowed: (B, B) bool, easy negatives; None for none.
    """
    place = torch.arange(len(scores), device=scores.device)
    own_window = scores[place, owner]
    positive = own_window.masked_fill(~own, -torch.inf).amax(dim=1)
    hard = own_window.masked_fill(~far, -torch.inf)
    rivals = [positive[:, None], hard]
    if allowed is not None:
        easy = scores.masked_fill(~own[:, None], -torch.inf).amax(dim=2)
        rivals.append(easy.masked_fill(~allowed[owner], -torch.inf))
    loss = torch.cat(rivals, dim=1).logsumexp(dim=1) - positive
    return {'loss': loss.mean(), 'found': (positive > hard.amax(dim=1)).float().mean()}


def in_boxes(maps: Tensor, boxes: Tensor, owner: Tensor, area: PictureArea) -> Tensor:
    """Average the teachers' (B, D, h, w) maps in (K, 4) boxes, relative to the image: (K, D)."""
    steps = (torch.arange(POINTS, device=boxes.device) + 0.5) / POINTS
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * steps
    y = boxes[:, 1:2] + (boxes[:, 3:] - boxes[:, 1:2]) * steps
    x, y = (x - area.left) / area.seen * area.across, y * area.down
    size = (len(boxes), POINTS, POINTS)
    grid = torch.stack([x[:, None].expand(size), y[:, :, None].expand(size)], dim=-1) * 2 - 1
    sampled = functional.grid_sample(maps[owner], grid, padding_mode='border', align_corners=False)
    return sampled.mean(dim=(2, 3))
