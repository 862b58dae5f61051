"""Learn which box sounds, without labels or with labels of a few frames.

Two signals need no labels. First, a moment's sound belongs to its picture: one of its boxes should
sound, and none of them with another moment's sound (multiple-instance learning). Second, the
sounds of two moments of a drive are mixed and the boxes of both are given: each moment should have
a box that sounds. With one moment's sound alone, the other moment's boxes should be silent, unless
they lie where that sound comes from. Where labels exist, their cross-entropy is added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from avdet_ros.evaluation.sounding.directions import AZIMUTHS_DEG
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.data.mirror import Mirror
from avdet_ros.training.sounding.box_set import BoxSet
from avdet_ros.training.sounding.network import (
    SelectorNet,
    picture_logit,
)
from avdet_ros.training.sounding.sound_sums import GROUPS, DirectionMaps, mirrored_sums

APART_S = 4.0
"""Minimum time between two moments of a drive: a second later the same vehicle still sounds."""

NEAR_DEG = 5.0
"""A box this near another moment's box, or its loudest direction, may sound in that moment too."""

LEAST_WEIGHT = 0.1
"""Weight of frames in which the previous round found nothing; none is excluded permanently."""


@dataclass(frozen=True)
class SelectorPlan:
    """Settings of fitting a selector.

    Attributes:
        kinds: kinds of evidence, keys of `network.EVIDENCE`.
        steps: steps of each round.
        batch: frames per step.
        learning_rate: learning rate of AdamW.
        rounds: number of rounds; with 2, the second weights frames by the predictions of the
        first.
        mixing: also learn from mixtures of two moments.
        labelled: number of labelled frames, spread evenly over all; 0 for none.
        unlabelled: also learn from frames without labels.
        seed: seed of weights and order.
    """

    kinds: tuple[str, ...] = ('sound', 'sight', 'motion')
    steps: int = 150
    batch: int = 32
    learning_rate: float = 2e-3
    rounds: int = 2
    mixing: bool = True
    labelled: int = 0
    unlabelled: bool = True
    seed: int = 0


def fit_selector(
    boxes: BoxSet,
    plan: SelectorPlan,
    maps: DirectionMaps,
    mirror: Mirror | None = None,
    progress: Progress = SILENT,
) -> SelectorNet:
    """Fit a selector.

    Args:
        boxes: frames of training drives.
        plan: settings.
        maps: direction maps of the rig.
        mirror: mirror of the rig, for sounds from the wrong side; None if it has none.
        progress: displays the steps.
    """
    torch.manual_seed(plan.seed)
    network = SelectorNet(plan.kinds)
    own_maps = all_maps(maps, boxes.sums)
    evidence = network.evidence(boxes, own_maps)
    network.fit_scaling(evidence, boxes.valid)
    seen = torch.nonzero(boxes.valid.any(dim=1)).flatten()
    weight = torch.ones(len(boxes))
    if not len(seen):
        return network.eval()
    draw = _Unlabelled(boxes, maps, mirror, plan.mixing, own_maps, evidence)
    labelled = labelled_frames(boxes, plan.labelled)
    rounds = plan.rounds if plan.unlabelled else 1
    with progress.step('selector', rounds * plan.steps) as advance:
        for _ in range(rounds):
            chance = torch.Generator().manual_seed(plan.seed)
            network.train()
            optimiser = torch.optim.AdamW(network.parameters(), plan.learning_rate)
            for _ in range(plan.steps):
                terms = []
                if plan.unlabelled:
                    drawn = seen[torch.randint(len(seen), (plan.batch,), generator=chance)]
                    terms += draw.terms(network, drawn, weight, chance)
                if len(labelled):
                    drawn = labelled[torch.randint(len(labelled), (plan.batch,), generator=chance)]
                    known = boxes.valid[drawn] & ~boxes.sounds[drawn].isnan()
                    logits = network(evidence[drawn][known])
                    truth = boxes.sounds[drawn][known]
                    terms.append(functional.binary_cross_entropy_with_logits(logits, truth))
                if terms:
                    optimiser.zero_grad()
                    torch.stack(terms).sum().backward()
                    optimiser.step()
                advance()
            with torch.no_grad():
                predicted = torch.sigmoid(network.eval()(evidence)).masked_fill(~boxes.valid, 0)
            weight = predicted.amax(dim=1).clamp(LEAST_WEIGHT, 1.0)
    return network.eval()


@torch.no_grad()
def predict(
    network: SelectorNet, boxes: BoxSet, maps: DirectionMaps, sums: Tensor | None = None
) -> Tensor:
    """Predict (F, K) logits of all boxes.

    Args:
        network: a fitted selector.
        boxes: frames.
        maps: direction maps of the rig.
        sums: sounds in place of the frames' own, for controls.
    """
    network.eval()
    sums = boxes.sums if sums is None else sums
    sound_maps = all_maps(maps, sums) if 'sound' in network.kinds else None
    return network(network.evidence(boxes, sound_maps))


def all_maps(maps: DirectionMaps, sums: Tensor) -> Tensor:
    """Compute (F, 2 `GROUPS`, A) maps of many frames, in chunks."""
    return torch.cat([maps(part) for part in sums.split(256)])


def labelled_frames(boxes: BoxSet, count: int) -> Tensor:
    """Return indices of at most ``count`` frames with labelled boxes, spread evenly, (M,)."""
    labelled = torch.nonzero((boxes.valid & ~boxes.sounds.isnan()).any(dim=1)).flatten()
    if count >= len(labelled):
        return labelled
    return labelled[torch.linspace(0, len(labelled) - 1, count).long()]


