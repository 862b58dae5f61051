"""Lorries: a cab and a box on a frame."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.pictures.body_parts import (
    AMBER,
    BLACK,
    DARK,
    GLASS,
    LENS,
    PLATE,
    RED,
    SILVER,
    Body,
    Lamp,
    disc,
    flank,
    patch,
    turned,
    wheels,
)
from avdet_ros.simulation.pictures.faces import FaceList
from avdet_ros.simulation.vehicles import Vehicle


def lorry(vehicle: Vehicle, paint: np.ndarray) -> Body:
    """Build a lorry; long ones have more axles."""
    length, width, height = vehicle.length_m, vehicle.width_m, vehicle.height_m
    half, nose, tail = width / 2, length / 2, -length / 2
    faces = FaceList()
    cab = nose - 2.25
    cab_top = min(0.97 * height, 3.3)
    deck = 1.15
    # cargo box, pale or in the cab's colour, above a dark frame
    pale = 0.25 * paint + 0.75 * np.array([0.82, 0.83, 0.84])
    pale = pale if vehicle.vehicle_id % 3 else paint
    faces.box((tail, -half, deck), (cab - 0.25, half, height), 'canvas', pale)
    faces.box((tail + 0.05, -half * 0.9, 0.55), (cab, half * 0.9, deck), 'plastic', DARK, -1)
    low, high = (cab, -half * 0.97, 0.42), (nose - 0.06, half * 0.97, cab_top)
    faces.box(low, high, 'paint', paint)
    ribs = max(int((cab - tail) / 1.3), 2)
    for side in (1, -1):
        for rib in range(1, ribs):
            at = tail + rib * (cab - 0.25 - tail) / ribs
            line = flank((at, at + 0.03), side * half * 1.002, (deck, height))
            faces.add(line, 'canvas', 0.8 * pale, 1, normal=(0, side, 0))
        window = [(cab + 0.75, 1.75), (nose - 0.18, 1.75), (nose - 0.3, 2.45), (cab + 0.75, 2.45)]
        points = [(a, side * half * 0.972, b) for a, b in window]
        faces.add(turned(points, side), 'glass', GLASS, 1, normal=(0, side, 0))
        if cab - tail > 4.3:
            guard = flank((tail + 2.9, cab - 0.9), side * half * 0.95, (0.5, 0.9))
            faces.add(guard, 'metal', SILVER, 1, normal=(0, side, 0))
        mirror = patch(nose - 0.12, (side * half * 0.97, side * (half + 0.06)), (1.9, 2.5))
        faces.add(mirror, 'plastic', BLACK, -2, True, (1.0, 0.0, 0.0))
    front = nose - 0.055
    for y, z, material, colour, layer in (
        (0.92, (1.72, 2.55), 'glass', GLASS, 1),
        (0.86, (0.95, 1.55), 'grille', BLACK, 1),
        (0.97, (0.42, 0.80), 'plastic', DARK, 1),
        (0.30, (0.45, 0.57), 'plate', PLATE, 2),
    ):
        square = patch(front, (-y * half, y * half), (z[0], min(z[1], cab_top - 0.08)))
        faces.add(square, material, colour, layer, normal=(1, 0, 0))
    lamps = _lamps_and_doors(faces, half, front, tail, deck, height, pale)
    axles = [nose - 1.35, tail + 1.6]
    if length > 9:
        axles += [tail + 2.9]
    if length > 12:
        axles += [tail + 4.2, cab - 1.2]
    wheels(faces, axles, half, 0.5)
    disc(faces, (cab - 0.5, half * 0.9, 0.7), 0.09, 'y', 1, 'exhaust', DARK, 3)
    return Body(faces.build(), lamps)


def _lamps_and_doors(
    faces: FaceList,
    half: float,
    front: float,
    tail: float,
    deck: float,
    height: float,
    pale: np.ndarray,
) -> tuple[Lamp, ...]:
    lamps, end = [], (-1.0, 0.0, 0.0)
    for side in (1, -1):

        def across(inner: float, outer: float, side: int = side) -> tuple[float, float]:
            return side * inner * half, side * outer * half

        square = patch(front, across(0.6, 0.93), (0.58, 0.76))
        faces.add(square, 'headlamp', LENS, 2, normal=(1, 0, 0))
        lamps.append(Lamp((front, side * 0.77 * half, 0.67), (1.0, 0.95, 0.84), 1.0, 1))
        square = patch(tail - 0.005, across(0.6, 0.95), (0.78, 0.96))
        faces.add(square, 'taillamp', RED, 2, normal=end)
        lamps.append(Lamp((tail, side * 0.78 * half, 0.87), (1.0, 0.08, 0.06), 0.25, -1))
        door = patch(tail - 0.004, across(0.01, 0.93), (deck + 0.1, height - 0.12))
        faces.add(door, 'canvas', 0.9 * pale, 1, normal=end)
        hinge = patch(tail - 0.006, across(0.40, 0.43), (deck + 0.1, height - 0.12))
        faces.add(hinge, 'metal', 0.6 * pale, 2, normal=end)
        stripe = patch(tail - 0.006, across(0.55, 0.94), (0.47, 0.60))
        faces.add(stripe, 'sign', AMBER, 2, normal=end)
    bumper = patch(tail - 0.003, (-0.96 * half, 0.96 * half), (0.45, 0.62))
    faces.add(bumper, 'plastic', DARK, 1, normal=end)
    return tuple(lamps)
