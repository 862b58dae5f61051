"""Cars and vans: a lofted shell with windows, lamps and wheels."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation.pictures.body_parts import (
    BLACK,
    DARK,
    GLASS,
    LENS,
    PLATE,
    RED,
    Body,
    Lamp,
    disc,
    inset,
    turned,
    underbody,
    wheels,
)
from avdet_ros.simulation.pictures.faces import FaceList, Point
from avdet_ros.simulation.vehicles import Vehicle

_Stations = tuple[tuple[float, float, float, str], ...]

# x / length, z / height, half width / (width / 2), from the tail over the roof to the nose, and
# the material of the strip from each station to the next
_HATCHBACK: _Stations = (
    (-0.5, 0.17, 0.93, 'plastic'),
    (-0.5, 0.38, 0.99, 'paint'),
    (-0.49, 0.615, 0.96, 'rear_glass'),
    (-0.39, 0.955, 0.79, 'paint'),
    (-0.30, 0.995, 0.745, 'paint'),
    (-0.12, 1.0, 0.735, 'paint'),
    (0.03, 0.985, 0.745, 'windscreen'),
    (0.225, 0.665, 0.92, 'bonnet'),
    (0.40, 0.60, 0.90, 'bonnet'),
    (0.475, 0.535, 0.90, 'paint'),
    (0.495, 0.44, 0.95, 'grille'),
    (0.5, 0.32, 0.96, 'plastic'),
    (0.49, 0.16, 0.92, ''),
)
_SALOON: _Stations = (
    (-0.5, 0.17, 0.93, 'plastic'),
    (-0.5, 0.38, 0.99, 'paint'),
    (-0.492, 0.64, 0.94, 'paint'),
    (-0.36, 0.68, 0.93, 'rear_glass'),
    (-0.235, 0.955, 0.77, 'paint'),
    (-0.16, 0.995, 0.74, 'paint'),
    (-0.05, 1.0, 0.735, 'paint'),
    (0.04, 0.98, 0.745, 'windscreen'),
    (0.215, 0.665, 0.92, 'bonnet'),
    (0.40, 0.60, 0.90, 'bonnet'),
    (0.475, 0.53, 0.90, 'paint'),
    (0.495, 0.44, 0.95, 'grille'),
    (0.5, 0.32, 0.96, 'plastic'),
    (0.49, 0.16, 0.92, ''),
)
_VAN: _Stations = (
    (-0.5, 0.13, 0.95, 'plastic'),
    (-0.5, 0.24, 1.0, 'paint'),
    (-0.5, 0.56, 0.985, 'rear_glass'),
    (-0.492, 0.93, 0.93, 'paint'),
    (-0.47, 1.0, 0.88, 'paint'),
    (0.0, 1.0, 0.88, 'paint'),
    (0.25, 0.985, 0.88, 'windscreen'),
    (0.385, 0.605, 0.955, 'bonnet'),
    (0.475, 0.50, 0.95, 'paint'),
    (0.495, 0.40, 0.97, 'grille'),
    (0.5, 0.24, 0.98, 'plastic'),
    (0.495, 0.12, 0.94, ''),
)


def car(vehicle: Vehicle, paint: np.ndarray) -> Body:
    """Build a hatchback, a saloon or a van, depending on kind and size."""
    length, width, height = vehicle.length_m, vehicle.width_m, vehicle.height_m
    if vehicle.kind == 'van':
        stations, windows = _VAN, vehicle.vehicle_id % 2 == 0
    elif length > 4.4 and height < 1.5:
        stations, windows = _SALOON, True
    else:
        stations, windows = _HATCHBACK, True
    half = width / 2
    x, z, y = (np.array([row[i] for row in stations], float) for i in range(3))
    x, z, y = x * length, z * height, y * half
    faces = FaceList()
    for i, row in enumerate(stations[:-1]):
        strip = [
            (x[i], y[i], z[i]),
            (x[i], -y[i], z[i]),
            (x[i + 1], -y[i + 1], z[i + 1]),
            (x[i + 1], y[i + 1], z[i + 1]),
        ]
        kind = row[3]
        if kind in ('windscreen', 'rear_glass'):
            faces.add(strip, 'paint', paint)
            if vehicle.kind == 'van' and kind == 'rear_glass' and not windows:
                continue
            faces.add(inset(strip, 0.07, 0.06), 'glass', GLASS, layer=1)
        elif kind == 'plastic':
            faces.add(strip, 'plastic', 0.45 * paint + 0.04)
        elif kind == 'grille':
            faces.add(strip, 'paint', paint)
            faces.add(inset(strip, 0.24, 0.12), 'grille', BLACK, layer=1)
        else:
            faces.add(strip, kind, paint)
    belt = _belt(stations) * height
    _sides(faces, stations, x, y, z, belt, paint, windows, half)
    if vehicle.kind == 'electric_car':
        faces.add(inset(_strip_at(x, y, z, stations, 'grille'), 0.15, 0.0), 'plastic', paint, 2)
    radius = 0.31 + 0.06 * (length - 3.6) / 3 + (0.03 if height > 1.6 else 0)
    wheels(faces, [0.3 * length, -0.3 * length], half, radius)
    underbody(faces, length, width, 0.2 * min(height, 1.6))
    if vehicle.kind != 'electric_car':
        disc(faces, (-0.5 * length - 0.01, 0.45 * half, 0.3), 0.045, 'x', -1, 'exhaust', DARK, 3)
    lamps = _lamps(faces, stations, x, y, z, length, half, height, vehicle.kind == 'van')
    for side in (1, -1):
        at = (0.19 if vehicle.kind != 'van' else 0.33) * length
        low, high = belt + 0.03, belt + (0.17 if vehicle.kind != 'van' else 0.32)
        quad = [
            (at, side * half * 0.95, low),
            (at, side * (half + 0.08), low + 0.02),
            (at, side * (half + 0.08), high),
            (at, side * half * 0.95, high),
        ]
        faces.add(quad, 'paint', 0.8 * paint, -1, both_sides=True, normal=(1.0, 0.0, 0.0))
    return Body(faces.build(), lamps)


def _belt(stations: _Stations) -> float:
    """Return the height of the windows' lower edge relative to the vehicle's height."""
    return next(row[1] for row in stations if row[3] == 'bonnet')


def _strip_at(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, stations: _Stations, kind: str
) -> list[Point]:
    i = next(i for i, row in enumerate(stations) if row[3] == kind)
    return [
        (x[i], y[i], z[i]),
        (x[i], -y[i], z[i]),
        (x[i + 1], -y[i + 1], z[i + 1]),
        (x[i + 1], y[i + 1], z[i + 1]),
    ]


def _sides(
    faces: FaceList,
    stations: _Stations,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    belt: float,
    paint: np.ndarray,
    windows: bool,
    half: float,
) -> None:
    """Add both flanks: a sill, a lower and an upper band, the cabin's side with its windows."""
    count = len(x)
    tail = next(i for i in range(count) if z[i] >= belt - 0.12)
    nose = next(i for i, row in enumerate(stations) if row[3] == 'bonnet')
    top = float(z.max())
    roof = float(y[int(np.argmax(z))])
    middle = z[1] + 0.45 * (belt - z[1])
    for side in (1, -1):
        lower = [(x[i], y[i], z[i]) for i in (0, 1)] + [(x[1], half, middle)]
        lower += [(x[-2], half, middle)] + [(x[i], y[i], z[i]) for i in (-2, -1)]
        points = [(a, side * w, b) for a, w, b in lower]
        faces.add(turned(points, side), 'paint', 0.92 * paint, 0, normal=(0, side * 0.95, -0.3))
        upper = [(x[1], half, middle)] + [(x[i], y[i], z[i]) for i in range(2, tail + 1)]
        upper += [(x[i], y[i], z[i]) for i in range(nose, count - 2)] + [(x[-2], half, middle)]
        points = [(a, side * w, b) for a, w, b in upper]
        faces.add(turned(points, side), 'paint', paint, 0, normal=(0, side * 0.93, 0.36))
        cabin = [(x[i], side * y[i], z[i]) for i in range(tail, nose + 1)]
        faces.add(turned(cabin, side), 'paint', paint, 0, normal=(0, side * 0.9, 0.42))
        sill = [
            (x[0] * 0.97, z[0] * 0.8),
            (x[0] * 0.97, z[0] * 1.15),
            (x[-1] * 0.97, z[0] * 1.15),
            (x[-1] * 0.97, z[0] * 0.8),
        ]
        points = [(a, side * half * 0.97, b) for a, b in sill]
        faces.add(turned(points, side), 'plastic', DARK, 1, normal=(0, side, 0))
        low, high = belt + 0.05 * (top - belt), belt + 0.84 * (top - belt)
        # windows between the slanted ends of the cabin, separated by pillars
        rear = np.interp([low, high], z[tail : tail + 3], x[tail : tail + 3]) + 0.10
        front = np.interp([low, high], z[nose - 1 : nose + 1][::-1], x[nose - 1 : nose + 1][::-1])
        front = front - 0.10
        panes = [(0.0, 0.30), (0.34, 0.62), (0.66, 1.0)] if windows else [(0.74, 1.0)]
        if windows and x[-1] < 2.3:
            panes = [(0.0, 0.46), (0.50, 1.0)]
        for begin, end in panes:
            quad = []
            for level, part in ((0, begin), (0, end), (1, end), (1, begin)):
                at = rear[level] + part * (front[level] - rear[level])
                tall = (low, high)[level]
                out = half * 0.985 + (roof - half * 0.985) * (tall - belt) / (top - belt)
                quad.append((at, side * (out + 0.004), tall))
            faces.add(turned(quad, side), 'glass', GLASS, 1, normal=(0, side * 0.9, 0.42))
        for at in (0.20, -0.05) if windows else (0.2,):
            line = [(at * 2 * half * 2.4, 0), (at * 2 * half * 2.4 + 0.018, 0)]
            corners = [
                (line[0][0], middle - 0.2),
                (line[1][0], middle - 0.2),
                (line[1][0], belt),
                (line[0][0], belt),
            ]
            points = [(a, side * half * 0.99, b) for a, b in corners]
            faces.add(turned(points, side), 'plastic', 0.45 * paint, 1, normal=(0, side, 0))