def joined(first: BoxSet, second: BoxSet) -> BoxSet:
    """Join frames in pairs: boxes of the first, then of the second; the sounds are added."""
    parts = {
        name: torch.cat([getattr(first, name), getattr(second, name)], dim=1)
        for name in ('sides_deg', 'valid', 'sight', 'motion', 'warmth', 'sounds', 'row')
    }
    return replace(first, sums=first.sums + second.sums, **parts)


def free_of(boxes: BoxSet, other: BoxSet, maps: Tensor) -> Tensor:
    """Mark boxes away from another moment's boxes and its loudest direction, (F, K) bool.

    Args:
        boxes: boxes of the moment that is not heard.
        other: the moment that is heard.
        maps: (F, 2 `GROUPS`, A) of the other moment's sound.
    """
    middle = boxes.sides_deg.mean(dim=-1)
    apart = (middle[:, :, None] - other.sides_deg.mean(dim=-1)[:, None]).abs()
    apart = apart.masked_fill(~other.valid[:, None], torch.inf)
    loudest = torch.from_numpy(AZIMUTHS_DEG).float()[
        (10 ** (maps[:, :GROUPS] / 10)).sum(dim=1).argmax(dim=-1)
    ]
    quiet = (middle - loudest[:, None]).abs() > NEAR_DEG
    return boxes.valid & quiet & (apart.amin(dim=-1) > NEAR_DEG)


class _Unlabelled:
    """Losses of a batch without labels, against randomly drawn other moments."""

    def __init__(
        self,
        boxes: BoxSet,
        maps: DirectionMaps,
        mirror: Mirror | None,
        mixing: bool,
        own_maps: Tensor,
        evidence: Tensor,
    ) -> None:
        self.boxes, self.maps, self.mixing = boxes, maps, mixing
        self.own_maps, self.evidence = own_maps, evidence
        self.others = other_moments(boxes)
        self.turned = None
        if mirror is not None:
            self.turned = all_maps(maps, mirrored_sums(boxes.sums, mirror))

    def terms(
        self, network: SelectorNet, drawn: Tensor, weight: Tensor, chance: torch.Generator
    ) -> list[Tensor]:
        """Compute the loss terms of (B,) frames, given the weights (F,) of all frames."""
        own, weighted = self.boxes.select(drawn), weight[drawn]
        choices = (self.others[place] for place in drawn.tolist())
        place = [int(it[torch.randint(len(it), (1,), generator=chance)]) for it in choices]
        other = self.boxes.select(torch.tensor(place))
        foreign = self.own_maps[place]
        if self.turned is not None:
            turned = (torch.rand(len(drawn), generator=chance) < 0.25) & lopsided(own)
            foreign = torch.where(turned[:, None, None], self.turned[drawn], foreign)
        own_logits = network(self.evidence[drawn])
        foreign_logits = network(network.evidence(own, foreign))
        terms = [
            _mean(functional.softplus(-picture_logit(own_logits, own.valid)), weighted),
            functional.softplus(picture_logit(foreign_logits, own.valid)).mean(),
        ]
        both = (own.drive == other.drive) & other.valid.any(dim=1)
        if self.mixing and both.any():
            pair = own.select(both), other.select(both)
            alone = self.own_maps[torch.tensor(place)[both]]
            terms += _mixed(network, *pair, self.maps, alone, weighted[both])
        return terms


def _mixed(
    network: SelectorNet,
    own: BoxSet,
    other: BoxSet,
    maps: DirectionMaps,
    alone: Tensor,
    weighted: Tensor,
) -> list[Tensor]:
    """Compute the losses of two mixed moments, and of one alone with the boxes of both."""
    together, count = joined(own, other), own.valid.shape[1]
    logits = network(network.evidence(together, maps(together.sums)))
    sides = [
        functional.softplus(-picture_logit(part, valid))
        for part, valid in (
            (logits[:, :count], own.valid),
            (logits[:, count:], other.valid),
        )
    ]
    logits = network(network.evidence(together, alone))[:, :count]
    silent = free_of(own, other, alone)
    quiet = (functional.softplus(logits) * silent).sum() / silent.sum().clamp(min=1)
    return [_mean(torch.stack(sides).mean(dim=0), weighted), quiet]


def lopsided(boxes: BoxSet) -> Tensor:
    """Mark frames that differ from their mirror image, (F,) bool."""
    middle = boxes.sides_deg.mean(dim=-1)
    apart = (middle[:, :, None] + middle[:, None]).abs()
    apart = apart.masked_fill(~boxes.valid[:, None], torch.inf).amin(dim=-1)
    return ((apart > 2 * NEAR_DEG) | ~boxes.valid).all(dim=1) & boxes.valid.any(dim=1)


def other_moments(boxes: BoxSet) -> list[Tensor]:
    """List for each frame those of its drive `APART_S` away, and as many of other drives."""
    return apart_in_time(boxes.drive, boxes.time_s)


def apart_in_time(drives: Tensor, times_s: Tensor) -> list[Tensor]:
    """Compute `other_moments` from (F,) drives and (F,) times."""
    frames = torch.arange(len(drives))
    found = []
    for drive, time_s in zip(drives.tolist(), times_s.tolist(), strict=True):
        same = drives == drive
        near = frames[same & ((times_s - time_s).abs() >= APART_S)]
        far = frames[~same]
        if len(near) and len(far):
            step = max(1, len(far) // len(near))
            far = far[::step][: len(near)]
        both = torch.cat([near, far])
        found.append(both if len(both) else frames[same])
    return found


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)
