"""The rows *sounding*: a selector fitted to the training drives filters their labels.

`avdet train selector` and `avdet train label --filter sounding` do the same with teachers' boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from avdet_ros.dataset.label_filter import FilteredFrame
from avdet_ros.errors import AvdetError
from avdet_ros.evaluation.sounding.boxes import SeenBoxes
from avdet_ros.evaluation.sounding.directions import Received
from avdet_ros.evaluation.sounding.filters import Thresholds, by_score
from avdet_ros.files import write_atomically
from avdet_ros.progress import SILENT, Progress
from avdet_ros.quoting import one_line
from avdet_ros.rig import Rig
from avdet_ros.training.sounding.box_set import BoxSet, box_set
from avdet_ros.training.sounding.learning import SelectorPlan, fit_selector, predict
from avdet_ros.training.sounding.run import mirror_of
from avdet_ros.training.sounding.sound_sums import DirectionMaps

Judge = Callable[[SeenBoxes], Sequence[FilteredFrame]]
"""Function that decides which of the teachers' boxes are labels."""

JUDGES = {
    'sounding': SelectorPlan(kinds=('sound',)),
    'sounding_100': SelectorPlan(kinds=('sound',), labelled=100, unlabelled=False),
}
"""Plans of the rows' selectors."""


@dataclass(frozen=True)
class SelectorJudge:
    """A judge that applies a selector's verdicts.

    Attributes:
        plan: settings of its fitting.
        train: the frames that it is fitted to.
        sound: received sound of the frames whose labels it judges, which are those of ``train``.
        root: the data set's folder.
        rig: array and camera.
        path: file with the probability that each box sounds.
        progress: displays the steps.
    """

    plan: SelectorPlan
    train: BoxSet
    sound: Received
    root: Path
    rig: Rig
    path: Path
    progress: Progress = SILENT

    def __call__(self, boxes: SeenBoxes) -> list[FilteredFrame]:
        """Judge the teachers' boxes of the frames, see `filters.by_score`.

        Raises:
            AvdetError: an earlier run's file is damaged, or of other boxes.
        """
        chance = self._loaded(len(boxes)) if self.path.exists() else self._fitted(boxes)
        return by_score(boxes, chance, self.sound, self.rig, Thresholds())

    def _fitted(self, boxes: SeenBoxes) -> np.ndarray:
        maps = DirectionMaps(self.rig)
        network = fit_selector(self.train, self.plan, maps, mirror_of(self.rig), self.progress)
        padded = box_set(
            self.root, boxes.frames, boxes.frame, boxes.boxes_px, self.rig, thermal=False
        )
        chance = padded.flat(torch.sigmoid(predict(network, padded, maps)), len(boxes))
        with write_atomically(self.path) as file:
            np.save(file, chance)
        return chance

    def _loaded(self, count: int) -> np.ndarray:
        try:
            chance = np.load(self.path, allow_pickle=False)
            if chance.shape != (count,):
                raise ValueError(f'{len(chance)} for {count} boxes')
        except Exception as error:  # numpy passes on all errors of zipfile
            raise AvdetError(
                f'{self.path}: expected the probabilities that boxes sound, found '
                f'{one_line(error)}; delete it to create it again'
            ) from error
        return chance


def judges(
    root: Path,
    train: BoxSet,
    sound: Received,
    rig: Rig,
    out: Path,
    steps: int,
    progress: Progress = SILENT,
) -> dict[str, Judge]:
    """Make the judge of each row, fitted on first use; arguments as of `SelectorJudge`."""
    return {
        name: SelectorJudge(
            replace(plan, steps=steps), train, sound, root, rig, out / f'{name}.npy', progress
        )
        for name, plan in JUDGES.items()
    }
