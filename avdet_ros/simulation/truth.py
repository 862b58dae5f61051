"""The truth about a drive at one instant: which vehicles there are, and which are labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.detection.boxes import LEAST_IN_IMAGE

LABEL_DISTANCE_M = 70.0
LABEL_HEIGHT_PX = 12.0
LABEL_IN_IMAGE = LEAST_IN_IMAGE


@dataclass(frozen=True)
class Truth:
    """The vehicles within `scene.HORIZON_M` of the ego vehicle at one instant, nearest first.

    Attributes:
        time_s: the instant, drive time.
        boxes_px: (N, 4) float32 x_min, y_min, x_max, y_max of the body's outline, clipped to the
            image; zeros for a vehicle that is not in it.
        ids: (N,) int64 identities.
        kinds: N names from vehicles.KINDS.
        distance_m: (N,) float32 from the array to the middle of the vehicle.
        speed_mps: (N,) float32.
        in_image: (N,) float32 part of the unclipped box that lies in the image, 0 to 1.
        visible_fraction: (N,) float32 part of the unclipped box that is in the image and neither
            behind a nearer vehicle's box nor around the corner of a building.
        level_db: (N,) float32 A-weighted sound pressure level at the array, dB(A); -inf if silent.
        rest_db: (N,) float32 the same of everything else: other vehicles, ego vehicle, wind.
        audible: (N,) bool, level_db - rest_db >= scene.AUDIBLE_DB.
    """

    time_s: float
    boxes_px: np.ndarray
    ids: np.ndarray
    kinds: tuple[str, ...]
    distance_m: np.ndarray
    speed_mps: np.ndarray
    in_image: np.ndarray
    visible_fraction: np.ndarray
    level_db: np.ndarray
    rest_db: np.ndarray
    audible: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def only(self, keep: np.ndarray) -> Truth:
        """Some vehicles: where a (N,) bool mask is true, or those of indices, in their order."""
        arrays = {
            name: value[keep]
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        kinds = tuple(self.kinds[row] for row in np.arange(len(self))[keep])
        return Truth(time_s=self.time_s, kinds=kinds, **arrays)

    def labels(self) -> Truth:
        """The vehicles a detector of sound should report.

        Those in the image (a box at least `LABEL_HEIGHT_PX` high of which `LABEL_IN_IMAGE` lies in
        the image), within `LABEL_DISTANCE_M`, and audible. They need not be visible: a vehicle
        behind another one is audible and counts.
        """
        height = self.boxes_px[:, 3] - self.boxes_px[:, 1]
        return self.only(
            (height >= LABEL_HEIGHT_PX)
            & (self.in_image >= LABEL_IN_IMAGE)
            & (self.distance_m <= LABEL_DISTANCE_M)
            & self.audible
        )
