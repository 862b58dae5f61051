"""Sound paths from a moving source to each microphone, and its signal at the array's middle.

The emission times of sound received at the knots are solved once for the middle. Each microphone
then needs one more step of Newton's method. Between the knots, interpolation is cubic.
"""

from __future__ import annotations

from numba import njit
import numpy as np

from avdet_ros.simulation.path_spectra import KNOT
from avdet_ros.simulation.propagation import POWERS, TAPS, _track, emission

_FAST = {'contract', 'reassoc', 'nsz'}


@njit(cache=True, nogil=True, fastmath=_FAST)
def reading_filters(signal: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Prepare a signal for reading between its samples.

    Args:
        signal: (S,) float32.
        filters: (POWERS, TAPS) float32 from `propagation.sinc_filters`.

    Returns:
        (S - TAPS + 1, POWERS) float32: row i is a polynomial in u, the position after sample
        i + TAPS / 2 - 1 minus 1/2.
    """
    count = len(signal) - TAPS + 1
    out = np.zeros((count, POWERS), np.float32)
    turned = np.ascontiguousarray(filters.T)
    for n in range(count):
        row = out[n]
        for tap in range(TAPS):
            value = signal[n + tap]
            weights = turned[tap]
            for power in range(POWERS):
                row[power] += weights[power] * value
    return out


@njit(cache=True, nogil=True)
def solve_way(
    source: np.ndarray,
    weight: np.ndarray,
    centre: np.ndarray,
    microphones: np.ndarray,
    outward: np.ndarray,
    shading_db: np.ndarray,
    grid_first: int,
    grid_s: float,
    t0: float,
    step_s: float,
    c: float,
    te: np.ndarray,
    slope: np.ndarray,
    delay_s: np.ndarray,
    gain: np.ndarray,
) -> None:
    """Solve emission times of sound received at the knots, and each microphone's delay and gain.

    Args:
        source: (G, 3) float64 positions on the grid.
        weight: (G,) float64 gain of the source in addition to 1 / R.
        centre: (G, 3) float64 positions of the point whose signal is read.
        microphones: (A, 8, G, 3) float64 positions of the microphones of each array.
        outward: (A, 8, G, 3) float64 unit directions from the array's centre.
        shading_db: (A,) loss of sound that comes from the side opposite to the microphone.
        grid_first: index of the first grid point; point g is at (grid_first + g) grid_s.
        grid_s: step of the grid.
        t0: time of the first knot.
        step_s: time between knots.
        c: speed of sound.
        te: (K,) filled with the emission times for the centre.
        slope: (K,) filled with their derivatives with respect to the time of reception.
        delay_s: (A, K, 8) filled with the delay of each microphone relative to the centre.
        gain: (A, K, 8) filled with the gain of each microphone.
    """
    for k in range(len(te)):
        t = t0 + k * step_s
        at, rate, r, _, _, _ = emission(source, centre, grid_first, grid_s, t, c)
        te[k], slope[k] = at, rate
        here = t / grid_s - grid_first
        h = int(np.floor(here))
        place = max(at / grid_s - grid_first, 1.0)
        g = int(np.floor(place))
        px, wx = _track(source, g, place - g, 0, grid_s)
        py, wy = _track(source, g, place - g, 1, grid_s)
        pz, wz = _track(source, g, place - g, 2, grid_s)
        loudness = weight[g] + (weight[g + 1] - weight[g]) * (place - g)
        for a in range(microphones.shape[0]):
            for m in range(microphones.shape[1]):
                # one step of Newton's method from the centre's time of emission
                dx = px - _at(microphones[a, m], h, here - h, 0)
                dy = py - _at(microphones[a, m], h, here - h, 1)
                dz = pz - _at(microphones[a, m], h, here - h, 2)
                r = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-9
                radial = (dx * wx + dy * wy + dz * wz) / r
                step = (at + r / c - t) / (1 + radial / c)
                # emission earlier by `step` means reception later by `step` / Doppler factor
                delay_s[a, k, m] = step / rate
                value = loudness / max(r - radial * step, 0.3)
                if shading_db[a] > 0:
                    o = outward[a, m, h]
                    facing = (dx * o[0] + dy * o[1] + dz * o[2]) / r
                    value *= 10 ** (-shading_db[a] / 40 * (1 - facing))
                gain[a, k, m] = value


@njit(cache=True, nogil=True, inline='always')
def _at(track: np.ndarray, grid: int, part: float, axis: int) -> float:
    """Interpolate a trajectory between grid points."""
    a, b = track[grid, axis], track[grid + 1, axis]
    slope_a, slope_b = (b - track[grid - 1, axis]) / 2, (track[grid + 2, axis] - a) / 2
    square = 3 * (b - a) - 2 * slope_a - slope_b
    return a + part * (slope_a + part * (square + part * (2 * (a - b) + slope_a + slope_b)))


@njit(cache=True, nogil=True, fastmath=_FAST)
def read_signal(
    rows: np.ndarray,
    first: int,
    te: np.ndarray,
    slope: np.ndarray,
    step_s: float,
    rate_hz: float,
    out: np.ndarray,
) -> None:
    """Read a signal as the centre receives it.

    Args:
        rows: (S, POWERS) float32 from `reading_filters`.
        first: position of row 0 in samples since the drive's start, minus TAPS / 2 - 1.
        te: (K,) emission times at the knots.
        slope: (K,) their derivatives.
        step_s: time between knots, `KNOT` samples.
        rate_hz: sample rate of the signal.
        out: (n,) float32, filled.
    """
    begin_of_rows = first + TAPS // 2 - 1
    for k in range((len(out) + KNOT - 1) // KNOT):
        begin = k * KNOT
        a, b = te[k] * rate_hz - begin_of_rows, te[k + 1] * rate_hz - begin_of_rows
        sa, sb = slope[k] * step_s * rate_hz, slope[k + 1] * step_s * rate_hz
        c1 = sa / KNOT
        c2 = (3 * (b - a) - 2 * sa - sb) / KNOT**2
        c3 = (2 * (a - b) + sa + sb) / KNOT**3
        if a < 0 or b >= len(rows) - 1:
            raise IndexError('the signal is shorter than its way to the microphones needs')
        for n in range(min(KNOT, len(out) - begin)):
            place = a + n * (c1 + n * (c2 + n * c3))
            whole = int(place)
            u = np.float32(place - whole - 0.5)
            row = rows[whole]
            v = u * u
            w = v * v
            low = (row[0] + u * row[1]) + v * (row[2] + u * row[3])
            high = (row[4] + u * row[5]) + v * (row[6] + u * row[7])
            out[begin + n] = low + w * high


@njit(cache=True, nogil=True, fastmath=_FAST)
def read_tones(
    table: np.ndarray, cycles: np.ndarray, per_knot: np.ndarray, every: int, out: np.ndarray
) -> None:
    """Read a wave table along a phase.

    Args:
        table: (T + 1,) float32, one cycle.
        cycles: (K,) phase at the knots.
        per_knot: (K,) derivative of the phase, cycles from knot to knot.
        every: step in samples; the samples in between are not read.
        out: (n,) float32, filled.
    """
    size = len(table) - 1
    steps = KNOT // every
    for k in range((len(out) + steps - 1) // steps):
        a, b, sa, sb = cycles[k], cycles[k + 1], per_knot[k], per_knot[k + 1]
        for n in range(min(steps, len(out) - k * steps)):
            x = n / steps
            place = a + x * (sa + x * (3 * (b - a) - 2 * sa - sb + x * (2 * (a - b) + sa + sb)))
            place = (place - np.floor(place)) * size
            whole = int(place)
            value = table[whole] + (table[whole + 1] - table[whole]) * np.float32(place - whole)
            out[k * steps + n] = value
