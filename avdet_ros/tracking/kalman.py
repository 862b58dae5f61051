"""A constant-velocity Kalman filter over boxes, with time in seconds.

A box is described by its centre x, y and the logarithms of its width and height, so that sizes
stay positive and the box of an approaching vehicle grows at a steady rate. The four coordinates
move independently, each with a velocity disturbed by white acceleration (Bar-Shalom, Li and
Kirubarajan, Estimation with Applications to Tracking and Navigation, section 6.2.2).
"""

from __future__ import annotations

import numpy as np

_LARGEST_LOG = 12.0


def to_coordinates(box_px: np.ndarray) -> np.ndarray:
    """Convert a (4,) box x_min, y_min, x_max, y_max to centre x, centre y, ln width, ln height."""
    box = np.asarray(box_px, np.float64)
    size = np.maximum(box[2:] - box[:2], 1.0)
    return np.concatenate([(box[:2] + box[2:]) / 2, np.log(size)])


def to_box(coordinates: np.ndarray) -> np.ndarray:
    """Invert `to_coordinates`, (4,) float32."""
    half = np.exp(np.clip(coordinates[2:], 0, _LARGEST_LOG)) / 2
    return np.concatenate([coordinates[:2] - half, coordinates[:2] + half]).astype(np.float32)


class BoxFilter:
    """Position and velocity of one box.

    Attributes:
        state: (4, 2) float64, each coordinate's value and its change per second.
        covariance: (4, 2, 2) float64.
    """

    def __init__(
        self,
        box_px: np.ndarray,
        measurement_noise: float,
        velocity_std: float,
        acceleration_noise: float,
    ) -> None:
        """Start at a box, at rest.

        Args:
            box_px: (4,) first detection.
            measurement_noise: standard deviation of a detected centre in widths or heights of
                the box, and of the logarithms of its size.
            velocity_std: standard deviation of the unknown initial velocity, sizes per second.
            acceleration_noise: spectral density of the acceleration, sizes / s^1.5.
        """
        self._measurement_noise = measurement_noise
        self._acceleration_noise = acceleration_noise
        coordinates = to_coordinates(box_px)
        self.state = np.stack([coordinates, np.zeros(4)], axis=1)
        unit = self._unit()
        self.covariance = np.zeros((4, 2, 2))
        self.covariance[:, 0, 0] = (measurement_noise * unit) ** 2
        self.covariance[:, 1, 1] = (velocity_std * unit) ** 2

    @property
    def box_px(self) -> np.ndarray:
        """The estimated box, (4,) float32."""
        return to_box(self.state[:, 0])

    def predict(self, seconds: float) -> None:
        """Predict the state some seconds later."""
        density = (self._acceleration_noise * self._unit()) ** 2
        step = np.array([[1.0, seconds], [0.0, 1.0]])
        self.state = self.state @ step.T
        self.covariance = step @ self.covariance @ step.T
        self.covariance += density[:, None, None] * np.array(
            [[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]]
        )

    def correct(self, box_px: np.ndarray) -> None:
        """Correct the state with a detection."""
        noise = (self._measurement_noise * self._unit()) ** 2
        gain = self.covariance[:, :, 0] / (self.covariance[:, 0, 0] + noise)[:, None]
        innovation = to_coordinates(box_px) - self.state[:, 0]
        self.state = self.state + gain * innovation[:, None]
        # Joseph's form stays symmetric and positive despite rounding.
        keep = np.tile(np.eye(2), (4, 1, 1))
        keep[:, :, 0] -= gain
        self.covariance = keep @ self.covariance @ keep.transpose(0, 2, 1)
        self.covariance += noise[:, None, None] * gain[:, :, None] * gain[:, None, :]

    def _unit(self) -> np.ndarray:
        """Unit of the noise: the box's size for the centre, 1 for the logarithms."""
        size = np.exp(np.clip(self.state[2:, 0], 0, _LARGEST_LOG))
        return np.concatenate([size, np.ones(2)])
