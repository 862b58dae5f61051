"""The loop of docs/own-vehicle.md at small scale: record, convert, train, process."""

from __future__ import annotations

from functools import cache
import json

import numpy as np
import pytest

from avdet_ros.audio.features import FrontEnd
from avdet_ros.bags.dataset import convert
from avdet_ros.bags.process import process_bag
from avdet_ros.bags.reader import Bag
from avdet_ros.bags.writer import BagWriter
from avdet_ros.detection.boxes import Detections
from avdet_ros.detection.session import Detector
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import DETECTIONS, IMAGE
from avdet_ros.messages.encode_offline import make_detections, make_header, make_image, make_sound
from avdet_ros.messages.typestore import serialize
from avdet_ros.rig import load_rig
from avdet_ros.simulation.sound import SoundRenderer
from avdet_ros.simulation.traffic import random_scene
from avdet_ros.tracking import make_tracker

torch = pytest.importorskip('torch')

START_NS = 1_700_000_000_000_000_000
SECONDS = 3.0


@cache
def drive_and_sound(seed):
    """A simulated drive and the sound that the array records."""
    rig = load_rig()
    scene = random_scene(seed, rig, SECONDS)
    sound = SoundRenderer(scene).read(0, round(SECONDS * rig.sample_rate_hz))
    return scene, np.clip(np.round(sound.T * 32768), -32768, 32767).astype(np.int16)


def record(path, seed, truth=True):
    """A bag of a simulated drive as the vehicle would record it, with black pictures."""
    scene, samples = drive_and_sound(seed)
    rig = scene.rig
    picture = np.zeros((650, 1920, 3), np.uint8)
    with BagWriter(path) as writer:
        for first in range(0, len(samples), 1024):
            now = START_NS + round(first * 1e9 / rig.sample_rate_hz)
            header = make_header(now, rig.array_frame_id)
            block = make_sound(header, samples[first : first + 1024])
            writer.write('/avdet/audio', IMAGE, serialize(block), now)
        for index in range(10):
            time_s = 0.2 + index * 0.25
            now = START_NS + round(time_s * 1e9)
            header = make_header(now, rig.camera.frame_id)
            image = make_image(header, 'bgr8', 650, 1920, picture)
            writer.write('/camera/image_raw', IMAGE, serialize(image), now)
            if truth:
                labels = scene.labels(time_s)
                found = Detections(labels.boxes_px, np.ones(len(labels), np.float32))
                array = serialize(make_detections(header, found))
                writer.write('/avdet/truth', DETECTIONS, array, now)
    return path


@pytest.mark.slow
def test_recorded_drives_can_be_converted_trained_and_processed(tmp_path):
    from avdet_ros.training.run.train import train

    bags = [record(tmp_path / f'drive_{index}', seed) for index, seed in enumerate((11, 12, 13))]
    reports = convert(bags, tmp_path / 'own', {'rgb': '/camera/image_raw'})
    assert all(report.with_truth == report.frames >= 6 for report in reports)
    recipe = tmp_path / 'own.yaml'
    recipe.write_text('kind: student\nfit: {epochs: 1, batch: 4}\n')
    model = train(recipe, tmp_path / 'own', tmp_path / 'run')

    rig, front_end = load_rig(), FrontEnd()
    detector = Detector(model, rig, front_end, ['cpu'], threads=1)
    assert 'drives in own' in detector.contract.data
    report = process_bag(bags[0], tmp_path / 'out', rig, front_end, detector, make_tracker())
    assert report.windows == 21
    with Bag(tmp_path / 'out') as bag:
        assert bag.topics['/avdet/detections'].count == 21
    assert json.loads((tmp_path / 'out' / 'summary.json').read_text())['partial'] is None


def test_recorded_truth_gives_boxes_without_distances(tmp_path):
    from avdet_ros.dataset import layout
    from avdet_ros.evaluation.runs.on_dataset import TRUE, truths_of
    from avdet_ros.training.data.labelled_frames import true_frames

    own = tmp_path / 'own'
    convert([record(tmp_path / 'drive', 11)], own, {'rgb': '/camera/image_raw'})
    frames = layout.read_ids(own / 'train_all.txt')
    truth = truths_of(own, frames[0].drive)[TRUE]
    boxes = [len(truth(frame)) for frame in frames]
    assert sum(boxes) > 0
    assert [len(each.boxes_px) for each in true_frames(own, frames, 'rgb')] == boxes
    assert all(np.all(np.isnan(truth(frame).distance_m)) for frame in frames)


@pytest.mark.slow
def test_missing_labels_and_too_few_drives_are_reported(tmp_path):
    from avdet_ros.training.recipes.student import StudentRecipe
    from avdet_ros.training.run.context import open_run

    bags = [record(tmp_path / f'drive_{index}', 11, truth=False) for index in range(3)]
    convert(bags, tmp_path / 'own', {'rgb': '/camera/image_raw'})
    with pytest.raises(AvdetError, match='found none; avdet train label makes labels from teach'):
        open_run(StudentRecipe(), tmp_path / 'own', tmp_path / 'run')
    convert(bags[:1], tmp_path / 'few', {'rgb': '/camera/image_raw'})
    with pytest.raises(AvdetError, match='three drives'):
        open_run(StudentRecipe(), tmp_path / 'few', tmp_path / 'run')
