"""Picture of the array's steered response while a car passes, with the assumed and true rigs."""

from __future__ import annotations

from collections.abc import Mapping
import io

from matplotlib import rc_context
from matplotlib.figure import Figure
import numpy as np

from avdet_ros.audio.features import FrontEnd
from avdet_ros.detection.steering import azimuth_grid, heading_rad, steering
from avdet_ros.rig import MICROPHONES, Rig
from avdet_ros.simulation.conditions import Condition
from avdet_ros.simulation.scene import Scene
from avdet_ros.simulation.sound import SoundRenderer

BAND_HZ = (500.0, 5000.0)
"""Frequency range of the mel bands: below, all directions sound alike; above, microphone pairs are
too wide."""

PASSING_SEED, PASSING_VEHICLE, PASSING_S = 200_057, 250_005, 9.0
"""Seed of a drive on which a car crosses the road ahead, 10 dB above all other sound; seed of the
array; length of the drive."""

FRONT_DEG, COLUMNS = 56.0, 224
PIECE_S = 0.1


def passing_car(rig: Rig) -> Scene:
    """Make the scene of the drive `PASSING_SEED` with a neglected array."""
    condition = Condition('plain', 'neglected', vehicle=PASSING_VEHICLE)
    return condition.scene(PASSING_SEED, rig, PASSING_S)


def steered_response(scene: Scene, rig: Rig) -> tuple[np.ndarray, np.ndarray]:
    """Compute the mean steered response of a drive's front sector over time.

    Args:
        scene: the drive.
        rig: the assumed rig.

    Returns:
        times_s: (T,) centres of pieces of `PIECE_S`.
        response: (COLUMNS, T) mean agreement of the pairs, 1 for a single plane wave; rows from
            left to right.
    """
    front_end = FrontEnd.of(rig)
    columns = azimuth_grid(COLUMNS, FRONT_DEG, 0)
    bands = _bands(front_end)
    weights = steering(rig, front_end, columns)[bands]
    renderer = SoundRenderer(scene)
    rate, piece = front_end.sample_rate_hz, round(PIECE_S * front_end.sample_rate_hz)
    frames = piece / front_end.hop_length
    responses = []
    for first in range(
        0, round(scene.duration_s * rate) - front_end.samples + 1, front_end.samples
    ):
        window = renderer.read(first, front_end.samples).astype(np.float32)
        coherence = front_end.compute(window)[MICROPHONES:, bands]
        responses.append(np.einsum('bac,cbt->at', weights, coherence)[:, :-1] / weights.shape[0])
    response = np.concatenate(responses, axis=1)
    edges = np.arange(0, response.shape[1] - frames + 1e-6, frames).astype(int)
    means = np.stack([response[:, e : e + int(frames)].mean(axis=1) for e in edges], axis=1)
    return (np.arange(len(edges)) + 0.5) * PIECE_S, means


def steered_picture(scene: Scene, rigs: Mapping[str, Rig]) -> bytes:
    """Plot one panel per rig, with the vehicles' true directions as dots.

    Args:
        scene: the drive.
        rigs: the assumed rigs by title.

    Returns:
        A PNG file.
    """
    with rc_context({'font.family': 'sans-serif', 'font.size': 9}):
        figure = Figure(figsize=(3.2 * len(rigs) + 0.4, 3.4), dpi=110, layout='constrained')
        panels = figure.subplots(1, len(rigs), sharey=True, squeeze=False)[0]
        for panel, (title, rig) in zip(panels, rigs.items(), strict=True):
            times_s, response = steered_response(scene, rig)
            extent = (0.0, len(times_s) * PIECE_S, -FRONT_DEG, FRONT_DEG)
            panel.imshow(response, aspect='auto', extent=extent, vmin=0, vmax=0.8, cmap='magma')
            true_s, true_deg, _ = true_azimuths(scene)
            panel.plot(true_s, true_deg, '.', color='#7ee787', markersize=2)
            panel.set_title(title, loc='left')
            panel.set_xlabel('time, s')
        panels[0].set_ylabel('azimuth, left positive, °')
        content = io.BytesIO()
        figure.savefig(content, format='png', metadata={'Software': None})
    return content.getvalue()


def _bands(front_end: FrontEnd) -> np.ndarray:
    """Return the indices of the mel bands with their peak inside `BAND_HZ`."""
    bins_hz = np.fft.rfftfreq(front_end.n_fft, 1 / front_end.sample_rate_hz)
    peaks_hz = bins_hz[front_end.mel_filters.argmax(axis=1)]
    return np.flatnonzero((peaks_hz >= BAND_HZ[0]) & (peaks_hz <= BAND_HZ[1]))


def true_azimuths(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the directions of the labelled vehicles, five times a second.

    Args:
        scene: the drive.

    Returns:
        times_s: (N,) time of each instant and vehicle.
        azimuth_deg: (N,) relative to the camera's heading, seen from the array, left positive.
        ids: (N,) int64 identities.
    """
    found = []
    heading = np.degrees(heading_rad(scene.rig.camera))
    by_id = {vehicle.vehicle_id: vehicle for vehicle in scene.vehicles}
    for t_s in np.arange(0, scene.duration_s, 2 * PIECE_S):
        position, rotation = scene.ego_pose(float(t_s))
        array = position + rotation @ scene.rig.array_position_m
        for identity in scene.labels(float(t_s)).ids:
            apart = (by_id[int(identity)].pose(float(t_s))[0] - array) @ rotation
            found.append((t_s, np.degrees(np.arctan2(apart[1], apart[0])) - heading, identity))
    times_s, azimuth_deg, ids = np.array(found, np.float64).reshape(-1, 3).T
    return times_s, azimuth_deg, ids.astype(np.int64)
