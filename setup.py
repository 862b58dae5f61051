"""The package as colcon and pip see it; versions to install stand in tools/requirements."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = 'avdet_ros'
SHARED = ('launch', 'config', 'models')
RUNTIME = [
    'apsw',
    'faster-coco-eval',
    'imageio-ffmpeg',
    'jinja2',
    'matplotlib',
    'mcap',
    'numba',
    'numpy',
    'onnx',
    'opencv-python-headless',
    'psutil',
    'pyroomacoustics',
    'pyyaml',
    'rich',
    'rosbags',
    'scipy',
    'sounddevice',
    'soundfile',
    'soxr',
    'trackeval; python_version < "3.12"',  # tools/requirements/python312.txt
    'typer',
    'zstandard',
]
EXTRAS = {
    'cpu': ['onnxruntime'],
    'gpu': ['onnxruntime-gpu[cuda,cudnn]'],
    'train': [
        'effdet',
        'lightning',
        'onnxscript',
        'optuna',
        'safetensors',
        'tensorboard',
        'timm',
        'torch',
        'torchvision',
    ],
    'view': ['rerun-sdk'],
    'test': [
        'codespell',
        'hypothesis',
        'librosa',
        'mypy',
        'pytest',
        'pytest-cov',
        'pytest-rerunfailures',
        'pytest-timeout',
        'pytest-xdist',
        'ruff',
        'trackers; python_version < "3.12"',  # needs numpy 2
        'types-pyyaml',
    ],
}


def shared_files():
    """Every file of the shared folders, by the folder it is installed in."""
    folders = [(f'share/{PACKAGE}', ['package.xml'])]
    for name in SHARED:
        for folder in sorted({path.parent for path in Path(name).rglob('*')}):
            files = sorted(str(path) for path in folder.iterdir() if path.is_file())
            if files and '__pycache__' not in folder.parts:
                folders.append((f'share/{PACKAGE}/{folder.as_posix()}', files))
    return folders


setup(
    name=PACKAGE,
    version='0.1.0',
    description='Hears vehicles with eight microphones and places them in the camera image',
    long_description=Path('README.md').read_text() if Path('README.md').exists() else '',
    long_description_content_type='text/markdown',
    maintainer='The avdet_ros developers',
    maintainer_email='avdet-ros@example.com',
    license='Apache-2.0',
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    package_data={PACKAGE: ['py.typed', 'evaluation/reports/*.j2']},
    data_files=[
        ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}']),
        *shared_files(),
    ],
    python_requires='>=3.11',
    install_requires=['setuptools', *RUNTIME],
    extras_require=EXTRAS,
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'avdet = avdet_ros.cli.main:main',
            'camera = avdet_ros.nodes.main:camera',
            'capture = avdet_ros.nodes.main:capture',
            'composed = avdet_ros.nodes.main:composed',
            'detector = avdet_ros.nodes.main:detector',
            'tracker = avdet_ros.nodes.main:tracker',
            'overlay = avdet_ros.nodes.main:overlay',
            'recorder = avdet_ros.nodes.main:recorder',
            'train = avdet_ros.cli.train_node:main',
        ],
    },
)
