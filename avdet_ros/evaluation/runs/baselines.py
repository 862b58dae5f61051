"""Baselines a model must beat: boxes that ignore the sound, and classical direction finding.

Both are fitted only on the labels of training drives and are used like a model: one window in,
`Detections` out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import math

import numpy as np
from scipy.signal import find_peaks

from avdet_ros.detection.boxes import Detections, box_iou, clip_boxes, nms
from avdet_ros.rig import MICROPHONES, Rig

COVER_IOU = 0.5
_MAX_CANDIDATES = 1500


@dataclass(frozen=True)
class LabelStatistics:
    """Summary of the training labels.

    Attributes:
        boxes_px: (K, 4) float32, the boxes that cover most labels, the most common first.
        shares: (K,) float32, labels per frame that each box covers and no earlier one does.
        typical_px: (4,) float64, x from the centre of the box, y in the image: the box that
            covers most labels when it may be moved sideways.
        typical_distance_m: median distance of the vehicles it covers.
    """

    boxes_px: np.ndarray
    shares: np.ndarray
    typical_px: np.ndarray
    typical_distance_m: float


def fit_labels(
    frames: Iterable[tuple[np.ndarray, np.ndarray]], count: int = 20, seed: int = 0
) -> LabelStatistics:
    """Summarise training labels.

    Args:
        frames: boxes (N, 4) and distances (N,) of each frame.
        count: number of constant boxes to choose.
        seed: seed for the choice of candidates when there are many labels.
    """
    frames = list(frames)
    boxes = np.concatenate([np.zeros((0, 4)), *(boxes for boxes, _ in frames)])
    distance_m = np.concatenate([np.zeros(0), *(distance for _, distance in frames)])
    if not len(boxes):
        raise ValueError('no label to fit the baselines on')
    chosen, covered = greedy_cover(boxes, count, seed)
    centre = (boxes[:, [0]] + boxes[:, [2]]) / 2
    aligned = boxes - centre * np.array([1, 0, 1, 0])
    (typical,), _ = greedy_cover(aligned, 1, seed)
    similar = box_iou([aligned[typical]], aligned)[0] >= COVER_IOU
    return LabelStatistics(
        boxes_px=boxes[chosen].astype(np.float32),
        shares=(covered / max(len(frames), 1)).astype(np.float32),
        typical_px=aligned[typical],
        typical_distance_m=float(np.median(distance_m[similar])),
    )


def greedy_cover(boxes: np.ndarray, count: int, seed: int) -> tuple[list[int], np.ndarray]:
    """Choose boxes one by one, each covering the largest number of boxes not covered yet.

    Args:
        boxes: (N, 4); a box covers those it overlaps by at least `COVER_IOU`.
        count: maximum number of boxes to choose.
        seed: seed for the choice of candidates when there are many boxes.

    Returns:
        Indices of the chosen boxes and how many each newly covers, (K,) descending.
    """
    rng = np.random.default_rng(seed)
    size = min(len(boxes), _MAX_CANDIDATES)
    candidates = np.sort(rng.choice(len(boxes), size, replace=False))
    covers = box_iou(boxes[candidates], boxes) >= COVER_IOU
    chosen, counts = [], []
    for _ in range(count):
        gain = covers.sum(axis=1)
        best = int(np.argmax(gain))
        if not gain[best]:
            break
        chosen.append(int(candidates[best]))
        counts.append(int(gain[best]))
        covers[:, covers[best]] = False
    return chosen, np.array(counts)


class ConstantBoxes:
    """Baseline that reports the most common boxes of the training labels, whatever the sound."""

    def __init__(self, statistics: LabelStatistics) -> None:
        """Take the boxes from the training labels."""
        # A share above 1 is possible: one box may cover several vehicles of a frame.
        self._detections = Detections(statistics.boxes_px, np.minimum(statistics.shares, 1))

    def detect(self, waveform: np.ndarray | None, spectrogram: np.ndarray) -> Detections:
        """Return the same boxes for every window."""
        return self._detections


class SteeredResponse:
    """SRP-PHAT bearings, with a typical vehicle placed on the road at each.

    The steered response power with phase transform (DiBiase 2000) by pyroomacoustics, over the
    camera's field of view, averaged over the window.
    """

    STEP_DEG = 0.5
    BAND_HZ = (300.0, 4000.0)
    MAX_BOXES = 5

    def __init__(self, statistics: LabelStatistics, rig: Rig, temperature_c: float = 20.0) -> None:
        """Prepare the directions.

        Args:
            statistics: summary of the training labels.
            rig: microphones and camera.
            temperature_c: air temperature, which sets the speed of sound.
        """
        import pyroomacoustics

        from avdet_ros.audio.geometry import speed_of_sound_mps

        self._rate, self._n_fft = rig.sample_rate_hz, 1024
        camera = rig.camera
        edges = camera.directions([[0.0, camera.cy], [camera.width_px, camera.cy]])
        left, right = np.degrees(np.arctan2(edges[:, 1], edges[:, 0]))
        azimuth_deg = np.arange(right - 5, left + 5, self.STEP_DEG)
        self._azimuth_deg = azimuth_deg
        self._srp = pyroomacoustics.doa.SRP(
            rig.microphones_m[:, :2].T,
            self._rate,
            self._n_fft,
            c=speed_of_sound_mps(temperature_c),
            num_src=1,
            azimuth=np.radians(azimuth_deg),
        )
        self._boxes = np.stack([_standing_box(a, statistics, rig) for a in azimuth_deg])
        self._size = camera.width_px, camera.height_px

    def detect(self, waveform: np.ndarray | None, spectrogram: np.ndarray) -> Detections:
        """Place boxes at the strongest bearings.

        Args:
            waveform: (8, samples) float32 of the window; bags that hold only features have none.
            spectrogram: unused.

        Returns:
            At most `MAX_BOXES` boxes; a score is the mean agreement of the microphone pairs on
            that direction, 1 if all agree at all frequencies.
        """
        import pyroomacoustics

        assert waveform is not None  # drives and data sets have sound
        spectrum = pyroomacoustics.transform.stft.analysis(
            waveform.T.astype(np.float64),
            self._n_fft,
            self._n_fft // 2,
            win=np.hanning(self._n_fft),
        ).transpose(2, 1, 0)
        self._srp.locate_sources(spectrum, freq_range=list(self.BAND_HZ))
        # pyroomacoustics divides the power of all M^2 products by the number of pairs. The score
        # is the mean over the pairs alone, from about 0 for noise to 1 for a plane wave.
        pairs = MICROPHONES * (MICROPHONES - 1) / 2
        agreement = (np.asarray(self._srp.grid.values) * pairs - MICROPHONES) / (2 * pairs)
        peaks, _ = find_peaks(agreement, height=0.0)
        scores = np.clip(agreement[peaks], 0, 1)
        boxes = clip_boxes(self._boxes[peaks], *self._size)
        inside = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
        boxes, scores = boxes[inside], scores[inside]
        kept = nms(boxes, scores, 0.5)[: self.MAX_BOXES]
        return Detections(boxes[kept].astype(np.float32), scores[kept].astype(np.float32))


def _standing_box(azimuth_deg: float, statistics: LabelStatistics, rig: Rig) -> np.ndarray:
    """Return the (4,) pixel box of a typical vehicle on the road at a bearing from the array."""
    camera, typical = rig.camera, statistics.typical_px
    azimuth = math.radians(azimuth_deg)
    direction = np.array([math.cos(azimuth), math.sin(azimuth), 0.0])
    ground = rig.array_position_m + statistics.typical_distance_m * direction
    ground[2] = 0.0
    (pixel_x, pixel_y), depth_m = camera.project(ground)
    # The typical size was seen at the typical distance; at the same range off the axis, the depth
    # is smaller and the vehicle looks larger.
    scale = statistics.typical_distance_m / max(float(depth_m), 1.0)
    half = scale * (typical[2] - typical[0]) / 2
    height = scale * (typical[3] - typical[1])
    return np.array([pixel_x - half, pixel_y - height, pixel_x + half, pixel_y])
