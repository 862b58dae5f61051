"""The shapes of vehicles, as polygons in the vehicle's frame (x forward, y left, z up).

They fill the same length, width and height as `vehicles.Vehicle.outline_m`, of which the truth's
boxes are made; wing mirrors stand out a few centimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avdet_ros.simulation.pictures.faces import FaceList, Faces
from avdet_ros.simulation.vehicles import Vehicle

BLACK = (0.05, 0.05, 0.055)
DARK = (0.10, 0.10, 0.11)
GLASS = (0.10, 0.13, 0.16)
SILVER = (0.50, 0.51, 0.53)
RED = (0.62, 0.04, 0.05)
AMBER = (0.85, 0.45, 0.08)
LENS = (0.86, 0.88, 0.90)
PLATE = (0.85, 0.85, 0.82)

PAINTS = (
    (0.83, 0.83, 0.82), (0.08, 0.08, 0.09), (0.33, 0.34, 0.36), (0.58, 0.59, 0.61),
    (0.55, 0.06, 0.07), (0.08, 0.17, 0.42), (0.16, 0.30, 0.52), (0.10, 0.25, 0.17),
    (0.63, 0.57, 0.46), (0.75, 0.42, 0.08), (0.28, 0.10, 0.13), (0.78, 0.72, 0.20),
)  # fmt: skip


@dataclass(frozen=True)
class Lamp:
    """A lamp on a vehicle.

    Attributes:
        place_m: (x, y, z) in the vehicle's frame.
        colour: red, green, blue, 0 to 1.
        strength: brightness against a headlamp.
        forward: 1 if it shines forwards, -1 backwards.
    """

    place_m: tuple[float, float, float]
    colour: tuple[float, float, float]
    strength: float
    forward: int


@dataclass(frozen=True, eq=False)
class Body:
    """What is drawn of one vehicle, in its frame."""

    faces: Faces
    lamps: tuple[Lamp, ...]


def body_of(vehicle: Vehicle) -> Body:
    """Build a vehicle's body from its kind, size and colour."""
    paint = _paint(vehicle)
    if vehicle.kind == 'lorry':
        return _lorry(vehicle, paint)
    if vehicle.kind == 'motorcycle':
        return _motorcycle(vehicle, paint)
    return _car(vehicle, paint)


def _paint(vehicle: Vehicle) -> np.ndarray:
    """A colour cars are sold in, shifted a little towards the drawn one."""
    drawn = np.asarray(vehicle.paint, float)
    likely = np.argmin([np.abs(drawn - paint).sum() for paint in PAINTS])
    return np.clip(0.75 * np.array(PAINTS[likely]) + 0.25 * drawn, 0.03, 0.92)


# x / length, z / height, half width / (width / 2), from the tail over the roof to the nose, and
# the material of the strip from each station to the next
_HATCHBACK = (
    (-0.5, 0.17, 0.93, 'plastic'), (-0.5, 0.38, 0.99, 'paint'), (-0.49, 0.615, 0.96, 'rear_glass'),
    (-0.39, 0.955, 0.79, 'paint'), (-0.30, 0.995, 0.745, 'paint'), (-0.12, 1.0, 0.735, 'paint'),
    (0.03, 0.985, 0.745, 'windscreen'), (0.225, 0.665, 0.92, 'bonnet'),
    (0.40, 0.60, 0.90, 'bonnet'), (0.475, 0.535, 0.90, 'paint'), (0.495, 0.44, 0.95, 'grille'),
    (0.5, 0.32, 0.96, 'plastic'), (0.49, 0.16, 0.92, ''),
)  # fmt: skip
_SALOON = (
    (-0.5, 0.17, 0.93, 'plastic'), (-0.5, 0.38, 0.99, 'paint'), (-0.492, 0.64, 0.94, 'paint'),
    (-0.36, 0.68, 0.93, 'rear_glass'), (-0.235, 0.955, 0.77, 'paint'), (-0.16, 0.995, 0.74, 'paint'),
    (-0.05, 1.0, 0.735, 'paint'), (0.04, 0.98, 0.745, 'windscreen'), (0.215, 0.665, 0.92, 'bonnet'),
    (0.40, 0.60, 0.90, 'bonnet'), (0.475, 0.53, 0.90, 'paint'), (0.495, 0.44, 0.95, 'grille'),
    (0.5, 0.32, 0.96, 'plastic'), (0.49, 0.16, 0.92, ''),
)  # fmt: skip
_VAN = (
    (-0.5, 0.13, 0.95, 'plastic'), (-0.5, 0.24, 1.0, 'paint'), (-0.5, 0.56, 0.985, 'rear_glass'),
    (-0.492, 0.93, 0.93, 'paint'), (-0.47, 1.0, 0.88, 'paint'), (0.0, 1.0, 0.88, 'paint'),
    (0.25, 0.985, 0.88, 'windscreen'), (0.385, 0.605, 0.955, 'bonnet'), (0.475, 0.50, 0.95, 'paint'),
    (0.495, 0.40, 0.97, 'grille'), (0.5, 0.24, 0.98, 'plastic'), (0.495, 0.12, 0.94, ''),
)  # fmt: skip


