"""Pretrained teachers, with random weights in the layout of effdet's published files."""

from __future__ import annotations

import hashlib
from http.server import BaseHTTPRequestHandler, HTTPServer
import shutil
import threading

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from avdet_ros.cli.main import app
from avdet_ros.dataset.labels import read_labels
from avdet_ros.errors import AvdetError
from avdet_ros.training.teachers.efficientdet import EfficientDetTeacher
from avdet_ros.training.teachers.labelling import open_teachers
from avdet_ros.training.teachers.pretrained import (
    NETWORKS,
    VEHICLES,
    fetch_weights,
    make_teacher,
)

NAME, SIZE = 'tf_efficientdet_d0', (128, 256)


@pytest.fixture(scope='module')
def coco_network():
    """A random effdet network of 90 classes that detects vehicles everywhere."""
    import effdet

    torch.manual_seed(3)
    config = effdet.get_efficientdet_config(NAME)
    config.image_size = SIZE
    network = effdet.EfficientDet(config, pretrained_backbone=False).eval()
    with torch.no_grad():
        bias = network.class_net.predict.conv_pw.bias.view(-1, 90)
        bias[:] = torch.linspace(4, 5, 90)  # other classes score higher
        bias[:, list(VEHICLES.values())] = torch.tensor([-2.0, 0.5, -1.0, -3.0])
    return network


@pytest.fixture(scope='module')
def weights(coco_network, tmp_path_factory):
    path = tmp_path_factory.mktemp('published') / 'tf_efficientdet_d0_34-f153e0cf.pth'
    torch.save(coco_network.state_dict(), path)
    return path


@pytest.fixture(scope='module')
def teachers(weights, tmp_path_factory):
    return make_teacher(NAME, tmp_path_factory.mktemp('teachers'), SIZE, weights)


@pytest.mark.slow
def test_vehicle_logit_is_the_maximum_over_vehicle_classes(coco_network, teachers):
    teacher = EfficientDetTeacher.load(teachers / 'rgb')
    pictures = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        levels, _ = coco_network(pictures)
        prediction = teacher.detector(pictures)
    by_class = [level.permute(0, 2, 3, 1).reshape(2, -1, 90) for level in levels]
    expected = torch.cat(by_class, 1)[..., list(VEHICLES.values())].amax(dim=-1)
    torch.testing.assert_close(prediction.logits, expected, atol=1e-5, rtol=1e-5)
    first = teacher.predict(pictures)[0]
    assert len(first.boxes)
    assert first.scores.max() < 0.9, 'the other 86 classes are ignored'


@pytest.mark.slow
def test_label_command_labels_drives_with_pretrained_weights(drives, weights, tmp_path):
    root = tmp_path / 'own'
    shutil.copytree(drives, root)
    arguments = ['train', 'label', str(root), '--pretrained', NAME, '--weights', str(weights)]
    arguments += ['--size', '128x256', '--split', 'val', '--no-progress']
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (path,) = (root / 'labels').glob('*.npz')
    labels = read_labels(path)
    assert labels.teachers == ('rgb',)
    assert labels.boxes_px[:, 2].max() <= 1920
    assert open_teachers(root / 'teachers' / NAME, ['rgb'])['rgb'].image_size == SIZE


@pytest.mark.slow
def test_mismatched_weights_are_rejected(weights, tmp_path):
    with pytest.raises(AvdetError, match=r'layer .*: expected \(.*\), found'):
        make_teacher('tf_efficientdet_d1', tmp_path, SIZE, weights)
    state = torch.load(weights, weights_only=True)
    state['class_net.predict.conv_pw.bias'] = torch.zeros(9)
    torch.save(state, tmp_path / 'one.pth')
    with pytest.raises(AvdetError, match='expected 90 classes an anchor, found 9 outputs'):
        make_teacher(NAME, tmp_path, SIZE, tmp_path / 'one.pth')


def test_networks_with_another_input_scaling_are_rejected(tmp_path):
    import effdet

    with pytest.raises(AvdetError, match="found 'tf_efficientdet_lite0'"):
        make_teacher('tf_efficientdet_lite0', tmp_path, SIZE)
    for name in NETWORKS:
        config = effdet.get_efficientdet_config(name)
        assert config.num_classes == 90
        assert config.url.startswith('https://')
        assert config.get('mean') is None, 'the default is that of ImageNet'


class Files(BaseHTTPRequestHandler):
    """Serves a whole file, a truncated one and a missing one."""

    content = np.random.default_rng(1).bytes(3 << 20)

    def do_GET(self):
        if 'missing' in self.path:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header('Content-Length', str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: 1 << 20] if 'half' in self.path else self.content)

    def log_message(self, *arguments):
        """Print nothing."""


@pytest.fixture
def server():
    server = HTTPServer(('127.0.0.1', 0), Files)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    thread.join()
    server.server_close()


def test_weights_are_downloaded_once(server, tmp_path, caplog):
    digest = hashlib.sha256(Files.content).hexdigest()
    url = f'{server}/weights-{digest[:8]}.pth'
    path = fetch_weights(url, folder=tmp_path)
    assert path.read_bytes() == Files.content
    path.write_bytes(b'kept')
    caplog.clear()
    assert fetch_weights(url, folder=tmp_path).read_bytes() == b'kept'
    assert f'begins with {digest[:8]} as its name says' in caplog.text


@pytest.mark.parametrize(
    ('name', 'reason'), [('missing', 'HTTP Error 404'), ('half', 'expected 3145728 bytes')]
)
def test_failed_download_reports_where_to_put_the_file(server, tmp_path, name, reason):
    with pytest.raises(AvdetError, match=reason) as caught:
        fetch_weights(f'{server}/{name}.pth', folder=tmp_path)
    place = tmp_path / 'avdet_ros' / f'{name}.pth'
    assert f'put it at {place}, or name it with --weights FILE' in str(caught.value)
    assert not list(tmp_path.rglob('*.p*'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ([], 'expected one of --teachers and --pretrained, found neither'),
        (['--teachers', 'x', '--pretrained', NAME], 'found both'),
        (['--teachers', 'x', '--weights', 'y'], 'expected --pretrained with it'),
        (['--pretrained', NAME, '--modalities', 'depth'], 'expected rgb with --pretrained'),
    ],
)
def test_conflicting_label_options_are_rejected(tmp_path, options, message):
    result = CliRunner().invoke(app, ['train', 'label', str(tmp_path), *options])
    assert message in str(result.exception)


@pytest.mark.parametrize('size', ['640', '640x', '640x1500', '0x128', '640x1536x2', 'axb'])
def test_invalid_image_sizes_are_rejected(size):
    from avdet_ros.cli.train_label import _image_size

    with pytest.raises(AvdetError, match='--size: expected HEIGHTxWIDTH'):
        _image_size(size)
    assert _image_size('640x1536') == (640, 1536)
