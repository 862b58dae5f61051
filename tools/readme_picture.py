"""Make the picture at the top of README: boxes in the camera's picture, and a view from above.

    python tools/readme_picture.py --seed 200003 --at 13.9

renders a simulated test drive, runs the model for any array and tracker ground on it as the nodes
do, and draws one instant: the overlay, and the same vehicles from above with 90 % ellipses and
trails in metres. `avdet demo --tracker ground --model models/student.onnx` shows both live, at
every instant.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from avdet_ros.cli.shipped_detectors import shipped_detectors
from avdet_ros.drawing.from_above import GroundTrails, Placed
from avdet_ros.drawing.picture import Box, Painter, View
from avdet_ros.drawing.style import FAINT, GRID, INK, PANEL, TRUTH, colour, text
from avdet_ros.evaluation.ground.drives import GroundDrive, GroundPlan, ground_drives
from avdet_ros.rig import Rig, load_rig
from avdet_ros.simulation.live import drawn_drive
from avdet_ros.simulation.pictures import Cameras
from avdet_ros.tracking import GroundTracker

MODEL, RATE_HZ, SECONDS = 'student', 20.0, 20.0
AHEAD_M, BEHIND_M = 66.0, 8.0
"""Extent of the view from above."""

RINGS_M = (20, 40, 60)
LABELS_RAD = -0.4
"""Bearing of the labels of the rings."""

WIDTH_PX = 1440


def paint(drive: GroundDrive, rig: Rig, at_s: float) -> np.ndarray:
    """Draw camera picture and road at one instant, (H, W, 3) uint8 BGR."""
    tracker, painter, trails = GroundTracker(rig), Painter(rig), GroundTrails(4.0)
    last = int(np.argmin(np.abs(drive.stamps_s - at_s)))
    for step in range(last + 1):
        now_s, ego = float(drive.stamps_s[step]), drive.ego[step]
        tracks = tracker.update(now_s, drive.detections[MODEL][step], ego)
        painter.trails.add(now_s, [(track.track_id, track.box_px) for track in tracks])
        vehicles = [
            Placed(track.track_id, track.position_m, track.covariance[:2, :2])
            for track in tracker.vehicles(0.0, ego)
        ]
        trails.add(now_s, vehicles)
    live = drawn_drive(drive.seed, rig, SECONDS)
    picture = Cameras(live.scene, live.conditions).rgb.paint(now_s)
    truth = [Box(box, 0) for box in drive.truth[last].boxes_px]
    boxes = [Box(track.box_px, track.track_id, track.score) for track in tracks]
    view = View(boxes, truth, picture, None, now_s, now_s, facts='camera')
    camera = rig.camera
    seen = painter.paint(view)[: camera.height_px - 128]  # the sound panel has data only live
    places = drive.places_m[:, last][drive.audible[:, last]]
    road = above(rig, vehicles, trails, places, seen.shape[0])
    whole = np.concatenate([seen, road], axis=1)
    height = round(whole.shape[0] * WIDTH_PX / whole.shape[1])
    return cv2.resize(whole, (WIDTH_PX, height), interpolation=cv2.INTER_AREA)


def above(
    rig: Rig, vehicles: list[Placed], trails: GroundTrails, places_m: np.ndarray, side_px: int
) -> np.ndarray:
    """Draw the road from above, ahead is up; small circles are true positions of audible ones."""
    picture = np.full((side_px, side_px, 3), PANEL, np.uint8)
    scale = side_px / (AHEAD_M + BEHIND_M)
    middle = np.array([side_px / 2, AHEAD_M * scale])

    def pixels(spots_m: np.ndarray) -> np.ndarray:
        shown = middle - np.asarray(spots_m, float)[..., ::-1] * scale
        return np.clip(shown, -9000, 9000).round().astype(np.int32)

    angles = np.linspace(0, 2 * np.pi, 181)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    for ring in RINGS_M:
        cv2.polylines(picture, [pixels(ring * circle)], False, GRID, 1, cv2.LINE_AA)
        beside = ring * np.array([np.cos(LABELS_RAD), np.sin(LABELS_RAD)])
        text(picture, f'{ring} m', tuple(pixels(beside)), 0.55, FAINT, 0.5)
    camera = rig.camera
    for ray in camera.directions(np.array([[0.0, camera.cy], [camera.width_px, camera.cy]])):
        cv2.line(picture, pixels([0, 0]), pixels(90 * ray[:2]), GRID, 1, cv2.LINE_AA)
    for track_id, line in trails.lines().items():
        cv2.polylines(picture, [pixels(line)], False, colour(track_id), 2, cv2.LINE_AA)
    for vehicle in vehicles:
        outline, ink = pixels(vehicle.outline()), colour(vehicle.track_id)
        filled = picture.copy()
        cv2.fillPoly(filled, [outline], ink, cv2.LINE_AA)
        cv2.addWeighted(picture, 0.65, filled, 0.35, 0, dst=picture)
        cv2.polylines(picture, [outline], True, ink, 2, cv2.LINE_AA)
    for vehicle in vehicles:
        words = f'#{vehicle.track_id} {np.hypot(*vehicle.place_m):.0f} m'
        text(picture, words, tuple(pixels(vehicle.place_m) + [10, -8]), 0.6, INK)
    for place in places_m:
        cv2.circle(picture, pixels(place), 6, TRUTH, 2, cv2.LINE_AA)
    nose = [[1.5, 0], [-1, 0.8], [-1, -0.8]]
    cv2.fillPoly(picture, [pixels(nose)], INK, cv2.LINE_AA)
    text(picture, 'from above', (14, 30), 0.6, FAINT)
    return picture


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--seed', type=int, default=200003)
    parser.add_argument('--at', type=float, default=14.05, help='instant of the boxes, seconds')
    parser.add_argument('--store', type=Path, default=Path('runs/ground'), help='drives are kept')
    parser.add_argument('--out', type=Path, default=Path('docs/images/demo.png'))
    args = parser.parse_args()
    rig = load_rig()
    detectors = shipped_detectors(rig)  # as in `avdet eval tracks`, to read its stored drives
    plan = GroundPlan(SECONDS, RATE_HZ, detectors, rig)
    (drive,) = ground_drives(plan, [args.seed], args.store)
    picture = paint(drive, rig, args.at)
    cv2.imwrite(str(args.out), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == '__main__':
    main()
