import json

import cv2
import numpy as np
import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.data.labelled_frames import FrameSet, LabelledFrame, collate, read_coco

COCO = {
    'categories': [{'id': 3, 'name': 'Car'}, {'id': 1, 'name': 'person'}],
    'images': [{'id': 7, 'file_name': 'a.png'}, {'id': 8, 'file_name': 'b.png'}],
    'annotations': [
        {'image_id': 7, 'category_id': 3, 'bbox': [10, 20, 30, 40]},
        {'image_id': 7, 'category_id': 1, 'bbox': [0, 0, 5, 5]},
        {'image_id': 7, 'category_id': 3, 'bbox': [0, 0, 9, 9], 'iscrowd': 1},
    ],
}


def write(path, tree):
    path.write_text(json.dumps(tree))
    return path


def test_read_coco_keeps_vehicles_and_empty_pictures(tmp_path):
    frames = read_coco(write(tmp_path / 'coco.json', COCO), tmp_path)
    assert [frame.path.name for frame in frames] == ['a.png', 'b.png']
    np.testing.assert_array_equal(frames[0].boxes_px, [[10, 20, 40, 60]])
    assert frames[1].boxes_px.shape == (0, 4)


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'categories': [{'id': 1, 'name': 'tree'}]}, 'found none'),
        ({'images': [{'id': 7, 'file_name': '../../etc/passwd'}]}, 'inside'),
        ({'annotations': [{'image_id': 99, 'category_id': 3, 'bbox': [1, 2, 3, 4]}]}, 'COCO'),
        ({'annotations': [{'image_id': 7, 'category_id': 3, 'bbox': ['x']}]}, 'COCO'),
        ({'images': None}, 'COCO'),
    ],
)
def test_invalid_annotations_are_rejected(tmp_path, change, words):
    tree = {**COCO, **change}
    if change.get('images'):
        tree['annotations'] = []
    with pytest.raises(AvdetError, match=words):
        read_coco(write(tmp_path / 'coco.json', tree), tmp_path)


def test_flipping_a_frame_also_flips_its_boxes(tmp_path):
    picture = np.zeros((65, 192, 3), np.uint8)
    picture[20:40, 40:80] = 255
    cv2.imwrite(str(tmp_path / 'a.png'), picture)
    frames = [LabelledFrame(tmp_path / 'a.png', np.array([[40, 20, 80, 40]], np.float32))]
    for flip in (False, True):
        data = FrameSet(frames, 'rgb', (128, 128), flip=flip)
        for data.epoch in range(4):
            pixels, boxes = data[0]
            bright = np.argwhere(pixels.numpy()[0] > 1.5)
            found = [*bright.min(axis=0)[::-1], *(bright.max(axis=0)[::-1] + 1)]
            np.testing.assert_allclose(boxes[0], found, atol=1.5)
    pictures, boxes = collate([data[0], data[0]])
    assert pictures.shape == (2, 3, 128, 128)
    assert len(boxes) == 2


def test_uncropped_picture_of_another_camera_keeps_its_aspect_ratio(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.full((100, 50, 3), 255, np.uint8))
    frames = [LabelledFrame(tmp_path / 'a.png', np.array([[0, 0, 50, 100]], np.float32))]
    _, boxes = FrameSet(frames, 'rgb', (128, 256), crop=False)[0]
    np.testing.assert_allclose(boxes, [[0, 0, 64, 128]])


def test_unreadable_picture_error_names_the_file(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'no picture')
    frames = [LabelledFrame(tmp_path / 'a.png', np.zeros((0, 4), np.float32))]
    with pytest.raises(AvdetError, match=r'a\.png'):
        FrameSet(frames, 'rgb', (128, 128))[0]


def test_unreadable_picture_is_replaced_by_the_next_one(tmp_path, log_lines):
    for index in range(21):
        cv2.imwrite(str(tmp_path / f'{index}.png'), np.full((65, 192, 3), 10 * index, np.uint8))
    (tmp_path / '4.png').write_bytes(b'no picture')
    none = np.zeros((0, 4), np.float32)
    frames = [LabelledFrame(tmp_path / f'{index}.png', none) for index in range(21)]
    data = FrameSet(frames, 'rgb', (128, 128))
    for _ in range(2):
        assert torch.equal(data[4][0], data[5][0])
    assert len(log_lines) == 1
    assert '4.png' in log_lines[0]
    (tmp_path / '7.png').unlink()
    with pytest.raises(AvdetError, match=r'at most 5% of 21 frames .*7\.png'):
        data[7]
