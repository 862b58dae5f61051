"""Expected coherences of microphone pairs for sound from a given direction.

They follow from the microphone positions, so a model need not learn them. A model of contract 2
receives them as an input, computed here from the rig, and therefore works with any array. For
every mel band, direction and pair, the input holds the coherence of a plane wave from that
direction. One multiplication with it yields the steered response of the array (the delay-and-sum
beamformer with phase transform; J. DiBiase, "A high-accuracy, low-latency technique for talker
localization in reverberant environments using microphone arrays", 2000).

Directions are azimuths relative to the **camera's heading** (the azimuth of its optical axis,
projected onto the road plane of base_link), seen from the array's centre, left positive.

If the vehicle moves, waves from ahead pass the array faster and waves from behind slower, see
`wave_speed_mps`.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse

from avdet_ros.audio.features import FrontEnd
from avdet_ros.audio.geometry import SPEED_OF_SOUND_MPS
from avdet_ros.audio.microphone_pairs import PAIRS
from avdet_ros.errors import AvdetError
from avdet_ros.rig import Camera, Rig

FRONT_COLUMNS = 64
"""Number of directions in the front sector, in which vehicles are detected."""

FRONT_DEG = 56.0
"""Half width of the front sector. Any camera whose image lies within it can be used."""

AROUND = 16
"""Number of directions for the rest of the circle, to account for sound from there."""

FASTEST_MPS = 100.0
"""Largest speed of the array that is accepted: no vehicle on a road is faster."""

SOUND_MPS = (280.0, 400.0)
"""Accepted speeds of sound: air from -75 to 120 degrees Celsius."""

LEAST_LEVEL_PART = 0.17
"""Horizontal part of the optical axis below which a camera has no heading: 10 degrees from
looking straight up or down."""


def azimuth_grid(
    front: int = FRONT_COLUMNS, front_deg: float = FRONT_DEG, around: int = AROUND
) -> np.ndarray:
    """Azimuths of a network's columns relative to the camera's heading.

    Args:
        front: number of equally wide columns from ``front_deg`` (left) to ``-front_deg`` (right).
        front_deg: half width of the front sector, degrees.
        around: number of equally wide columns for the rest of the circle, from the right edge
            around the back.

    Returns:
        (front + around,) float64 degrees, centres of the columns, decreasing from ``front_deg`` to
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


def wave_speed_mps(
    azimuths_rad: np.ndarray, ahead_mps: float, sound_mps: float = SPEED_OF_SOUND_MPS
) -> np.ndarray:
    """Speed at which waves from each direction pass a moving array.

    If the array moves with speed V along its x axis, in still air with speed of sound c,
    microphone i is at p_i + V t e_x. It receives a wave f(t + u . x / c) from direction u as
    f((1 + V u_x / c) (t + u . p_i / (c + V u_x))): with a Doppler shift, and with the leads of a
    wave with speed c + V cos(azimuth). The same follows in the array's frame from the speed
    of a wave front in moving air, c + v . n (A. D. Pierce, "Acoustics: An Introduction to Its
    Physical Principles and Applications", 1981, equation 8-1.1).

    Args:
        azimuths_rad: (A,) in base_link, left positive.
        ahead_mps: V, speed of base_link along its x axis, negative backwards.
        sound_mps: c, see `avdet_ros.audio.geometry.speed_of_sound_mps`.

    Returns:
        (A,) float64; exactly ``sound_mps`` for an array at rest.

    Raises:
        AvdetError: a speed is out of range for a vehicle or for sound in air.
    """
    # Also catches NaN.
    if not abs(ahead_mps) <= FASTEST_MPS:
        raise AvdetError(
            f'steering: expected a speed of at most {FASTEST_MPS:g} m/s, found {ahead_mps:g}'
        )
    if not SOUND_MPS[0] <= sound_mps <= SOUND_MPS[1]:
        raise AvdetError(
            f'steering: expected a speed of sound of {SOUND_MPS[0]:g} to {SOUND_MPS[1]:g} m/s, '
            f'found {sound_mps:g}'
        )
    return sound_mps + ahead_mps * np.cos(azimuths_rad)