def _car(vehicle: Vehicle, paint: np.ndarray) -> Body:
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
        strip = [(x[i], y[i], z[i]), (x[i], -y[i], z[i]),
                 (x[i + 1], -y[i + 1], z[i + 1]), (x[i + 1], y[i + 1], z[i + 1])]  # fmt: skip
        kind = row[3]
        if kind in ('windscreen', 'rear_glass'):
            faces.add(strip, 'paint', paint)
            if vehicle.kind == 'van' and kind == 'rear_glass' and not windows:
                continue
            faces.add(_inset(strip, 0.07, 0.06), 'glass', GLASS, layer=1)
        elif kind == 'plastic':
            faces.add(strip, 'plastic', 0.45 * paint + 0.04)
        elif kind == 'grille':
            faces.add(strip, 'paint', paint)
            faces.add(_inset(strip, 0.24, 0.12), 'grille', BLACK, layer=1)
        else:
            faces.add(strip, kind, paint)
    belt = _belt(stations) * height
    _sides(faces, stations, x, y, z, belt, paint, windows, half)
    if vehicle.kind == 'electric_car':
        faces.add(_inset(_strip_at(x, y, z, stations, 'grille'), 0.15, 0.0), 'plastic', paint, 2)
    radius = 0.31 + 0.06 * (length - 3.6) / 3 + (0.03 if height > 1.6 else 0)
    _wheels(faces, [0.3 * length, -0.3 * length], half, radius)
    _underbody(faces, length, width, 0.2 * min(height, 1.6))
    if vehicle.kind != 'electric_car':
        _disc(faces, (-0.5 * length - 0.01, 0.45 * half, 0.3), 0.045, 'x', -1, 'exhaust', DARK, 3)
    lamps = _lamps(faces, stations, x, y, z, length, half, height, vehicle.kind == 'van')
    for side in (1, -1):
        at = (0.19 if vehicle.kind != 'van' else 0.33) * length
        low, high = belt + 0.03, belt + (0.17 if vehicle.kind != 'van' else 0.32)
        quad = [(at, side * half * 0.95, low), (at, side * (half + 0.08), low + 0.02),
                (at, side * (half + 0.08), high), (at, side * half * 0.95, high)]  # fmt: skip
        faces.add(quad, 'paint', 0.8 * paint, -1, both_sides=True, normal=(1.0, 0.0, 0.0))
    return Body(faces.build(), lamps)


def _belt(stations: tuple) -> float:
    """Height of the lower edge of the windows over the vehicle's height."""
    return next(row[1] for row in stations if row[3] == 'bonnet')


def _strip_at(x, y, z, stations, kind: str) -> list:
    i = next(i for i, row in enumerate(stations) if row[3] == kind)
    return [(x[i], y[i], z[i]), (x[i], -y[i], z[i]),
            (x[i + 1], -y[i + 1], z[i + 1]), (x[i + 1], y[i + 1], z[i + 1])]  # fmt: skip


