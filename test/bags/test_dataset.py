"""A recorded drive becomes frames: the right pictures, the right second of sound, one split."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import yaml

from avdet_ros.bags.dataset import convert, split_drives
from avdet_ros.bags.drive_pictures import choose
from avdet_ros.dataset import layout
from avdet_ros.dataset.check import check
from avdet_ros.errors import AvdetError
from avdet_ros.messages.decode import CAMERA_INFO, TRANSFORMS
from avdet_ros.messages.encode_offline import make_header, make_image
from avdet_ros.messages.typestore import serialize, typestore
from avdet_ros.rig import default_rig_path, load_rig

START_NS = 1_700_000_000_000_000_000
RGB, THERMAL, DEPTH = '/camera/image_raw', '/thermal/image_raw', '/depth/image_raw'
WIDTH, HEIGHT = 192, 65


def camera_info(frame_id, size=(WIDTH, HEIGHT), focal=100.0, distortion=()):
    types = typestore().types
    k = np.array([focal, 0, size[0] / 2, 0, focal, size[1] / 2, 0, 0, 1.0])
    roi = types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)
    return types[CAMERA_INFO](
        make_header(START_NS, frame_id),
        size[1],
        size[0],
        'plumb_bob',
        np.array(distortion, np.float64),
        k,
        np.eye(3).ravel(),
        np.zeros(12),
        0,
        0,
        roi,
    )


def transform(parent, child, position, quaternion):
    types = typestore().types
    return types['geometry_msgs/msg/TransformStamped'](
        make_header(START_NS, parent),
        child,
        types['geometry_msgs/msg/Transform'](
            types['geometry_msgs/msg/Vector3'](*position),
            types['geometry_msgs/msg/Quaternion'](*quaternion),
        ),
    )


@pytest.fixture
def record(write_sound, picture_message):
    """A drive of three seconds: sound, and pictures at 10 Hz with receive times 30 ms late."""

    def make(
        path,
        rgb='raw',
        thermal=False,
        depth=False,
        info=True,
        tf=False,
        shift_ns=0,
        picture_stamps=True,
        distortion=(),
        spoil=None,
        **sound,
    ):
        writer = write_sound(path, close=False, **sound)

        def put(topic, message, late_ns=0):
            writer.write(topic, message.__msgtype__, serialize(message), START_NS + late_ns)

        if info:
            made = camera_info('cam', distortion=distortion) if info is True else info
            put('/camera/camera_info', made)
        if tf:
            half = np.sqrt(0.5)
            optical = (-0.5, 0.5, -0.5, 0.5)
            entries = [
                transform('base_link', 'mast', (0.2, 0.1, 1.0), (0, 0, 0, 1)),
                transform('mast', 'cam', (0.3, 0.0, 0.5), optical),
                transform('cam', 'thermal_cam', (0, 0, 0), (0, 0, 0, 1)),
                transform('base_link', 'microphone_array', (0, 0, 2.0), (0, 0, half, half)),
            ]
            put('/tf_static', typestore().types[TRANSFORMS](entries))
            put('/thermal/camera_info', camera_info('thermal_cam', (96, 32), 50.0))
        for index in range(30):
            late = index * 100_000_000
            now = START_NS + late + shift_ns if picture_stamps else 0
            compressed = rgb == 'compressed'
            image = picture_message(now, index, compressed)
            data = (spoil or {}).get(index, serialize)(image)
            writer.write(RGB, image.__msgtype__, data, START_NS + late + 30_000_000)
            if thermal and index % 2 == 0:
                counts = np.full((32, 96), 22000 + index, np.uint16)
                counts = counts if thermal is True else thermal(counts)
                header = make_header(now + 7_000_000, 'thermal_cam')
                put(
                    THERMAL,
                    make_image(header, 'mono16', 32, 96, counts),
                    late + 37_000_000,
                )
            if depth:
                metres = np.full((HEIGHT, WIDTH), 2.0 + index, np.float32)
                header = make_header(now, 'cam')
                put(DEPTH, make_image(header, '32FC1', HEIGHT, WIDTH, metres), late)
        writer.close()
        return path

    return make


@pytest.mark.parametrize('kind', ['raw', 'compressed'])
def test_clips_are_centred_on_their_pictures(record, waveform, tmp_path, kind):
    bag = record(tmp_path / 'day_1', rgb=kind)
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    ids = layout.read_ids(tmp_path / 'out' / 'train_all.txt')
    assert (report.frames, report.without_sound, report.split) == (21, 9, 'train')
    assert len(ids) == 21
    for frame in ids:
        index = round((frame.stamp_ns - START_NS) / 1e8)
        middle = round(index * 4410)
        expected = waveform[middle - 22050 : middle + 22050].T / np.float32(32768)
        assert np.array_equal(layout.read_sound(tmp_path / 'out', frame), expected)
        image = layout.read_picture(tmp_path / 'out', frame, 'rgb')
        assert image.shape == (HEIGHT, WIDTH, 3)
        assert abs(image.mean() - (10 + index * 5 % 240)) < 1.5
    assert json.loads((tmp_path / 'out' / 'day_1' / 'parameters.json').read_text()) == {
        'start_ns': START_NS,
        'source': str(bag),
        'topics': {'rgb': RGB},
        'audio': '/avdet/audio',
        'partial': None,
    }
    assert (tmp_path / 'out' / 'train_day_all.txt').exists()
    assert (tmp_path / 'out' / 'day_1' / layout.DONE).exists()
    assert not list((tmp_path / 'out').rglob('*.part'))


def test_modalities_are_matched_by_stamp_and_missing_ones_are_counted(record, tmp_path):
    bag = record(tmp_path / 'night', thermal=True, depth=True, tf=True)
    topics = {'rgb': RGB, 'thermal': THERMAL, 'depth': DEPTH}
    (report,) = convert([bag], tmp_path / 'out', topics)
    assert report.missing == {'thermal': 11}
    assert report.alignment['thermal'].startswith('aligned')
    seen = 0
    for frame in layout.read_ids(tmp_path / 'out' / 'train_night_all.txt'):
        index = round((frame.stamp_ns - START_NS) / 1e8)
        path = layout.picture_path(tmp_path / 'out', frame, 'thermal')
        if index % 2 == 0:
            counts = layout.read_picture(tmp_path / 'out', frame, 'thermal')
            assert counts.dtype == np.uint16
            assert counts.shape == (HEIGHT, WIDTH)
            assert counts[HEIGHT // 2, WIDTH // 2] == 22000 + index
            seen += 1
        else:
            assert not path.exists()
        depth = layout.read_picture(tmp_path / 'out', frame, 'depth')
        disparity = 100 * 0.6 / (2.0 + index)
        colour = cv2.applyColorMap(np.full((1, 1), disparity * 255 / 192, np.uint8), 2)
        assert np.abs(depth[30, 90].astype(int) - colour[0, 0]).max() <= 6
    assert seen == 10


def test_the_rig_follows_camera_info_and_static_tf(record, tmp_path):
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


def test_pictures_of_half_the_calibrated_size_have_half_the_matrix(record, tmp_path):
    twice = camera_info('cam', (2 * WIDTH, 2 * HEIGHT), 200.0)
    bag = record(tmp_path / 'drive', info=twice)
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    rig = load_rig(tmp_path / 'out' / 'drive' / 'rig.yaml')
    assert (rig.camera.width_px, rig.camera.fx, rig.camera.cx) == (WIDTH, 100.0, WIDTH / 2)
    assert report.camera == '/camera/camera_info, scaled from 384 x 130 to 192 x 65'


def test_a_named_rig_file_stands_in_for_an_uncalibrated_camera(record, tmp_path):
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


def test_distortion_is_taken_out(record, tmp_path):
    bag = record(tmp_path / 'drive', distortion=(-0.3, 0.1, 0.0, 0.0, 0.0))
    convert([bag], tmp_path / 'out', {'rgb': RGB})
    frame = layout.read_ids(tmp_path / 'out' / 'train_all.txt')[10]
    assert layout.read_picture(tmp_path / 'out', frame, 'rgb')[HEIGHT // 2, WIDTH // 2].mean() > 5


def test_gaps_in_the_sound_cost_the_frames_around_them(record, tmp_path):
    bag = record(tmp_path / 'drive', drop=range(60, 63))
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert (report.gaps, report.lost_s) == (1, round(3 * 1024 / 44100, 6))
    for frame in layout.read_ids(tmp_path / 'out' / 'train_all.txt'):
        middle = (frame.stamp_ns - START_NS) * 1e-9
        assert middle + 0.5 <= 60 * 1024 / 44100 + 1e-4 or middle - 0.5 >= 63 * 1024 / 44100 - 1e-4


@pytest.mark.parametrize('rate_hz', [48000, 32000])
def test_sound_of_another_rate_makes_no_drive(record, tmp_path, rate_hz):
    bag = record(tmp_path / 'drive', rate_hz=rate_hz)
    words = f'/avdet/audio: expected 44100 samples a second as the rig says, found about {rate_hz}'
    with pytest.raises(AvdetError, match=words):
        convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert not (tmp_path / 'out' / 'drive').exists()


def test_a_rate_that_changes_in_the_drive_ends_it_there(record, tmp_path):
    right = [START_NS + round(i * 1024e9 / 44100) for i in range(43 * 4)]
    wrong = [right[-1] + round((i + 1) * 1024e9 / 48000) for i in range(47 * 5)]
    samples = np.random.default_rng(1).normal(size=(len(right + wrong) * 1024, 8)) * 1000
    bag = record(tmp_path / 'drive', samples=samples.astype(np.int16), stamps_ns=right + wrong)
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert 'found about 48000' in report.partial
    ids = layout.read_ids(tmp_path / 'out' / 'train_all.txt')
    assert ids
    assert ids[-1].stamp_ns < right[-1]


def test_counts_of_another_camera_reach_the_teachers_with_contrast(record, tmp_path):
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
    # Moved to where it is seen, with a quarter of the contrast that the right scale gives.
    counts = layout.read_picture(tmp_path / 'raw', frame, 'thermal')
    assert counts.max() - np.median(counts) == 250


def test_thermal_pictures_in_which_nothing_is_seen_are_errors(record, tmp_path):
    bag = record(tmp_path / 'drive', thermal=True, depth=True)  # of one colour
    convert([bag], tmp_path / 'out', {'rgb': RGB, 'thermal': THERMAL, 'depth': DEPTH})
    findings = [f for f in check(tmp_path / 'out').findings if 'contrast' in f.what]
    assert findings
    assert {finding.level for finding in findings} == {'error'}


def test_drives_are_split_by_bag(record, tmp_path):
    bags = [record(tmp_path / f'drive_{index}') for index in range(3)]
    reports = convert(bags, tmp_path / 'out', {'rgb': RGB}, rate_hz=2.0)
    assert sorted(report.split for report in reports) == ['test', 'train', 'val']
    for report in reports:
        ids = layout.read_ids(tmp_path / 'out' / f'{report.split}_all.txt')
        assert {frame.drive for frame in ids} == {report.drive}
        assert len(ids) == report.frames == 5
    facts = json.loads((tmp_path / 'out' / 'dataset.json').read_text())
    assert [fact['drive'] for fact in facts] == ['drive_0', 'drive_1', 'drive_2']


def test_no_drive_is_in_two_splits():
    for count in range(1, 30):
        splits = split_drives([f'drive_{index}' for index in range(count)])
        assert len(splits) == count
        assert list(splits.values()).count('train') >= max(1, count // 2 - 1)


def test_bags_that_cannot_be_used_are_named(record, write_sound, tmp_path):
    write_sound(tmp_path / 'blind')
    record(tmp_path / 'unstamped', picture_stamps=False)
    record(tmp_path / 'apart', shift_ns=-20_000_000_000)
    record(tmp_path / 'small', info=False)
    record(tmp_path / 'soundless', topic='/other/sound')
    for name, words in {
        'blind': rf'blind: {RGB}: expected messages.*found none',
        'unstamped': rf'unstamped: {RGB}: expected stamps',
        'apart': rf'apart: {RGB} and /avdet/audio: expected stamps of one clock.*20\.',
        'small': rf'small: {RGB}: expected pictures of 1920 x 650 as the rig file.*192 x 65',
        'soundless': r'soundless: /avdet/audio: expected.*found none',
    }.items():
        with pytest.raises(AvdetError, match=words):
            convert([tmp_path / name], tmp_path / f'{name}_out', {'rgb': RGB})
    with pytest.raises(AvdetError, match='new or empty'):
        convert([tmp_path / 'small'], tmp_path, {'rgb': RGB})
    with pytest.raises(AvdetError, match='twice'):
        convert([tmp_path / 'small', tmp_path / 'x' / 'small'], tmp_path / 'y', {'rgb': RGB})


def test_frames_are_chosen_in_spite_of_a_cameras_jitter():
    rng = np.random.default_rng(4)
    jitter = rng.uniform(-400_000, 400_000, 50).round().astype(int)
    stamps = [10**9 + 100_000_000 * index + int(late) for index, late in enumerate(jitter)]
    stamps[0], stamps[1] = 10**9 + 400_000, 10**9 + 100_000_000 - 400_000
    assert choose(stamps, 10.0) == stamps
    assert choose(stamps, 5.0) == stamps[::2]
    assert len(choose([10**9 + 33_333_333 * index for index in range(90)], 10.0)) == 30


@pytest.mark.parametrize('kind', ['short', 'unstamped', 'encoding', 'size', 'damaged'])
def test_one_bad_picture_is_one_frame_less(record, tmp_path, kind):
    def spoil(image):
        if kind == 'short':
            image.data = image.data[:-10]
        if kind == 'unstamped':
            image.header.stamp.sec = image.header.stamp.nanosec = 0
        if kind == 'encoding':
            image.encoding = 'h264'
        if kind == 'size':
            image.width, image.step = image.width // 2, image.step // 2
            image.data = image.data[: len(image.data) // 2]
        data = serialize(image)
        return data[:40] if kind == 'damaged' else data

    bag = record(tmp_path / 'drive', spoil={15: spoil})
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert report.frames == 20
    assert len(report.bad) == 1
    assert f'{RGB}' in report.bad[0]
    ids = layout.read_ids(tmp_path / 'out' / 'train_all.txt')
    assert len(ids) == 20
    assert {frame.stamp_ns for frame in ids} == {
        START_NS + index * 100_000_000 for index in range(5, 26) if index != 15
    }
    clips = tmp_path / 'out' / 'drive' / 'audio'
    assert len(list(clips.iterdir())) == 8 * 20


def test_a_camera_of_which_most_pictures_are_bad_is_refused_and_leaves_nothing(record, tmp_path):
    def spoil(image):
        image.encoding = 'h264'
        return serialize(image)

    bag = record(tmp_path / 'drive', spoil=dict.fromkeys(range(4, 30), spoil))
    with pytest.raises(AvdetError, match="found 'h264'"):
        convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert not (tmp_path / 'out').exists()


def test_a_bag_that_cannot_be_used_does_not_keep_the_others_nor_the_next_run(
    record, write_sound, tmp_path
):
    bags = [tmp_path / name for name in ('a', 'blind', 'c')]
    record(bags[0])
    write_sound(bags[1])
    record(bags[2])
    out, failed = tmp_path / 'out', []
    with pytest.raises(AvdetError, match=r'1 of 3 bags .*blind.*the other 2 are in'):
        convert(bags, out, {'rgb': RGB}, on_failure=lambda path, error: failed.append(path))
    assert failed == [bags[1]]
    assert (out / 'a' / layout.DONE).exists()
    assert (out / 'c' / layout.DONE).exists()
    assert not list(out.rglob('*.part'))
    kept = (out / 'a' / layout.DONE).stat().st_mtime_ns
    (out / 'unfinished.part').mkdir()  # as a power cut leaves it
    bags[1].rename(tmp_path / 'gone')
    record(bags[1])
    reports = convert(bags, out, {'rgb': RGB})
    assert sorted(report.drive for report in reports) == ['a', 'blind', 'c']
    assert (out / 'a' / layout.DONE).stat().st_mtime_ns == kept
    listed = [layout.read_ids(out / f'{split}_all.txt') for split in ('train', 'val', 'test')]
    assert sorted(len(ids) for ids in listed) == [21, 21, 21]
    with pytest.raises(AvdetError, match='with the same options'):
        convert(bags, out, {'rgb': RGB}, rate_hz=5.0)


def test_a_wrong_stamp_and_a_number_that_is_none_cost_nothing_but_a_note(
    record, waveform, tmp_path
):
    samples = waveform.astype(np.float32) / np.float32(32768)
    samples[66150, 2] = np.nan
    samples[66150, 3] = np.inf
    bag = record(tmp_path / 'drive', samples=samples)
    (report,) = convert([bag], tmp_path / 'out', {'rgb': RGB})
    assert report.frames == 21
    assert report.bad == ['/avdet/audio: 2 samples that are not numbers']