def steering(
    rig: Rig,
    front_end: FrontEnd,
    azimuths_deg: np.ndarray | None = None,
    ahead_mps: float = 0.0,
    sound_mps: float = SPEED_OF_SOUND_MPS,
) -> np.ndarray:
    """Compute the `steering` input of a model of contract 2.

    Args:
        rig: microphones (dead ones are left out), array and camera.
        front_end: defines the mel bands.
        azimuths_deg: (A,) relative to the camera's heading, left positive; None: `azimuth_grid`.
        ahead_mps: speed of the vehicle along base_link's x axis, see `wave_speed_mps`.
        sound_mps: speed of sound in the air.

    Returns:
        (n_mels, A, 2 pairs) float32. The last axis is ordered as the front end's coherence
        channels (real and imaginary part of each pair). Values are divided by the number of pairs
        of live microphones and 0 for all other pairs, so the response of a single plane wave in
        its own direction is at most 1.

    Raises:
        AvdetError: the camera has no heading, or a speed is out of range.
    """
    if azimuths_deg is None:
        azimuths_deg = azimuth_grid()
    azimuths = heading_rad(rig.camera) + np.radians(np.asarray(azimuths_deg, np.float64))
    directions = np.stack([np.cos(azimuths), np.sin(azimuths)], axis=-1)
    passing_mps = wave_speed_mps(azimuths, ahead_mps, sound_mps)
    places_m = rig.microphones_m - rig.array_position_m
    return expected_coherences(front_end, places_m, directions, rig.alive, passing_mps)


def live_pairs(alive: np.ndarray, pairs: tuple[tuple[int, int], ...] = PAIRS) -> np.ndarray:
    """(P,) bool from (8,) bool: the pairs whose microphones are both alive."""
    return np.asarray(alive, bool)[np.array(pairs)].all(axis=1)


def expected_coherences(
    front_end: FrontEnd,
    microphones_m: np.ndarray,
    directions: np.ndarray,
    alive: np.ndarray | None = None,
    passing_mps: np.ndarray | float = SPEED_OF_SOUND_MPS,
) -> np.ndarray:
    """Compute the expected coherences of plane waves, to correlate with measured coherences.

    A wave from direction u reaches microphone i earlier than j by tau = u . (m_i - m_j) / c. The
    coherence in mel band b is then the average phase over the band,
    E = sum_k M_bk exp(2 pi i f_k tau) / sum_k M_bk, and the steered response is
    P(b, a, t) = sum over pairs of Re(C(b, t) conj(E(b, a))).

    Args:
        front_end: defines the mel bands and the pairs.
        microphones_m: (8, 3) positions in the frame of the directions.
        directions: (A, 2) horizontal unit vectors.
        alive: (8,) bool; None for all.
        passing_mps: (A,) speed c at which waves from each direction pass the array.

    Returns:
        (n_mels, A, 2 pairs) float32, see `steering`.
    """
    pairs = front_end.pairs
    live = live_pairs(np.ones(len(microphones_m), bool) if alive is None else alive, pairs)
    first, second = np.array(pairs)[live].T
    baseline_m = (microphones_m[first] - microphones_m[second])[:, :2]
    delay_s = directions @ baseline_m.T / np.reshape(passing_mps, (-1, 1))
    phase = _phases(front_end, delay_s.ravel())
    filters = front_end.mel_filters.astype(np.float64)
    # A band between two Fourier bins has no weight, and thus no expected coherence.
    weight = np.maximum(filters.sum(axis=1, keepdims=True), 1e-30)
    filters = scipy.sparse.csr_array(filters / weight)
    expected = np.zeros((front_end.n_mels, len(directions), len(pairs), 2))
    # Filters are real, so real and imaginary parts can be averaged side by side.
    averaged = (filters @ phase.view(np.float64)).reshape(front_end.n_mels, *delay_s.shape, 2)
    expected[:, :, live] = averaged / max(1, int(live.sum()))
    return expected.reshape(*expected.shape[:2], 2 * len(pairs)).astype(np.float32)


def _phases(front_end: FrontEnd, delay_s: np.ndarray) -> np.ndarray:
    """(bins, N) complex128 exp(2 pi i f_k tau) of every Fourier bin for (N,) delays.

    Bin 32 a + b is the product of bins 32 a and b, so only a tenth of the exponentials is needed.
    """
    bins = front_end.n_fft // 2 + 1
    turn = 2j * np.pi * front_end.sample_rate_hz / front_end.n_fft * delay_s
    fine = np.exp(np.arange(32)[:, None] * turn)
    coarse = np.exp(32 * np.arange(-(-bins // 32))[:, None] * turn)
    phases = coarse[:, None] * fine[None]
    return phases.reshape(32 * len(coarse), len(delay_s))[:bins]
