"""The examples of CONTRIBUTING.md, as files of an outside package."""

from __future__ import annotations

from pathlib import Path
import re

PAGE = Path(__file__).resolve().parents[2] / 'CONTRIBUTING.md'

OFFERS = {
    'avdet_ros.sources': {'noise': 'noise_source:NoiseSource'},
    'avdet_ros.tracking': {'forgetful': 'forgetful:ForgetfulTracker'},
    'avdet_ros.training.networks': {'loudness': 'loudness:Loudness'},
    'avdet_ros.training.teachers': {'constant': 'constant:Constant'},
    'avdet_ros.training.losses': {'cosine': 'cosine:Cosine'},
    'avdet_ros.training.pretexts': {'level': 'level:Level'},
}
"""Entry points of the package: name and object by group."""


def examples() -> dict[str, str]:
    """Return code by file name, for each block of the page that begins with a file name."""
    blocks = re.findall(
        r'```python\n# (\w+\.py)\n(.*?)```', PAGE.read_text(encoding='utf-8'), re.DOTALL
    )
    return dict(blocks)


def install(root: Path) -> Path:
    """Write the package as an installer would; afterwards `root` must be on the path."""
    for name, code in examples().items():
        (root / name).write_text(code, encoding='utf-8')
    about = root / 'outside-1.0.dist-info'
    about.mkdir()
    (about / 'METADATA').write_text('Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n')
    lines = []
    for group, offers in OFFERS.items():
        lines += [f'[{group}]', *(f'{name} = {place}' for name, place in offers.items())]
    (about / 'entry_points.txt').write_text('\n'.join(lines) + '\n')
    return root
