"""Memories for a detector that sees one window at a time: evidence for a box from past windows.

They use only boxes, so they work with any model. `remembered_bearings.py` scores them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from avdet_ros.audio.window import HOP_S
from avdet_ros.detection.boxes import Detections
from avdet_ros.evaluation.bearings.metrics import TrueBearings
from avdet_ros.tracking.motion import MotionTracker

NOTHING = -5.0
"""Log odds of a vehicle in a place without a box."""


@dataclass(frozen=True)
class DrivePredictions:
    """A model's predictions on a drive; lists have one entry per window.

    Attributes:
        stamps_s: times of the boxes.
        yaw_deg: yaw of the ego vehicle at these times.
        boxes_px, azimuth_deg, log_odds, log_range: values of the boxes.
        true: ground truth.
        ids: identities of the true vehicles.
    """

    stamps_s: np.ndarray
    yaw_deg: np.ndarray
    boxes_px: list[np.ndarray]
    azimuth_deg: list[np.ndarray]
    log_odds: list[np.ndarray]
    log_range: list[np.ndarray]
    true: list[TrueBearings]
    ids: list[np.ndarray]


Memory = Callable[[DrivePredictions], list[np.ndarray]]
"""For each box of each window: the log odds of its place according to the windows before."""


def linked(seconds: float, step: int = 2) -> Memory:
    """Link boxes of similar bearing, rate and range; older ones fade with a time constant."""

    def remember(drive: DrivePredictions) -> list[np.ndarray]:
        keep = np.exp(-step * HOP_S / seconds)
        past: list[tuple[np.ndarray, ...]] = []
        memory = []
        for now, azimuth in enumerate(drive.azimuth_deg):
            count = len(azimuth)
            best, rate, spread = np.full(count, NOTHING), np.zeros(count), np.full(count, 8.0)
            for steps in (1, 2, 3) if count else ():
                if now < steps * step:
                    break
                before, value, past_rate, past_spread, log_range = past[now - steps * step]
                if not len(before):
                    continue
                time_s = steps * step * HOP_S
                turned = drive.yaw_deg[now] - drive.yaw_deg[now - steps * step]
                off = azimuth[:, None] - (before + past_rate * time_s - turned)
                cost = off**2 / (2 + (past_spread * time_s) ** 2)
                cost += ((drive.log_range[now][:, None] - log_range) / 0.5) ** 2
                fade = keep ** (steps - 1)
                values = value * fade + NOTHING * (1 - fade) - 0.3 * cost
                link = values.argmax(axis=1)
                better = values[np.arange(count), link] > best
                best = np.where(better, values[np.arange(count), link], best)
                variance = past_spread[link] ** 2 + 4 * time_s
                gain = variance / (variance + 2 / time_s**2)
                seen = (azimuth - before[link] + turned) / time_s
                rate = np.where(better, past_rate[link] + gain * (seen - past_rate[link]), rate)
                spread = np.where(better, np.maximum(np.sqrt((1 - gain) * variance), 3.0), spread)
            memory.append(best)
            value = (1 - keep) * drive.log_odds[now] + keep * best
            past.append((azimuth, value, rate, spread, drive.log_range[now]))
        return memory

    return remember


def straight(seconds: float, step: int = 2) -> Memory:
    """Average along the best of 17 constant bearing rates of up to 24 degrees per second."""
    rates = np.arange(-24, 25, 3.0)

    def remember(drive: DrivePredictions) -> list[np.ndarray]:
        memory = []
        for now, azimuth in enumerate(drive.azimuth_deg):
            sums = np.zeros((len(rates), len(azimuth)))
            earlier = range(now - step, max(now - round(seconds / HOP_S), 0) - 1, -step)
            for before in earlier:
                turned = drive.yaw_deg[now] - drive.yaw_deg[before]
                there = azimuth - rates[:, None] * (now - before) * HOP_S + turned
                apart = np.abs(there[..., None] - drive.azimuth_deg[before]) / 2
                odds = drive.log_odds[before] - NOTHING
                sums += (np.exp(-(apart**2)) * odds).max(axis=-1, initial=0.0)
            mean = sums / max(len(earlier), 1) - 0.02 * (rates[:, None] / 10) ** 2
            memory.append(mean.max(axis=0) + NOTHING)
        return memory

    return remember


def tracked(seconds: float) -> Memory:
    """Average over the track to which tracker `motion`, accepting all boxes, assigns a box."""

    def remember(drive: DrivePredictions) -> list[np.ndarray]:
        tracker = MotionTracker(0.005, 0.05, 0.004, 0.1, 0.5, confirm_s=0.0, coast_s=0.0)
        means: dict[int, float] = {}
        memory = []
        for now, stamp_s in enumerate(drive.stamps_s):
            odds = drive.log_odds[now]
            scores = (1 / (1 + np.exp(-odds))).astype(np.float32)
            tracks = tracker.update(float(stamp_s), Detections(drive.boxes_px[now], scores))
            values = np.full(len(odds), NOTHING)
            kept = {}
            for track in tracks:
                # A track has the score of its box, which is unique within a window.
                box = int(np.abs(scores - track.score).argmin())
                values[box] = means.get(track.track_id, NOTHING)
                gain = 1 - np.exp(-HOP_S / seconds)
                kept[track.track_id] = values[box] + gain * (odds[box] - values[box])
            means = kept
            memory.append(values)
        return memory

    return remember
