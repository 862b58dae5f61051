"""Selection of the paths to render: the loudest, all but a small fraction of the energy."""

from __future__ import annotations

import numpy as np

from avdet_ros.simulation import cnossos
from avdet_ros.simulation.atmosphere import air_absorption_db_per_m
from avdet_ros.simulation.buildings import screen_loss_db
from avdet_ros.simulation.path_spectra import BINS, FRAME
from avdet_ros.simulation.quick_paths import GRID_S, Source, Stage, Way
from avdet_ros.simulation.scene import Scene

LEFT_OUT = 2e-3
"""Fraction of the energy in each octave band that may be left out."""


def leave_out(
    sources: list[Source],
    stage: Stage,
    scene: Scene,
    noise_db: np.ndarray,
    begin_s: float,
    end_s: float,
) -> list[Source]:
    """Drop paths that together have less than `LEFT_OUT` of the energy in every octave.

    Also set how many bins of each remaining path are added.

    Args:
        sources: all sources; their paths and bins are changed.
        stage: the grid of their paths.
        scene: the drive.
        noise_db: (8,) octave levels of a microphone's noise.
        begin_s: start of the window.
        end_s: end of the window.
    """
    # the octaves of the levels, and one more up to the highest frequency
    bands_hz = np.append(cnossos.BANDS_HZ, 2 * cnossos.BANDS_HZ[-1])
    air_db_per_m = air_absorption_db_per_m(bands_hz, scene.temperature_c, scene.humidity_percent)
    times = np.linspace(begin_s, end_s, 5)
    ways, energies = [], []
    for source in sources:
        power = source.noise_db(times)
        if source.engine is not None and source.vehicle is not None:
            power = cnossos.add_levels(
                power, source.engine.sound.propulsion_db(source.vehicle.speed_mps(times))
            )
        energies.append(_energy(source, _with_top(power), stage, air_db_per_m, times, scene))
        ways += [(source, way) for way in source.ways]
    if not ways:
        return []
    energy = np.concatenate(energies)  # (P, T, 9)
    total = energy.sum(axis=0) + 10 ** (_with_top(noise_db) / 10)
    part = (energy / total).max(axis=1)  # (P, 9)
    order = np.argsort(part, axis=0)
    summed = np.cumsum(np.take_along_axis(part, order, axis=0), axis=0)
    needed = np.zeros(part.shape, bool)
    np.put_along_axis(needed, order, summed > LEFT_OUT, axis=0)
    highest = (bands_hz * 2**0.75 * FRAME / scene.rig.sample_rate_hz).astype(int) + 4
    highest[-1] = BINS
    for source in sources:
        source.bins = []
    kept: dict[int, list[Way]] = {}
    for (source, way), bands in zip(ways, needed, strict=True):
        if bands.any():
            last = int(np.flatnonzero(bands)[-1])
            played = scene.recordings is not None and source.vehicle is not None
            # a recording may have more energy above than a vehicle of its category
            source.bins.append(BINS if played else min(int(highest[last]), BINS))
            kept.setdefault(id(source), []).append(way)
    found = []
    for source in sources:
        if id(source) in kept:
            source.ways = kept[id(source)]
            found.append(source)
    return found


def _with_top(bands_db: np.ndarray) -> np.ndarray:
    """Append one octave to (..., 9) levels; densities continue to fall by 9 dB per octave."""
    return np.concatenate([bands_db, bands_db[..., -1:] - 6.0], axis=-1)


def _energy(
    source: Source,
    power_db: np.ndarray,
    stage: Stage,
    air_db_per_m: np.ndarray,
    times: np.ndarray,
    scene: Scene,
) -> np.ndarray:
    """Compute (W, T, 9) energies of a source's paths at the array, re the reference pressure."""
    c = scene.speed_of_sound_mps
    places = np.stack([way.places_m for way in source.ways])
    weights = np.stack([way.weight for way in source.ways])
    row = np.arange(len(places))[:, None]
    at = np.clip(np.round(times / GRID_S - stage.first).astype(int), 0, len(stage.times_s) - 1)
    distance = np.linalg.norm(places[:, at] - stage.array[at], axis=-1)
    # sound received now was emitted slightly earlier
    then = np.maximum(at - np.round(distance / c / GRID_S).astype(int), 0)
    distance = np.linalg.norm(places[row, then] - stage.array[at], axis=-1)
    weight = np.maximum(weights[row, then], weights[:, at])
    spread = (weight / np.maximum(distance, 0.3)) ** 2 / (2 * np.pi)
    level = power_db - air_db_per_m * source.air_m[then][..., None]
    if source.detour_m is not None:
        frequency = np.append(cnossos.BANDS_HZ, 2 * cnossos.BANDS_HZ[-1])
        level = level - screen_loss_db(source.detour_m[then], frequency, c)
    return 10 ** (level / 10) * spread[..., None]
