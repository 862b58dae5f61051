"""The shapes of vehicles, as polygons in the vehicle's frame (x forward, y left, z up).

They fill the same length, width and height as `vehicles.Vehicle.outline_m`, from which the true
boxes are computed; wing mirrors protrude a few centimetres.
"""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.pictures.body_parts import Body
from avdet_ros.simulation.pictures.car_body import car
from avdet_ros.simulation.pictures.lorry_body import lorry
from avdet_ros.simulation.pictures.motorcycle_body import motorcycle
from avdet_ros.simulation.vehicles import Vehicle

PAINTS = (
    (0.83, 0.83, 0.82),
    (0.08, 0.08, 0.09),
    (0.33, 0.34, 0.36),
    (0.58, 0.59, 0.61),
    (0.55, 0.06, 0.07),
    (0.08, 0.17, 0.42),
    (0.16, 0.30, 0.52),
    (0.10, 0.25, 0.17),
    (0.63, 0.57, 0.46),
    (0.75, 0.42, 0.08),
    (0.28, 0.10, 0.13),
    (0.78, 0.72, 0.20),
)


def body_of(vehicle: Vehicle) -> Body:
    """Build a vehicle's body from its kind, size and colour."""
    paint = _paint(vehicle)
    if vehicle.kind == 'lorry':
        return lorry(vehicle, paint)
    if vehicle.kind == 'motorcycle':
        return motorcycle(vehicle, paint)
    return car(vehicle, paint)


def _paint(vehicle: Vehicle) -> np.ndarray:
    """Return the most similar common paint, shifted a little towards the drawn colour."""
    drawn = np.asarray(vehicle.paint, float)
    likely = np.argmin([np.abs(drawn - paint).sum() for paint in PAINTS])
    return np.clip(0.75 * np.array(PAINTS[likely]) + 0.25 * drawn, 0.03, 0.92)