def _sides(faces, stations, x, y, z, belt, paint, windows, half) -> None:
    """Both flanks: a sill, a lower and an upper band, the cabin's side with its windows."""
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
        faces.add(_turned(points, side), 'paint', 0.92 * paint, 0, normal=(0, side * 0.95, -0.3))
        upper = [(x[1], half, middle)] + [(x[i], y[i], z[i]) for i in range(2, tail + 1)]
        upper += [(x[i], y[i], z[i]) for i in range(nose, count - 2)] + [(x[-2], half, middle)]
        points = [(a, side * w, b) for a, w, b in upper]
        faces.add(_turned(points, side), 'paint', paint, 0, normal=(0, side * 0.93, 0.36))
        cabin = [(x[i], side * y[i], z[i]) for i in range(tail, nose + 1)]
        faces.add(_turned(cabin, side), 'paint', paint, 0, normal=(0, side * 0.9, 0.42))
        sill = [(x[0] * 0.97, z[0] * 0.8), (x[0] * 0.97, z[0] * 1.15),
                (x[-1] * 0.97, z[0] * 1.15), (x[-1] * 0.97, z[0] * 0.8)]  # fmt: skip
        points = [(a, side * half * 0.97, b) for a, b in sill]
        faces.add(_turned(points, side), 'plastic', DARK, 1, normal=(0, side, 0))
        low, high = belt + 0.05 * (top - belt), belt + 0.84 * (top - belt)
        # windows between the slanted ends of the cabin, parted by pillars
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
            faces.add(_turned(quad, side), 'glass', GLASS, 1, normal=(0, side * 0.9, 0.42))
        for at in (0.20, -0.05) if windows else (0.2,):
            line = [(at * 2 * half * 2.4, 0), (at * 2 * half * 2.4 + 0.018, 0)]
            quad = [(line[0][0], middle - 0.2), (line[1][0], middle - 0.2),
                    (line[1][0], belt), (line[0][0], belt)]  # fmt: skip
            points = [(a, side * half * 0.99, b) for a, b in quad]
            faces.add(_turned(points, side), 'plastic', 0.45 * paint, 1, normal=(0, side, 0))


def _turned(points: list, side: int) -> list:
    """Corners so that the polygon faces its side; given clockwise seen from the left."""
    area = sum(
        a[0] * b[2] - b[0] * a[2] for a, b in zip(points, points[1:] + points[:1], strict=True)
    )
    return points if (area < 0) == (side > 0) else points[::-1]


def _inset(quad: list, part_y: float, part_x: float) -> list:
    """A quadrilateral inside another, in parts of its two directions, just above its surface."""
    a, b, c, d = (np.array(point, float) for point in quad)

    def at(u: float, v: float) -> np.ndarray:
        return (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v

    return [
        at(u, v)
        for u, v in (
            (part_y, part_x), (1 - part_y, part_x), (1 - part_y, 1 - part_x), (part_y, 1 - part_x),
        )
    ]  # fmt: skip


def _disc(
    faces, centre, radius, axis, sign, material, colour, layer, corners=16, lowest=-1.0
) -> None:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False) * sign
    one, two = np.cos(angles) * radius, np.maximum(np.sin(angles), lowest) * radius
    zero = np.zeros(corners)
    offsets = (zero, one, two) if axis == 'x' else (-one, zero, two)
    normal = (sign, 0, 0) if axis == 'x' else (0, sign, 0)
    faces.add(np.stack(offsets, -1) + centre, material, colour, layer, normal=normal)


def _wheels(faces: FaceList, axles: list[float], half: float, radius: float) -> None:
    for at in axles:
        for side in (1, -1):
            y = side * (half - 0.005)
            arch = (at, y - side * 0.01, radius)
            _disc(faces, arch, radius * 1.17, 'y', side, 'plastic', BLACK, 2, lowest=-0.6)
            _disc(faces, (at, y, radius), radius, 'y', side, 'tyre', (0.07, 0.07, 0.075), 3)
            _disc(faces, (at, y, radius), radius * 0.66, 'y', side, 'rim', (0.2, 0.2, 0.21), 4)
            for spoke in range(5):
                turn = spoke * 2 * np.pi / 5 + at
                ends = [(0.10, -0.5), (0.62, -0.22), (0.62, 0.22), (0.10, 0.5)]
                quad = [
                    (at + radius * r * np.cos(turn + s), y, radius * (1 + r * np.sin(turn + s)))
                    for r, s in ends
                ]
                faces.add(_turned(quad, side), 'rim', SILVER, 5, normal=(0, side, 0))
            _disc(faces, (at, y, radius), radius * 0.16, 'y', side, 'rim', SILVER, 6, 8)
            # the tread, seen from the front and from behind
            inner = y - side * 0.21
            for end in (0.75, -0.75):
                quad = [(at + end * radius, y, 0), (at + end * radius, inner, 0),
                        (at + end * radius, inner, radius), (at + end * radius, y, radius)]  # fmt: skip
                faces.add(
                    quad, 'tyre', (0.045, 0.045, 0.05), -1, True, (float(np.sign(end)), 0, 0)
                )


