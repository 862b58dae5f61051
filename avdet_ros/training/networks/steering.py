"""What the coherences of microphone pairs look like when sound comes from a given direction.

A network that must find directions in 24 coherence channels has to learn the array's geometry
from examples. It is known beforehand, so it is put in as constants: the steered response of the
array, for every mel band, direction and frame, is one multiplication with these weights
(the delay-and-sum beamformer with phase transform; J. DiBiase, "A high-accuracy, low-latency
technique for talker localization in reverberant environments using microphone arrays", 2000).
"""

from __future__ import annotations

import numpy as np

from avdet_ros.audio.features import PAIRS, FrontEnd
from avdet_ros.rig import Rig

SPEED_OF_SOUND_MPS = 343.0
"""At 20 degrees Celsius. Another temperature stretches all delays alike and so moves no peak of
an array that looks the same from all sides."""

NOMINAL_DISTANCE_M = 20.0
"""Where on a camera ray the sound is supposed to start: only the shift between camera and array
depends on it."""


def image_directions(rig: Rig, columns: int, margin_columns: int, around: int) -> np.ndarray:
    """Directions of an image's columns and of what lies outside the image.

    Args:
        rig: the vehicle.
        columns: cells across the image; a direction goes through each one's centre.
        margin_columns: more columns of the same width beyond each edge.
        around: directions for the rest of the circle, evenly spread over it.

    Returns:
        (around + margin_columns + columns + margin_columns, 2) float64 unit vectors x, y in the
        array's frame: first those around, then from the left to the right.
    """
    camera = rig.camera
    centres_px = (np.arange(-margin_columns, columns + margin_columns) + 0.5) * (
        camera.width_px / columns
    )
    pixels = np.stack([centres_px, np.full_like(centres_px, camera.cy)], axis=-1)
    points_m = camera.position_m + NOMINAL_DISTANCE_M * camera.directions(pixels)
    in_view = points_m - rig.array_position_m
    azimuth = np.arctan2(in_view[:, 1], in_view[:, 0])
    # Counter-clockwise from the left edge over the back to the right edge.
    start, stop = azimuth[0], azimuth[-1] + 2 * np.pi
    steps = (np.arange(around) + 1) / (around + 1)
    azimuth = np.concatenate([start + steps * (stop - start), azimuth])
    azimuth -= np.radians(rig.array_yaw_deg)
    return np.stack([np.cos(azimuth), np.sin(azimuth)], axis=-1)


def steering_weights(
    front_end: FrontEnd, microphones_m: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Expected coherences of a plane wave, to correlate measured coherences with.

    The wave from direction u reaches microphone i before j by tau = u . (m_i - m_j) / c. In mel
    band b the coherence is then the band's average of the phase,
    E = sum_k M_bk exp(2 pi i f_k tau) / sum_k M_bk, and the steered response is
    P(b, a, t) = sum over pairs of Re(C(b, t) conj(E(b, a))).

    Args:
        front_end: gives the mel bands.
        microphones_m: (8, 3) positions in the array's frame.
        directions: (A, 2) unit vectors in the array's plane.

    Returns:
        (n_mels, A, 24) float32; the last axis as the front end's coherence channels (real and
        imaginary part of each pair), divided by the number of pairs: the response of a lone
        plane wave in its own direction is at most 1.
    """
    filters = front_end.mel_filters.astype(np.float64)
    filters = filters / filters.sum(axis=1, keepdims=True)
    bins_hz = np.fft.rfftfreq(front_end.n_fft, 1 / front_end.sample_rate_hz)
    first, second = np.array(PAIRS).T
    baseline_m = (microphones_m[first] - microphones_m[second])[:, :2]
    delay_s = directions @ baseline_m.T / SPEED_OF_SOUND_MPS
    phase = np.exp(2j * np.pi * bins_hz[:, None, None] * delay_s)
    expected = np.einsum('bk,kap->bap', filters, phase)
    weights = np.stack([expected.real, expected.imag], axis=-1) / len(PAIRS)
    return weights.reshape(len(filters), len(directions), -1).astype(np.float32)
