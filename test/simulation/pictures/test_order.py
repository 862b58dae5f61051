"""The order of painting, from back to front."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.pictures.order import back_to_front


def test_wall_with_nearer_end_is_painted_before_car_in_front_of_it() -> None:
    wall = np.array([[5, 6], [60, 6], [60, 7], [5, 7]], float)
    car = np.array([[20, 2], [24, 2], [24, 4], [20, 4]], float)
    order = back_to_front(np.array([wall, car]), np.array([5.0, 20.0]), np.array([[0, 9], [0, 9]]))
    assert order.tolist() == [0, 1]