def _underbody(faces: FaceList, length: float, width: float, clearance_m: float) -> None:
    low, high, dark = 0.45 * clearance_m, clearance_m * 1.35, (0.03, 0.03, 0.035)
    for x in (-0.40 * length, 0.40 * length):
        y = 0.44 * width
        quad = [(x, -y, low), (x, y, low), (x, y, high), (x, -y, high)]
        faces.add(quad, 'underbody', dark, -2, True, (1.0, 0, 0))
    for y in (-0.42 * width, 0.42 * width):
        x = 0.45 * length
        quad = [(-x, y, low), (x, y, low), (x, y, high), (-x, y, high)]
        faces.add(quad, 'underbody', dark, -2, True, (0, 1.0, 0))


def _lamps(faces, stations, x, y, z, length, half, height, is_van) -> tuple[Lamp, ...]:
    """Head and tail lamps, number plates; returns what shines."""
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
        tail = [(-0.5 * length - 0.004, side * part * half, level * height)
                for part, level in ((inside, bottom), (0.965, bottom), (0.94, top), (inside, top))]  # fmt: skip
        faces.add(tail, 'taillamp', RED, 2, normal=(-1, 0, 0))
        lamps.append(Lamp(tuple(np.mean(tail, axis=0)), (1.0, 0.08, 0.06), 0.22, -1))
        flank = [(-0.5 * length + a, side * half * 0.992, b * height)
                 for a, b in ((0.0, bottom), (0.16, bottom + 0.02), (0.14, top), (0.0, top))]  # fmt: skip
        faces.add(_turned(flank, side), 'taillamp', RED, 2, normal=(0, side, 0))
    for end, material in ((-1, 'plate'), (1, 'plate')):
        level = 0.33 if end < 0 else 0.24
        at = end * (0.5 * length + 0.005)
        quad = [(at, -0.26, level * height), (at, 0.26, level * height),
                (at, 0.26, level * height + 0.11), (at, -0.26, level * height + 0.11)]  # fmt: skip
        faces.add(quad, material, PLATE, 3, normal=(end, 0, 0))
    return tuple(lamps)


