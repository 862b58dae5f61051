"""The Lightning module that trains EfficientDet on labelled frames: training and validation."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
import numpy as np
import torch
from torch import Tensor

from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.boxes.metrics import coco_average_precision
from avdet_ros.evaluation.runs.record import TruthFrame
from avdet_ros.training.data.labelled_frames import FrameSet
from avdet_ros.training.efficientdet.network import EfficientDetector
from avdet_ros.training.fitting.fit import refuse_bad_loss
from avdet_ros.training.teachers.base import TeacherRecipe


class TeacherTask(LightningModule):
    """Train a detector on the boxes of labelled frames."""

    def __init__(self, detector: EfficientDetector, recipe: TeacherRecipe) -> None:
        super().__init__()
        # Convolutions with few channels per group are a fifth faster with channels last.
        self.detector = detector.to(memory_format=torch.channels_last)
        self.recipe = recipe
        self._found: list[Detections] = []
        self._true: list[TruthFrame] = []

    def training_step(self, batch: tuple[Tensor, list[Tensor]], index: int) -> Tensor:
        """Compute focal and box loss of one batch."""
        pictures, boxes = batch
        prediction = self.detector(pictures.to(memory_format=torch.channels_last))
        terms = self.detector.loss(prediction, boxes)
        loss = torch.stack(list(terms.values())).sum()
        refuse_bad_loss(terms, loss, self, index, f'teacher {self.recipe.modality}')
        named = {
            f'train/{name}': value.detach() for name, value in {**terms, 'loss': loss}.items()
        }
        self.log_dict(named, on_epoch=True, on_step=False, batch_size=len(boxes))
        return loss

    def on_validation_epoch_start(self) -> None:
        """Discard the last epoch's boxes."""
        self._found, self._true = [], []

    def validation_step(self, batch: tuple[Tensor, list[Tensor]], index: int) -> None:
        """Collect predicted and true boxes of one batch."""
        pictures, boxes = batch
        for found, scores in self.detector.boxes(self.detector(pictures), score_threshold=0.02):
            self._found.append(Detections(found.cpu().numpy(), scores.cpu().numpy()))
        self._true += [TruthFrame.of(item.cpu().numpy(), np.arange(len(item))) for item in boxes]

    def on_validation_epoch_end(self) -> None:
        """Log the average precision over all batches."""
        precision = coco_average_precision(self._true, self._found)
        self.log_dict(
            {
                # Without any true box the AP is NaN; as 0 it makes the first epoch the best.
                'val/map': float(np.nan_to_num(precision.mean())),
                'val/map50': float(precision[0]),
                'val/map75': float(precision[5]),
            }
        )

    def configure_optimizers(self) -> dict[str, Any]:
        """Use AdamW with a cosine schedule."""
        optimizer = torch.optim.AdamW(
            self.detector.parameters(), lr=self.recipe.learning_rate, weight_decay=5e-4
        )
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        return {
            'optimizer': optimizer,
            'lr_scheduler': {'scheduler': schedule, 'interval': 'step'},
        }


class CountEpochs(Callback):
    """Set the frames' epoch, so that flips depend on seed, epoch and position only."""

    def __init__(self, frames: FrameSet) -> None:
        self.frames = frames

    def on_train_epoch_start(self, trainer: Trainer, task: LightningModule) -> None:
        """Pass on the current epoch."""
        self.frames.epoch = trainer.current_epoch