def _lamps(
    faces: FaceList,
    stations: _Stations,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    length: float,
    half: float,
    height: float,
    is_van: bool,
) -> tuple[Lamp, ...]:
    """Add head and tail lamps and number plates; return the lamps."""
    front = next(i for i, row in enumerate(stations) if row[3] == 'grille') - 1
    lamps = []
    for side in (1, -1):
        quad = []
        for part, level in ((0.58, 0.12), (0.985, 0.0), (0.985, 0.95), (0.66, 0.85)):
            px = x[front + 1] + (x[front] - x[front + 1]) * level
            pz = z[front + 1] + (z[front] - z[front + 1]) * level
            py = y[front + 1] + (y[front] - y[front + 1]) * level
            quad.append((px + 0.006, side * part * py, pz))
        faces.add(quad, 'headlamp', LENS, 2, normal=(0.9, side * 0.3, 0.3))
        lamps.append(Lamp(tuple(np.mean(quad, axis=0)), (1.0, 0.95, 0.84), 1.0, 1))
        bottom, top = (0.34, 0.52) if is_van else (0.47, 0.60)
        inside = 0.82 if is_van else 0.60
        tail = [
            (-0.5 * length - 0.004, side * part * half, level * height)
            for part, level in ((inside, bottom), (0.965, bottom), (0.94, top), (inside, top))
        ]
        faces.add(tail, 'taillamp', RED, 2, normal=(-1, 0, 0))
        lamps.append(Lamp(tuple(np.mean(tail, axis=0)), (1.0, 0.08, 0.06), 0.22, -1))
        flank = [
            (-0.5 * length + a, side * half * 0.992, b * height)
            for a, b in ((0.0, bottom), (0.16, bottom + 0.02), (0.14, top), (0.0, top))
        ]
        faces.add(turned(flank, side), 'taillamp', RED, 2, normal=(0, side, 0))
    for end, material in ((-1, 'plate'), (1, 'plate')):
        level = 0.33 if end < 0 else 0.24
        at = end * (0.5 * length + 0.005)
        quad = [
            (at, -0.26, level * height),
            (at, 0.26, level * height),
            (at, 0.26, level * height + 0.11),
            (at, -0.26, level * height + 0.11),
        ]
        faces.add(quad, material, PLATE, 3, normal=(end, 0, 0))
    return tuple(lamps)