def _lorry(vehicle: Vehicle, paint: np.ndarray) -> Body:
    length, width, height = vehicle.length_m, vehicle.width_m, vehicle.height_m
    half, nose, tail = width / 2, length / 2, -length / 2
    faces = FaceList()
    cab = nose - 2.25
    cab_top = min(0.97 * height, 3.3)
    deck = 1.15
    # cargo box, pale or in a second colour, above a dark frame
    pale = 0.25 * paint + 0.75 * np.array([0.82, 0.83, 0.84]) if vehicle.vehicle_id % 3 else paint
    faces.box((tail, -half, deck), (cab - 0.25, half, height), 'canvas', pale)
    faces.box((tail + 0.05, -half * 0.9, 0.55), (cab, half * 0.9, deck), 'plastic', DARK, -1)
    faces.box((cab, -half * 0.97, 0.42), (nose - 0.06, half * 0.97, cab_top), 'paint', paint)
    end = (-1.0, 0.0, 0.0)
    for side in (1, -1):
        y = side * half * 1.002
        for i in range(1, max(int((cab - tail) / 1.3), 2)):
            at = tail + i * (cab - 0.25 - tail) / max(int((cab - tail) / 1.3), 2)
            quad = [(at, y, deck), (at + 0.03, y, deck), (at + 0.03, y, height), (at, y, height)]
            faces.add(_turned(quad, side), 'canvas', 0.8 * pale, 1, normal=(0, side, 0))
        window = [(cab + 0.75, 1.75), (nose - 0.18, 1.75), (nose - 0.3, 2.45), (cab + 0.75, 2.45)]
        points = [(a, side * half * 0.972, b) for a, b in window]
        faces.add(_turned(points, side), 'glass', GLASS, 1, normal=(0, side, 0))
        guard = [(tail + 2.9, 0.5), (cab - 0.9, 0.5), (cab - 0.9, 0.9), (tail + 2.9, 0.9)]
        if guard[1][0] > guard[0][0] + 0.5:
            points = [(a, side * half * 0.95, b) for a, b in guard]
            faces.add(_turned(points, side), 'metal', SILVER, 1, normal=(0, side, 0))
        mirror = [(nose - 0.12, side * half * 0.97, 1.9), (nose - 0.12, side * (half + 0.06), 1.9),
                  (nose - 0.12, side * (half + 0.06), 2.5), (nose - 0.12, side * half * 0.97, 2.5)]  # fmt: skip
        faces.add(mirror, 'plastic', BLACK, -2, True, (1.0, 0.0, 0.0))
    front = nose - 0.055
    for (y0, y1, z0, z1), material, colour, layer in (
        ((-0.92, 0.92, 1.72, 2.55), 'glass', GLASS, 1),
        ((-0.86, 0.86, 0.95, 1.55), 'grille', BLACK, 1),
        ((-0.97, 0.97, 0.42, 0.80), 'plastic', DARK, 1),
        ((-0.30, 0.30, 0.45, 0.57), 'plate', PLATE, 2),
    ):
        z1 = min(z1, cab_top - 0.08)
        quad = [(front, y0 * half, z0), (front, y1 * half, z0),
                (front, y1 * half, z1), (front, y0 * half, z1)]  # fmt: skip
        faces.add(quad, material, colour, layer)
    lamps = []
    for side in (1, -1):
        quad = [
            (front, side * a * half, b)
            for a, b in ((0.6, 0.58), (0.93, 0.58), (0.93, 0.76), (0.6, 0.76))
        ]
        faces.add(quad, 'headlamp', LENS, 2, normal=(1, 0, 0))
        lamps.append(Lamp((front, side * 0.77 * half, 0.67), (1.0, 0.95, 0.84), 1.0, 1))
        quad = [
            (tail - 0.005, side * a * half, b)
            for a, b in ((0.6, 0.78), (0.95, 0.78), (0.95, 0.96), (0.6, 0.96))
        ]
        faces.add(quad, 'taillamp', RED, 2, normal=end)
        lamps.append(Lamp((tail, side * 0.78 * half, 0.87), (1.0, 0.08, 0.06), 0.25, -1))
        door = [
            (tail - 0.004, side * a * half, b)
            for a, b in (
                (0.01, deck + 0.1),
                (0.93, deck + 0.1),
                (0.93, height - 0.12),
                (0.01, height - 0.12),
            )
        ]
        faces.add(door, 'canvas', 0.9 * pale, 1, normal=end)
        hinge = [
            (tail - 0.006, side * a * half, b)
            for a, b in (
                (0.40, deck + 0.1),
                (0.43, deck + 0.1),
                (0.43, height - 0.12),
                (0.40, height - 0.12),
            )
        ]
        faces.add(hinge, 'metal', 0.6 * pale, 2, normal=end)
    bumper = [
        (tail - 0.003, a * half, b)
        for a, b in ((-0.96, 0.45), (0.96, 0.45), (0.96, 0.62), (-0.96, 0.62))
    ]
    faces.add(bumper, 'plastic', DARK, 1, normal=end)
    for side in (1, -1):
        stripe = [
            (tail - 0.006, side * a * half, b)
            for a, b in ((0.55, 0.47), (0.94, 0.47), (0.94, 0.60), (0.55, 0.60))
        ]
        faces.add(stripe, 'sign', AMBER, 2, normal=end)
    axles = [nose - 1.35, tail + 1.6]
    if length > 9:
        axles += [tail + 2.9]
    if length > 12:
        axles += [tail + 4.2, cab - 1.2]
    _wheels(faces, axles, half, 0.5)
    _disc(faces, (cab - 0.5, half * 0.9, 0.7), 0.09, 'y', 1, 'exhaust', DARK, 3)
    return Body(faces.build(), tuple(lamps))


def _motorcycle(vehicle: Vehicle, paint: np.ndarray) -> Body:
    length, width, height = vehicle.length_m, vehicle.width_m, vehicle.height_m
    faces = FaceList()
    radius = 0.31
    reach = length / 2 - radius
    cloth = 0.3 * paint + 0.08
    for at in (reach, -reach):
        for side in (1, -1):
            _disc(
                faces, (at, side * 0.06, radius), radius, 'y', side, 'tyre', (0.06, 0.06, 0.065), 0
            )
            _disc(faces, (at, side * 0.062, radius), radius * 0.68, 'y', side, 'rim', SILVER, 1)
            _disc(
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
            quad = [(at + end * radius, -0.07, 0), (at + end * radius, 0.07, 0),
                    (at + end * radius, 0.07, 2 * radius), (at + end * radius, -0.07, 2 * radius)]  # fmt: skip
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
