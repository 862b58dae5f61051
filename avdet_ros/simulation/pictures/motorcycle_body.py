"""Motorcycles with their riders."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.pictures.body_parts import (
    DARK,
    GLASS,
    LENS,
    PLATE,
    RED,
    SILVER,
    Body,
    Lamp,
    disc,
)
from avdet_ros.simulation.pictures.faces import FaceList
from avdet_ros.simulation.vehicles import Vehicle


def motorcycle(vehicle: Vehicle, paint: np.ndarray) -> Body:
    """Build a motorcycle with panniers and its rider."""
    length, width, height = vehicle.length_m, vehicle.width_m, vehicle.height_m
    faces = FaceList()
    radius = 0.31
    reach = length / 2 - radius
    cloth = 0.3 * paint + 0.08
    for at in (reach, -reach):
        for side in (1, -1):
            disc(
                faces, (at, side * 0.06, radius), radius, 'y', side, 'tyre', (0.06, 0.06, 0.065), 0
            )
            disc(faces, (at, side * 0.062, radius), radius * 0.68, 'y', side, 'rim', SILVER, 1)
            disc(
                faces,
                (at, side * 0.064, radius),
                radius * 0.58,
                'y',
                side,
                'rim',
                (0.16, 0.16, 0.17),
                2,
            )
        for end in (0.85, -0.85):
            quad = [
                (at + end * radius, -0.07, 0),
                (at + end * radius, 0.07, 0),
                (at + end * radius, 0.07, 2 * radius),
                (at + end * radius, -0.07, 2 * radius),
            ]
            faces.add(quad, 'tyre', (0.05, 0.05, 0.055), 0, True, (float(np.sign(end)), 0, 0))
    z = height
    faces.box((-0.32, -0.17, 0.24), (0.28, 0.17, 0.56), 'engine', (0.17, 0.17, 0.18), 0)
    faces.box((-0.02, -0.16, 0.56), (0.42, 0.16, 0.84), 'paint', paint, 0, 0.75)
    faces.box((-0.72, -0.15, 0.62), (0.0, 0.15, 0.76), 'plastic', DARK, 0)
    faces.box((0.40, -0.22, 0.66), (0.72, 0.22, 1.02), 'paint', paint, 0, 0.55)
    faces.box((reach - 0.14, -0.11, 0.3), (reach - 0.02, 0.11, 0.85), 'metal', SILVER, 0, 0.8)
    faces.box((-0.75, -0.24, 0.3), (-0.25, -0.14, 0.42), 'exhaust', (0.4, 0.38, 0.36), 1)
    bar = width / 2
    for low, high in ((-bar, -0.17), (0.17, bar)):
        # panniers
        faces.box((-length / 2 + 0.08, low, 0.36), (-0.30, high, 0.74), 'plastic', DARK, 0, 0.95)
    quad = [(0.42, -bar, 0.98), (0.42, bar, 0.98), (0.42, bar, 1.03), (0.42, -bar, 1.03)]
    faces.add(quad, 'metal', DARK, 0, True, (1.0, 0, 0))
    for side in (1, -1):
        faces.box(
            (-0.22, side * 0.24 - 0.08, 0.32),
            (0.10, side * 0.24 + 0.08, 0.80),
            'cloth',
            0.7 * cloth,
            1,
        )
        faces.box(
            (0.0, side * 0.29 - 0.06, 0.60 * z),
            (0.40, side * 0.29 + 0.06, 0.70 * z),
            'cloth',
            cloth,
            1,
        )
    faces.box((-0.32, -0.23, 0.76), (0.04, 0.23, 0.83 * z), 'cloth', cloth, 1, 0.9)
    # a helmet of two blunt pieces, with a visor
    low, mid = 0.825 * z, 0.91 * z
    helmet = np.clip(1.1 * paint + 0.05, 0, 0.95)
    faces.box((-0.20, -0.125, low), (0.10, 0.125, mid), 'paint', helmet, 2, 1.08)
    faces.box((-0.21, -0.135, mid), (0.11, 0.135, z), 'paint', helmet, 2, 0.55)
    visor = [
        (0.115, -0.11, low + 0.04),
        (0.115, 0.11, low + 0.04),
        (0.10, 0.11, mid + 0.02),
        (0.10, -0.11, mid + 0.02),
    ]
    faces.add(visor, 'glass', GLASS, 3, normal=(1, 0, 0))
    head = [(0.725, -0.11, 0.72), (0.725, 0.11, 0.72), (0.70, 0.09, 0.88), (0.70, -0.09, 0.88)]
    faces.add(head, 'headlamp', LENS, 2, normal=(1, 0, 0))
    tail = [(-0.73, -0.09, 0.64), (-0.73, 0.09, 0.64), (-0.73, 0.09, 0.74), (-0.73, -0.09, 0.74)]
    faces.add(tail, 'taillamp', RED, 2, normal=(-1, 0, 0))
    plate = [(-0.735, -0.1, 0.45), (-0.735, 0.1, 0.45), (-0.735, 0.1, 0.6), (-0.735, -0.1, 0.6)]
    faces.add(plate, 'plate', PLATE, 2, True, normal=(-1, 0, 0))
    lamps = (
        Lamp((0.72, 0.0, 0.8), (1.0, 0.95, 0.86), 0.9, 1),
        Lamp((-0.73, 0.0, 0.69), (1.0, 0.08, 0.06), 0.22, -1),
    )
    return Body(faces.build(), lamps)
