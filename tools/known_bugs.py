"""Put known bugs into a copy of the package, one at a time, and check that a test notices each.

    python tools/known_bugs.py              every bug of test/known_bugs.yaml
    python tools/known_bugs.py kalman clock those whose file, bug or test contains a word
    python tools/known_bugs.py --page       write the table of docs/tests.md and run nothing

A test compares the table with the list. A bug is noticed if its test passes without the bug and
fails with it.
"""

from __future__ import annotations

import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile

from import_graph import ROOT
import yaml

LIST = ROOT / 'test' / 'known_bugs.yaml'
PAGE = ROOT / 'docs' / 'tests.md'
BEGIN, END = '<!-- known bugs -->', '<!-- end of known bugs -->'
AT_THE_TOP = {'.git', '.venv', '.ros', 'out', 'runs'}
ANYWHERE = shutil.ignore_patterns('.*_cache', '__pycache__', '*.egg-info')


def left_out(folder: str, names: list[str]) -> set[str]:
    """Return names not to copy; only at the top, since rooms may have names of result folders."""
    top = AT_THE_TOP.intersection(names) if Path(folder) == ROOT else set()
    return top | set(ANYWHERE(folder, names))


def known_bugs() -> list[dict[str, str]]:
    """Read the list: `file`, `old` and `new` text, `bug` in words, `test` that notices it."""
    return yaml.safe_load(LIST.read_text(encoding='utf-8'))


def table(bugs: list[dict[str, str]]) -> str:
    """Make the table of the page from the list."""
    rows = [f'| {b["bug"]} | `{b["file"]}` | `{b["test"].split("::")[-1]}` |' for b in bugs]
    return '\n'.join(['| bug | file | noticed by |', '| --- | --- | --- |', *rows])


def page() -> str:
    """Return docs/tests.md with the current table."""
    text = PAGE.read_text(encoding='utf-8')
    before, rest = text.split(BEGIN)
    return f'{before}{BEGIN}\n\n{table(known_bugs())}\n\n{END}{rest.split(END)[1]}'


def passes(root: Path, test: str) -> bool:
    """Return whether a test passes in a copy of the package."""
    command = [sys.executable, '-m', 'pytest', '-q', '-x', '-p', 'no:cacheprovider', test]
    environment = os.environ | {'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1'}
    found = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if found.returncode not in (0, 1):
        raise SystemExit(f'{test}: expected a test that runs, found:\n{found.stdout[-2000:]}')
    return found.returncode == 0


def notice(root: Path, bug: dict[str, str]) -> bool:
    """Return whether a bug's test passes without the bug and fails with it."""
    path = root / bug['file']
    text = path.read_text(encoding='utf-8')
    if not passes(root, bug['test']):
        raise SystemExit(f'{bug["test"]}: fails without the bug')
    path.write_text(text.replace(bug['old'], bug['new'], 1), encoding='utf-8')
    try:
        return not passes(root, bug['test'])
    finally:
        path.write_text(text, encoding='utf-8')


def main(words: list[str]) -> int:
    """Run the selected bugs; the exit status is 1 if a bug is not noticed."""
    if words == ['--page']:
        PAGE.write_text(page(), encoding='utf-8')
        return 0
    bugs = [b for b in known_bugs() if not words or any(w in str(b) for w in words)]
    missed = 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(shutil.copytree(ROOT, Path(folder) / 'package', ignore=left_out))
        for number, bug in enumerate(bugs, 1):
            noticed = notice(root, bug)
            missed += not noticed
            word = 'noticed' if noticed else 'NOT NOTICED'
            print(f'{number} of {len(bugs)}: {word}: {bug["bug"]} ({bug["file"]})', flush=True)
    return min(missed, 1)


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))
