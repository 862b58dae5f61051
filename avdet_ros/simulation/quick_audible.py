"""Which paths of a window are worth rendering: the loudest, up to a small part of the energy."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.atmosphere import air_absorption_db_per_m
from avdet_ros.simulation.path_spectra import BINS, FRAME
from avdet_ros.simulation.quick_paths import GRID_S, Source, Stage, Way
from avdet_ros.simulation.scene import Scene

LEFT_OUT = 2e-3
"""Part of the energy in each octave band that may be left out."""


def leave_out(
    sources: list[Source],
    stage: Stage,
    scene: Scene,
    noise_db: np.ndarray,
    begin_s: float,
    end_s: float,
) -> list[Source]:
    """Paths to render: the others have less than `LEFT_OUT` of the energy in every octave.

    Also sets how many bins of each path are added.

    Args:
        sources: all of them; their paths and bins are changed.
        stage: the grid that their paths lie on.
        scene: the drive.
        noise_db: (8,) octave levels of a microphone's noise.
        begin_s: the window's begin.
        end_s: its end.
    """
    c_mps, sample_rate_hz = scene.speed_of_sound_mps, scene.rig.sample_rate_hz
    loss_db_per_m = air_absorption_db_per_m(
        cnossos.BANDS_HZ, scene.temperature_c, scene.humidity_percent
    )
    times = np.linspace(begin_s, end_s, 5)
    ways, energies = [], []
    for source in sources:
        power = source.noise_db(times)
        if source.engine is not None:
            power = cnossos.add_levels(
                power, source.engine.sound.propulsion_db(source.vehicle.speed_mps(times))
            )
        for way in source.ways:
            energies.append(_energy(source, way, power, stage, loss_db_per_m, times, c_mps))
            ways.append((source, way))
    if not ways:
        return []
    energy = np.array(energies)  # (P, T, 8)
    total = energy.sum(axis=0) + 10 ** (noise_db / 10)
    part = (energy / total).max(axis=1)  # (P, 8)
    needed = np.zeros(part.shape, bool)
    for band in range(8):
        order = np.argsort(part[:, band])
        needed[order, band] = np.cumsum(part[order, band]) > LEFT_OUT
    for source in sources:
        source.bins = []
    kept: dict[int, list[Way]] = {}
    for (source, way), bands in zip(ways, needed, strict=True):
        if bands.any():
            last = int(np.flatnonzero(bands)[-1])
            edge_hz = cnossos.BANDS_HZ[last] * 2**0.75
            limit = BINS if last == 7 else int(edge_hz * FRAME / sample_rate_hz) + 4
            source.bins.append(min(limit, BINS))
            kept.setdefault(id(source), []).append(way)
    found = []
    for source in sources:
        if id(source) in kept:
            source.ways = kept[id(source)]
            found.append(source)
    return found


def _energy(
    source: Source,
    way: Way,
    power_db: np.ndarray,
    stage: Stage,
    loss_db_per_m: np.ndarray,
    times: np.ndarray,
    c_mps: float,
) -> np.ndarray:
    """(T, 8) energy of a path at the array in each octave, re the reference pressure's."""
    at = np.clip(np.round(times / GRID_S - stage.first).astype(int), 0, len(stage.times_s) - 1)
    distance = np.linalg.norm(way.places_m[at] - stage.array[at], axis=1)
    # what is received now was emitted a little earlier
    then = np.maximum(at - np.round(distance / c_mps / GRID_S).astype(int), 0)
    distance = np.linalg.norm(way.places_m[then] - stage.array[at], axis=1)
    weight = np.maximum(way.weight[then], way.weight[at])
    spread = (weight / np.maximum(distance, 0.3)) ** 2 / (2 * np.pi)
    level = power_db - loss_db_per_m * source.air_m[then][:, None]
    return 10 ** (level / 10) * spread[:, None]
