"""Parts that recipes of several kinds have: windows, fitting, loss, augmentation."""

from __future__ import annotations

from dataclasses import dataclass

from avdet_ros.fields import value

MODELS = ('steered', 'image_grid', 'image_grid_levels', 'spectrogram_axes')
"""Our compact students, see `avdet_ros.training.networks.compact`."""


@dataclass(frozen=True)
class DataRecipe:
    """How many windows are simulated where there are none yet.

    Attributes:
        train: windows to learn from.
        val: windows to watch, choose and calibrate with.
        test: windows that only the final scores are computed on.
    """

    train: int = value(12000, 32, 10_000_000)
    val: int = value(1500, 32, 1_000_000)
    test: int = value(1500, 32, 1_000_000)


@dataclass(frozen=True)
class FitRecipe:
    """How the network is fitted.

    Attributes:
        epochs: passes over the training windows, at most.
        batch: windows a step.
        learning_rate: AdamW's largest one; it rises for 5 % of the steps, then follows a cosine.
        weight_decay: AdamW's.
        patience: epochs without a better validation mAP after which fitting ends.
        seed: of weights, order and augmentation.
        windows: learn from the first so many windows only; 0 takes all.
        precision: ``bf16-mixed`` is faster where the processor has such numbers, and needs half of
            the memory; ``32-true`` everywhere.
        average: decay per step of the running mean of the weights that is kept as the model.
    """

    epochs: int = value(40, 1, 10_000)
    batch: int = value(32, 2, 4096)
    learning_rate: float = value(2e-3, 1e-7, 1.0)
    weight_decay: float = value(0.02, 0.0, 1.0)
    patience: int = value(15, 1, 10_000)
    seed: int = value(0, 0, 2**31)
    windows: int = value(0, 0, 10_000_000)
    average: float = value(0.998, 0.0, 0.99999)
    precision: str = value('32-true', choices=('32-true', 'bf16-mixed', '16-mixed'))


@dataclass(frozen=True)
class LossRecipe:
    """Weights of the loss's terms beside the focal one, whose weight is 1.

    Attributes:
        huber: offsets and log sizes.
        giou: generalised IoU.
    """

    huber: float = value(1.0, 0.0, 100.0)
    giou: float = value(2.0, 0.0, 100.0)


@dataclass(frozen=True)
class Augmentation:
    """What `training.data.augment` changes about the windows; 0 or False changes nothing.

    Attributes:
        mirror: exchange left and right in half of the windows.
        gain_db: overall level, uniform within plus and minus this.
        channel_gain_db: standard deviation of each microphone's level.
        mask_bands: up to this many neighbouring mel bands are hidden.
        mix: part of the windows to which another one of the batch is added, with its boxes.
    """

    mirror: bool = value(True)
    gain_db: float = value(6.0, 0.0, 40.0)
    channel_gain_db: float = value(0.5, 0.0, 20.0)
    mask_bands: int = value(8, 0, 80)
    mix: float = value(0.0, 0.0, 1.0)
