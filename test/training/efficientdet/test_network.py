import pytest
import torch

from avdet_ros.errors import AvdetError
from avdet_ros.training.efficientdet.anchors import anchor_detection_loss, encode_boxes
from avdet_ros.training.efficientdet.network import EfficientDetector, Prediction, load_weights

NAME = 'tf_efficientdet_lite0'


@pytest.fixture(scope='module')
def detector():
    torch.manual_seed(0)
    return EfficientDetector(NAME, channels=1, image_size=(128, 256)).eval()


def test_detector_outputs_match_anchors_and_pyramid_sizes(detector):
    with torch.no_grad():
        prediction = detector(torch.rand(2, 1, 128, 256))
    anchors = len(detector.anchors)
    assert prediction.logits.shape == (2, anchors)
    assert prediction.offsets.shape == (2, anchors, 4)
    assert [tuple(level.shape[-2:]) for level in prediction.pyramid] == [
        (16, 32),
        (8, 16),
        (4, 8),
        (2, 4),
        (1, 2),
    ]


def test_detector_has_nine_anchors_per_pyramid_cell():
    detector = EfficientDetector(NAME, channels=3, image_size=(128, 128))
    assert len(detector.anchors) == 9 * sum((128 // 2**level) ** 2 for level in range(3, 8))


def test_detector_boxes_invert_the_encoding(detector):
    wanted = torch.tensor([[30.0, 20, 90, 80], [150, 40, 200, 100]])
    logits = torch.full((1, len(detector.anchors)), -9.0)
    offsets = torch.zeros(1, len(detector.anchors), 4)
    for place, (index, box) in enumerate(zip((700, 2000), wanted, strict=True)):
        logits[0, index] = 5.0 - place
        offsets[0, index] = encode_boxes(detector.anchors[index][None], box[None])[0]
    ((boxes, scores),) = detector.boxes(Prediction(logits, offsets, []))
    assert torch.allclose(boxes, wanted, atol=1e-3)
    assert scores[0] > scores[1] > 0.98


@pytest.mark.slow
def test_detector_learns_a_bright_rectangle():
    torch.manual_seed(1)
    detector = EfficientDetector(NAME, channels=1, image_size=(128, 128)).train()
    optimiser = torch.optim.AdamW(detector.parameters(), lr=2e-3)
    image = torch.zeros(2, 1, 128, 128)
    image[0, 0, 40:80, 30:90] = 1.0
    boxes = [torch.tensor([[30.0, 40, 90, 80]]), torch.zeros(0, 4)]
    losses = []
    for _ in range(25):
        prediction = detector(image)
        loss = anchor_detection_loss(
            prediction.logits, prediction.offsets, detector.anchors, boxes
        )
        total = loss['class'] + 10 * loss['box']
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(total.item())
    assert losses[-1] < 0.5 * losses[0]


def test_checkpoint_with_another_stem_loads_and_reports_the_stem(detector, tmp_path):
    colour = EfficientDetector(NAME, channels=3, image_size=(128, 128))
    torch.save(colour.network.state_dict(), tmp_path / 'colour.pth')
    assert load_weights(detector, tmp_path / 'colour.pth') == ['backbone.conv_stem.weight']
    assert torch.equal(detector.network.backbone.bn1.weight, colour.network.backbone.bn1.weight)


def test_unusable_checkpoints_are_rejected(detector, tmp_path):
    state = detector.network.state_dict()
    state['fpn.resample.3.conv.conv.weight'] = torch.zeros(1, 2, 3)
    torch.save(state, tmp_path / 'other.pth')
    with pytest.raises(AvdetError, match=r'fpn\.resample'):
        load_weights(detector, tmp_path / 'other.pth')
    with pytest.raises(AvdetError, match='not downloaded'):
        load_weights(detector, tmp_path / 'none.pth')
    (tmp_path / 'text.pth').write_text('hello')
    with pytest.raises(AvdetError, match='state dict'):
        load_weights(detector, tmp_path / 'text.pth')


def test_unknown_config_and_invalid_image_size_are_rejected():
    with pytest.raises(AvdetError, match='efficientdet_d99'):
        EfficientDetector('efficientdet_d99', 1, (128, 128))
    with pytest.raises(AvdetError, match='multiples of 128'):
        EfficientDetector(NAME, 1, (128, 200))
