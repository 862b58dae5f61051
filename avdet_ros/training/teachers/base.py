"""The interface of a teacher: a detector that sees pictures, whatever its network.

To add a teacher, write one file here or in another package: a subclass of `Teacher` with a
``name``, decorated with ``@TEACHERS.register``. A recipe selects it as ``teachers.model``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch import Tensor

from avdet_ros.dataset.layout import FrameId
from avdet_ros.progress import SILENT, Progress
from avdet_ros.training.data.labelled_frames import LabelledFrame

TEACHER_FILE = 'teacher.pt'
"""File in a teacher's folder that marks it as finished."""


@dataclass(frozen=True)
class TeacherRecipe:
    """How a teacher is built and trained.

    Attributes:
        modality: rgb, depth or thermal.
        config_name: an effdet configuration; the paper's is ``tf_efficientdet_d2``.
        image_size: height and width of the input; the paper's is (768, 768).
        anchor_scale: smallest anchor in strides of its level; the paper's is 4.
        crop: show it the paper's columns only, see `canvas_for`.
        epochs: passes over the frames.
        batch: frames per step.
        learning_rate: initial learning rate of AdamW; it falls to 0 along a cosine.
        seed: seed of weights, order and flips.
        scaling: normalisation of the pictures, see `camera_frames.SCALINGS`.
        zero_padded_pools: pad the pyramid's pools with zeros, see `EfficientDetector`.
        classes: number of vehicle classes, see `EfficientDetector`.
        bfloat16: train in bfloat16 where there is no GPU, which halves the time on CPUs that have
            ``avx512_bf16``.
    """

    modality: str
    config_name: str = 'tf_efficientdet_d2'
    image_size: tuple[int, int] = (768, 768)
    anchor_scale: float = 4.0
    crop: bool = True
    epochs: int = 30
    batch: int = 8
    learning_rate: float = 1e-3
    seed: int = 0
    scaling: str = 'own'
    zero_padded_pools: bool = False
    classes: int = 1
    bfloat16: bool = False


@dataclass(frozen=True)
class TeacherOutput:
    """A teacher's predictions for one frame.

    Attributes:
        boxes: (N, 4) float32 in pixels of its input.
        scores: (N,) float32, best first.
        attention: attention maps of P3..P7, each (H, W) float32.
        embedding: (5, C) float32, each level's features averaged over positions.
        features: (C, h, w) float32 of P5.
    """

    boxes: np.ndarray
    scores: np.ndarray
    attention: list[np.ndarray]
    embedding: np.ndarray
    features: np.ndarray


class Teacher(ABC):
    """A detector that predicts boxes, scores and feature maps.

    `training.teachers.labelling.label_drives` works with any class that has these members. All
    other code reads labels from files and does not depend on the teacher.

    Attributes:
        name: its name in recipes.
        modality: rgb, depth or thermal.
        image_size: height and width of its input, pixels.
        crop: it sees the paper's columns only, see `canvas_for`.
        score: threshold below which boxes are left out.
        scaling: normalisation of its pictures, see `camera_frames.SCALINGS`.
        fingerprint: distinguishes its labels from those of other teachers, for example a hash of
            its weights.
    """

    name: ClassVar[str]
    modality: str
    image_size: tuple[int, int]
    crop: bool
    score: float
    scaling: str = 'own'
    fingerprint: str

    @abstractmethod
    def predict(self, pictures: Tensor) -> list[TeacherOutput]:
        """Predict for (B, channels, height, width) network inputs."""

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, score: float) -> Teacher:
        """Load a finished teacher onto the device that it will run on.

        Args:
            folder: contains `TEACHER_FILE`.
            score: threshold below which boxes are left out.

        Raises:
            AvdetError: a file is missing or does not fit.
        """

    @classmethod
    @abstractmethod
    def fit(
        cls,
        recipe: TeacherRecipe,
        train: Sequence[LabelledFrame],
        val: Sequence[LabelledFrame],
        folder: Path,
        taught_by: Sequence[FrameId] = (),
        progress: Progress = SILENT,
    ) -> Teacher:
        """Train a teacher, or resume an interrupted run.

        Args:
            recipe: settings.
            train: training frames, from other drives than the student's.
            val: frames that select the best epoch.
            folder: receives `TEACHER_FILE` at the end.
            taught_by: frames of the drives that no student of this teacher may learn from.
            progress: displays the progress.

        Raises:
            AvdetError: no frames, a folder started with other settings, or a loss that is not a
                number.
        """
