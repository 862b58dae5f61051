"""What the coherences of microphone pairs look like when sound comes from a given direction.

It follows from where the microphones stand, so a model need not learn it: a model of contract 2
gets it as an input, made here from the rig, and serves every array. For every mel band, direction
and pair it is the coherence that a plane wave from there has; the steered response of the array is
one multiplication with it (the delay-and-sum beamformer with phase transform; J. DiBiase, "A
high-accuracy, low-latency technique for talker localization in reverberant environments using
microphone arrays", 2000).

Directions are azimuths against the **camera's heading** (the azimuth of its optical axis,
projected on the road plane of base_link), seen from the array's centre, left positive.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from avdet_ros.audio.features import PAIRS, FrontEnd
from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Camera, Rig

FRONT_COLUMNS = 64
"""Directions in the front sector, where vehicles are looked for."""

FRONT_DEG = 56.0
"""Half of the front sector: any camera whose image lies within is served."""

AROUND = 16
"""Directions for the rest of the circle, so that what comes from there is explained."""

LEAST_LEVEL_PART = 0.17
"""Horizontal part of the optical axis below which a camera has no heading: 10 degrees from
looking straight up or down."""


def azimuth_grid(
    front: int = FRONT_COLUMNS, front_deg: float = FRONT_DEG, around: int = AROUND
) -> np.ndarray:
    """Azimuths of a network's columns about the camera's heading.

    Args:
        front: columns of equal width from ``front_deg`` (left) to ``-front_deg`` (right).
        front_deg: half of the front sector, degrees.
        around: columns of equal width for the rest, on from the right edge over the back.

    Returns:
        (front + around,) float64 degrees, the columns' middles, falling from ``front_deg`` to
        ``front_deg - 360``: once around, clockwise seen from above.
    """
    ahead = front_deg - (np.arange(front) + 0.5) * (2 * front_deg / front)
    behind = -front_deg - (np.arange(around) + 0.5) * ((360.0 - 2 * front_deg) / max(around, 1))
    return np.concatenate([ahead, behind])


def heading_rad(camera: Camera) -> float:
    """Azimuth of the camera's optical axis on the road plane of base_link, left positive.

    Raises:
        AvdetError: the camera looks straight up or down.
    """
    ahead, left, _ = camera.rotation[2]
    if np.hypot(ahead, left) < LEAST_LEVEL_PART:
        raise AvdetError(
            'rig: camera: expected one that looks along the road, found it within 10 degrees of '
            'looking straight up or down: it has no heading'
        )
    return float(np.arctan2(left, ahead))


def steering(rig: Rig, front_end: FrontEnd, azimuths_deg: np.ndarray | None = None) -> np.ndarray:
    """The `steering` input of a model of contract 2.

    Args:
        rig: microphones (those that are dead are left out), array and camera.
        front_end: gives the mel bands.
        azimuths_deg: (A,) about the camera's heading, left positive; None takes `azimuth_grid`.

    Returns:
        (n_mels, A, 24) float32; the last axis as the front end's coherence channels (real and
        imaginary part of each pair), divided by the number of pairs of live microphones, 0 for
        all other pairs: the response of a lone plane wave in its own direction is at most 1.

    Raises:
        AvdetError: the camera has no heading.
    """
    if azimuths_deg is None:
        azimuths_deg = azimuth_grid()
    azimuths = heading_rad(rig.camera) + np.radians(np.asarray(azimuths_deg, np.float64))
    directions = np.stack([np.cos(azimuths), np.sin(azimuths)], axis=-1)
    return expected_coherences(
        front_end, rig.microphones_m - rig.array_position_m, directions, rig.alive
    )


def live_pairs(alive: np.ndarray) -> np.ndarray:
    """(12,) bool from (8,) bool: the pairs of `features.PAIRS` of which both are alive."""
    return np.asarray(alive, bool)[np.array(PAIRS)].all(axis=1)


def expected_coherences(
    front_end: FrontEnd,
    microphones_m: np.ndarray,
    directions: np.ndarray,
    alive: np.ndarray | None = None,
) -> np.ndarray:
    """Expected coherences of a plane wave, to correlate measured coherences with.

    The wave from direction u reaches microphone i before j by tau = u . (m_i - m_j) / c. In mel
    band b the coherence is then the band's average of the phase,
    E = sum_k M_bk exp(2 pi i f_k tau) / sum_k M_bk, and the steered response is
    P(b, a, t) = sum over pairs of Re(C(b, t) conj(E(b, a))).

    Args:
        front_end: gives the mel bands.
        microphones_m: (8, 3) positions in the frame of the directions.
        directions: (A, 2) unit vectors, level.
        alive: (8,) bool; None for all.

    Returns:
        (n_mels, A, 24) float32, see `steering`.
    """
    live = live_pairs(np.ones(len(microphones_m), bool) if alive is None else alive)
    first, second = np.array(PAIRS)[live].T
    baseline_m = (microphones_m[first] - microphones_m[second])[:, :2]
    delay_s = directions @ baseline_m.T / SPEED_OF_SOUND_MPS
    phase = _phases(front_end, delay_s.ravel())
    filters = front_end.mel_filters.astype(np.float64)
    # A band between two Fourier bins has no weight at all, and no expectation.
    weight = np.maximum(filters.sum(axis=1, keepdims=True), 1e-30)
    filters = scipy.sparse.csr_array(filters / weight)
    expected = np.zeros((front_end.n_mels, len(directions), len(PAIRS), 2))
    # Filters are real: real and imaginary parts, side by side, are averaged alike.
    averaged = (filters @ phase.view(np.float64)).reshape(front_end.n_mels, *delay_s.shape, 2)
    expected[:, :, live] = averaged / max(1, int(live.sum()))
    return expected.reshape(*expected.shape[:2], 2 * len(PAIRS)).astype(np.float32)


def _phases(front_end: FrontEnd, delay_s: np.ndarray) -> np.ndarray:
    """(bins, N) complex128 exp(2 pi i f_k tau) of every Fourier bin for (N,) delays.

    Bin 32 a + b is the product of bins 32 a and b, which are a tenth as many.
    """
    bins = front_end.n_fft // 2 + 1
    turn = 2j * np.pi * front_end.sample_rate_hz / front_end.n_fft * delay_s
    fine = np.exp(np.arange(32)[:, None] * turn)
    coarse = np.exp(32 * np.arange(-(-bins // 32))[:, None] * turn)
    phases = coarse[:, None] * fine[None]
    return phases.reshape(32 * len(coarse), len(delay_s))[:bins]
