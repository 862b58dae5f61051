from __future__ import annotations

from pathlib import Path
import subprocess
import sys

import pytest

from avdet_ros.errors import AvdetError
from avdet_ros.registry import Registry

FOLDER = {
    '__init__.py': '',
    'registry.py': 'from avdet_ros.registry import Registry\n'
    "SHAPES = Registry('shape', 'shapes')\n",
    'circle.py': 'from shapes.registry import SHAPES\n\n\n'
    "@SHAPES.register\nclass Circle:\n    name = 'circle'\n",
}
SQUARE = "class Square:\n    name = 'square'\n"
ASK = "from shapes.registry import SHAPES\nprint(','.join(SHAPES.names()))\n"


def write_package(root: Path, entry_point: str = 'squares:Square') -> None:
    """Write a folder of one class, and an outside package that offers another one."""
    for name, text in FOLDER.items():
        path = root / 'shapes' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / 'squares.py').write_text(SQUARE)
    about = root / 'squares-1.0.dist-info'
    about.mkdir(exist_ok=True)
    (about / 'METADATA').write_text('Metadata-Version: 2.1\nName: squares\nVersion: 1.0\n')
    (about / 'entry_points.txt').write_text(f'[shapes]\nsquare = {entry_point}\n')


def names_in(root: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-c', f'import sys; sys.path.insert(0, {str(root)!r})\n{ASK}'],
        capture_output=True,
        text=True,
        check=True,
    )


def test_classes_of_the_folder_and_other_packages_are_found(tmp_path):
    write_package(tmp_path)
    assert names_in(tmp_path).stdout == 'circle,square\n'


def test_fault_of_another_package_is_a_warning(tmp_path):
    write_package(tmp_path, 'squares:Triangle')
    done = names_in(tmp_path)
    assert done.stdout == 'circle\n'
    assert 'shape square of another package cannot be used' in done.stderr


def test_duplicate_class_name_is_rejected():
    registry = Registry('shape', 'avdet_ros.messages')

    @registry.register
    class Circle:
        name = 'circle'

    class Round:
        name = 'circle'

    with pytest.raises(AvdetError, match=r'shape circle: expected a unique name, found .*Cir'):
        registry.register(Round)
    registry.register(Circle)


def test_class_without_a_name_is_rejected():
    with pytest.raises(AvdetError, match='expected an attribute name, found None'):
        Registry('shape', 'avdet_ros.messages').register(type('Nameless', (), {}))


def test_unknown_name_error_suggests_the_nearest():
    registry = Registry('shape', 'avdet_ros.messages')
    registry.register(type('Circle', (), {'name': 'circle'}))
    with pytest.raises(AvdetError, match=r"expected one of circle, found 'cirle'; did you mean c"):
        registry.find('cirle')
