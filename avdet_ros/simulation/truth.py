"""Ground truth of a drive at one instant: the vehicles, and which of them are labels."""

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
            image; zeros for a vehicle outside the image.
        ids: (N,) int64 identities.
        kinds: N names from vehicles.KINDS.
        distance_m: (N,) float32 from the array to the middle of the vehicle.
        speed_mps: (N,) float32 speed of the vehicle.
        in_image: (N,) float32 fraction of the unclipped box that lies in the image, 0 to 1.
        visible_fraction: (N,) float32 fraction of the unclipped box that is in the image and
            hidden neither by a nearer vehicle's box nor by the corner of a building.
        level_db: (N,) float32 A-weighted sound pressure level at the array, dB(A); -inf if silent.
        rest_db: (N,) float32 level of all other sound there: other vehicles, ego vehicle, wind.
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
        """Select vehicles by a (N,) bool mask, or by indices, in the order of the indices."""
        arrays = {
            name: value[keep]
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        kinds = tuple(self.kinds[row] for row in np.arange(len(self))[keep])
        return Truth(time_s=self.time_s, kinds=kinds, **arrays)

    def labels(self) -> Truth:
        """Return the vehicles a sound-based detector should report.

        These are in the image (a box at least `LABEL_HEIGHT_PX` high, `LABEL_IN_IMAGE` of it in
        the image), within `LABEL_DISTANCE_M`, and audible. They need not be visible: an audible
        vehicle behind another one counts.
        """
        height = self.boxes_px[:, 3] - self.boxes_px[:, 1]
        return self.only(
            (height >= LABEL_HEIGHT_PX)
            & (self.in_image >= LABEL_IN_IMAGE)
            & (self.distance_m <= LABEL_DISTANCE_M)
            & self.audible
        )
