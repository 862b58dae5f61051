"""Cameras of a recorded drive: calibration goes into the rig, thermal counts are rescaled."""

from __future__ import annotations

from helpers.recorded_drive import DEPTH, HEIGHT, RGB, THERMAL, WIDTH, camera_info
import numpy as np
import pytest
import yaml

from avdet_ros.bags.dataset import convert
from avdet_ros.dataset import layout
from avdet_ros.dataset.check import check
from avdet_ros.errors import AvdetError
from avdet_ros.rig import default_rig_path, load_rig


def test_rig_follows_camera_info_and_static_tf(record, tmp_path):
    bag = record(tmp_path / 'drive', tf=True)
    convert([bag], tmp_path / 'out', {'rgb': RGB})
    rig = load_rig(tmp_path / 'out' / 'drive' / 'rig.yaml')
    assert (rig.camera.width_px, rig.camera.height_px) == (WIDTH, HEIGHT)
    assert (rig.camera.fx, rig.camera.cx) == (100.0, 96.0)
    assert np.allclose(rig.camera.position_m, (0.5, 0.1, 1.5))
    pixels, depth_m = rig.camera.project([10.5, 0.1, 1.5])
    assert np.allclose(pixels, (96.0, 32.5))
    assert np.isclose(depth_m, 10.0)
    # The array is turned left by 90 degrees, so its front microphone points to the left.
    assert np.allclose(rig.microphones_m[0], (0.0, 0.25, 2.0), atol=1e-6)


def test_images_of_half_the_calibrated_size_get_half_the_matrix(record, tmp_path):
    twice = camera_info('cam', (2 * WIDTH, 2 * HEIGHT), 200.0)
    bag = record(tmp_path / 'drive', info=twice)
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    rig = load_rig(tmp_path / 'out' / 'drive' / 'rig.yaml')
    assert (rig.camera.width_px, rig.camera.fx, rig.camera.cx) == (WIDTH, 100.0, WIDTH / 2)
    assert report.camera == '/camera/camera_info, scaled from 384 x 130 to 192 x 65'


def test_given_rig_file_replaces_an_unusable_calibration(record, tmp_path):
    for name, size in {'zeros': (0, 0), 'other': (640, 480)}.items():
        info = camera_info('cam', size, 0.0 if name == 'zeros' else 300.0)
        info.k[:] = 0 if name == 'zeros' else info.k
        bag = record(tmp_path / name, info=info)
        with pytest.raises(AvdetError, match='/camera/camera_info: expected'):
            convert([bag], tmp_path / f'{name}_refused', {'rgb': RGB})
        tree = yaml.safe_load(default_rig_path().read_text())
        tree['camera'].update(image_size_px=[WIDTH, HEIGHT], focal_px=[77.0, 77.0])
        tree['camera'].update(principal_px=[90.0, 30.0])
        rig_path = tmp_path / 'mine.yaml'
        rig_path.write_text(yaml.safe_dump(tree))
        (report,) = convert([bag], tmp_path / f'{name}_out', {'rgb': RGB}, rig_path=rig_path)
        assert report.camera.startswith(f'{rig_path}, since ')
        assert load_rig(tmp_path / f'{name}_out' / name / 'rig.yaml').camera.fx == 77.0


def test_lens_distortion_is_removed_from_images(record, tmp_path):
    corners = {}
    for name, distortion in {'pinhole': 5 * (0.0,), 'lens': (0.3, 0.0, 0.0, 0.0, 0.0)}.items():
        bag = record(tmp_path / name, distortion=distortion)
        convert([bag], tmp_path / f'{name}_out', {'rgb': RGB})
        frame = layout.read_ids(tmp_path / f'{name}_out' / 'train_all.txt')[10]
        image = layout.read_picture(tmp_path / f'{name}_out', frame, 'rgb')
        assert image[HEIGHT // 2, WIDTH // 2].mean() > 5
        corners[name] = image[:4, :4].mean()
    # This lens pushes the corners of the scene out of its image, so nothing is known there.
    assert corners['pinhole'] > 5
    assert corners['lens'] < 1


@pytest.mark.slow
def test_thermal_counts_of_another_camera_are_rescaled(record, tmp_path):
    def tlinear(counts):
        kelvin = np.full(counts.shape, 283.0)
        kelvin[10:20, 30:60] = 293
        return (kelvin / 0.04).round().astype(np.uint16)

    bag = record(tmp_path / 'drive', thermal=tlinear, depth=True)
    topics = {'rgb': RGB, 'thermal': THERMAL, 'depth': DEPTH}
    (report,) = convert([bag], tmp_path / 'out', topics)
    assert '0.04 K' in report.thermal
    frame = layout.read_ids(tmp_path / 'out' / 'train_all.txt')[9]
    counts = layout.read_picture(tmp_path / 'out', frame, 'thermal')
    assert counts.dtype == np.uint16
    assert (np.median(counts), counts.max()) == (283 * 80, 293 * 80)
    assert not [f for f in check(tmp_path / 'out').findings if 'contrast' in f.what]
    (report,) = convert([bag], tmp_path / 'raw', topics, kelvin_per_count=1 / 80)
    assert '0.0125 K, as given' in report.thermal
    # Shifted into the visible range, with a quarter of the contrast of the correct scale.
    counts = layout.read_picture(tmp_path / 'raw', frame, 'thermal')
    assert counts.max() - np.median(counts) == 250


def test_thermal_images_without_contrast_are_errors(record, tmp_path):
    bag = record(tmp_path / 'drive', thermal=True, depth=True)  # of one colour
    convert([bag], tmp_path / 'out', {'rgb': RGB, 'thermal': THERMAL, 'depth': DEPTH})
    findings = [f for f in check(tmp_path / 'out').findings if 'contrast' in f.what]
    assert findings
    assert {finding.level for finding in findings} == {'error'}
