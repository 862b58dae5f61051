"""Measure how many small bugs the tests of a room notice: mutation testing with mutmut.

    make mutate ROOM=tracking             every bug that mutmut makes; hours on both cores
    make mutate ROOM=tracking MOST=80     a random sample of 80 bugs, the same each time
    make mutate ROOM=tracking MOST=80 SEED=1   another sample: a fair score after adding tests
    python tools/mutate.py tracking --most 80 --again   unnoticed bugs again, with today's tests

Bugs are put into a copy below out/mutants/ROOM, one at a time, and the tests of the room that
reach the changed function are run. Outcomes are kept there: an interrupted call continues, and
after a change of the code only changed functions are tried again. A bug without a visible effect
is listed in test/equivalent_mutants.yaml with the reason, and left out. A room is a folder of
avdet_ros, or the beginning of a module's name (rig).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
import hashlib
import json
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys

from import_graph import ROOT
from scipy.stats import binomtest
import yaml

FOLDER = ROOT / 'out' / 'mutants'
PAGE = ROOT / 'docs' / 'tests.md'
EQUIVALENT = ROOT / 'test' / 'equivalent_mutants.yaml'
TRY = ROOT / 'tools' / 'mutant_tests.py'
BEGIN, END = '<!-- mutants -->', '<!-- end of mutants -->'
COPIED = (
    *('avdet_ros', 'test', 'tools', 'config', 'models', 'launch', 'resource', 'docs'),
    *('pyproject.toml', 'setup.py', 'setup.cfg', 'package.xml', 'Makefile', 'LICENSE'),
    *('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'),
)
NEED_ROS = ('nodes', 'messages')
SECONDS = 15.0
PRELOADED = (
    'pytest',
    'hypothesis',
    'numpy',
    'scipy.signal',
    'numba',
    'cv2',
    'onnxruntime',
    'yaml',
)
"""Modules that are slow to import, the same for each bug, and start no threads."""

NOTICED = (1, 3, 24, 36, 152, 255, -24)
"""mutmut's exit codes for tests that failed or ran for too long."""

TIMED_OUT = (24, 36, 152, 255, -24)
"""Exit codes for tests that ran for too long, perhaps only because the machine was busy."""

UNNOTICED = (0, 5, 33)
"""Exit codes for tests that passed, and for functions that no test reaches."""

GENERATE = """
import mutmut.__main__ as m
m.copy_src_dir(); m.copy_also_copy_files(); m.setup_source_paths(); m.create_mutants(2)
"""
DIFFS = """
import sys
from mutmut.__main__ import find_mutant, get_diff_for_mutant
for name in sys.argv[1:]:
    print(get_diff_for_mutant(name, path=find_mutant(name).path), end='\\0')
"""


@dataclass(frozen=True)
class Mutant:
    """One bug: mutmut's name, the file, and the exit code of its tests (None: not tried)."""

    name: str
    file: str
    outcome: int | None


def main() -> int:
    """Try the bugs of one room; print the score and the unnoticed bugs."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('room', help='audio, training/losses or rig, for example')
    parser.add_argument('--most', type=int, default=0, help='size of the sample; 0: all bugs')
    parser.add_argument('--seed', type=int, default=0, help='seed of the sample')
    parser.add_argument(
        '--again', action='store_true', help='try again the bugs that passed or timed out'
    )
    parser.add_argument('--jobs', type=int, default=2, help='processes')
    parser.add_argument(
        '--seconds', type=float, default=SECONDS, help='CPU time of the tests per bug; 0: no limit'
    )
    parser.add_argument(
        '--by-name',
        action='store_true',
        help="only the tests named after the bug's module or importing it",
    )
    parser.add_argument(
        '--always', default='', help='with --by-name: also the tests with this part in their names'
    )
    parser.add_argument('--slow', action='store_true', help='include tests marked slow')
    parser.add_argument('--show', type=int, default=40, help='number of unnoticed bugs to print')
    parser.add_argument('--page', action='store_true', help="write the room's row of the page")
    arguments = parser.parse_args()
    room = arguments.room
    if not modules(room):
        sys.exit(f'room: expected a folder of avdet_ros with modules, found {room!r}')
    copy = FOLDER / room.replace('/', '_')
    update_copy(copy, room, arguments.slow)
    run(copy, '-c', GENERATE)
    chosen = sample(mutants(copy), arguments.most, arguments.seed)
    names = [m.name for m in chosen if m.outcome is None]
    if arguments.again:
        names += [m.name for m in chosen if m.outcome in (*UNNOTICED, *TIMED_OUT)]
    print(f'{room}: {len(names)} bugs to try', flush=True)
    if names:
        options = (arguments.jobs, arguments.seconds, arguments.by_name, arguments.always)
        run(copy, '-P', str(TRY), *map(str, options), *names)
    report(copy, arguments)
    return 0


def modules(room: str) -> list[Path]:
    """Return the modules of a room: of a folder, or with names that begin with the room's."""
    folder = ROOT / 'avdet_ros' / room
    if folder.is_dir():
        return python_files(folder)
    return sorted(folder.parent.glob(f'{room}*.py'))


def sample(found: Iterable[Mutant], most: int, seed: int) -> list[Mutant]:
    """Sample bugs by a hash of their names, so that a new bug hardly changes the sample."""

    def place(mutant: Mutant) -> str:
        return hashlib.sha256(f'{seed} {mutant.name}'.encode()).hexdigest()

    return sorted(found, key=place)[: most or None]


def update_copy(copy: Path, room: str, slow: bool) -> None:
    """Update the copy; mutmut detects the changed functions itself."""
    copy.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = ROOT / name, copy / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(source, target)
    left_out = ['timing', *(['ros'] if room not in NEED_ROS else []), *([] if slow else ['slow'])]
    marks = ' and '.join(f'not {mark}' for mark in left_out)
    tests = [f'test/{room}']
    if not (ROOT / 'avdet_ros' / room).is_dir():
        tests = [f'test/{path.name}' for path in sorted((ROOT / 'test').glob(f'test_{room}*.py'))]
    settings = {
        'source_paths': ['avdet_ros'],
        'only_mutate': [str(path.relative_to(ROOT)) for path in modules(room)],
        'also_copy': [name for name in COPIED if name not in ('avdet_ros', 'test')],
        'pytest_add_cli_args': ['-m', marks, '-p', 'no:cacheprovider', '-p', 'no:xdist'],
        'pytest_add_cli_args_test_selection': tests,
        'timeout_multiplier': 5.0,
        # Fixtures are not part of a test's time; with less, a long set-up would count as noticed.
        'timeout_constant': 12.0,
        'process_isolation': 'forkserver',
        # Not the package itself, so that bugs in code that runs during imports are noticed too.
        'forkserver_warmup': 'import',
        'preload_modules_file': 'preloaded.txt',
        'track_dependencies': False,
        'use_git_change_detection': False,
    }
    lines = ''.join(f'{key} = {json.dumps(value)}\n' for key, value in settings.items())
    with (copy / 'pyproject.toml').open('a', encoding='utf-8') as file:
        file.write(f'\n[tool.mutmut]\n{lines}')
    (copy / 'preloaded.txt').write_text('\n'.join(PRELOADED), encoding='utf-8')
    # The statistics of which test reaches which function are valid only for unchanged files.
    seen = hashlib.sha256()
    for path in (*modules(room), *(file for name in tests for file in python_files(ROOT / name))):
        seen.update(path.read_bytes())
    mark = copy / 'seen'
    if not mark.is_file() or mark.read_text() != seen.hexdigest():
        (copy / 'mutants' / 'mutmut-stats.json').unlink(missing_ok=True)
    mark.write_text(seen.hexdigest())


def python_files(path: Path) -> list[Path]:
    """Return a module itself, or all modules below a folder."""
    return sorted(path.rglob('*.py')) if path.is_dir() else [path]


def run(copy: Path, *words: str) -> None:
    """Run Python in the copy."""
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'HYPOTHESIS_MAX_EXAMPLES': '20'}
    # Commands that tests start have the bugs too. Changed modules have megabytes of code, which
    # should be compiled once, not in each process.
    environment['PYTHONPATH'] = str(copy / 'mutants')
    environment.pop('PYTHONDONTWRITEBYTECODE', None)
    if subprocess.run([sys.executable, *words], cwd=copy, env=environment).returncode:
        sys.exit('mutmut has ended with an error')


def mutants(copy: Path) -> Iterator[Mutant]:
    """Yield all bugs that mutmut made for the room, with their outcomes."""
    for path in sorted((copy / 'mutants').rglob('*.py.meta')):
        file = str(path.relative_to(copy / 'mutants')).removesuffix('.meta')
        outcomes = json.loads(path.read_text(encoding='utf-8'))['exit_code_by_key']
        for name, outcome in outcomes.items():
            yield Mutant(name, file, outcome)


def diffs(copy: Path, names: list[str]) -> dict[str, str]:
    """Return the changed lines of some bugs, `-` before and `+` after."""
    if not names:
        return {}
    found = subprocess.run(
        [sys.executable, '-c', DIFFS, *names], cwd=copy, capture_output=True, text=True, check=True
    ).stdout.split('\0')
    changed = (re.findall(r'^[-+](?![-+]).*', text, re.MULTILINE) for text in found)
    return {
        name: '\n'.join(re.sub(r'^([-+])\s+', r'\1 ', line) for line in lines)
        for name, lines in zip(names, changed, strict=False)
    }


def excuse(mutant: Mutant, change: str, entries: list[dict[str, str]]) -> bool:
    """Return whether a bug is listed as unnoticeable, by its function, pattern or change."""
    for entry in entries:
        if 'function' in entry and mutant.name.startswith(entry['function']):
            return True
        if 'pattern' in entry and re.fullmatch(entry['pattern'], change.strip()):
            return True
        if entry.get('file') == mutant.file and entry['change'].strip() == change.strip():
            return True
    return False


def report(copy: Path, arguments: argparse.Namespace) -> None:
    """Print the score of the sample by module, and the unnoticed bugs."""
    room = arguments.room
    chosen = sample(mutants(copy), arguments.most, arguments.seed)
    tried = [m for m in chosen if m.outcome in NOTICED or m.outcome in UNNOTICED]
    passed = [mutant for mutant in tried if mutant.outcome in UNNOTICED]
    changes = diffs(copy, [mutant.name for mutant in passed])
    known = yaml.safe_load(EQUIVALENT.read_text(encoding='utf-8')) or []
    excused = {m.name for m in tried if excuse(m, changes.get(m.name, ''), known)}
    passed = [mutant for mutant in passed if mutant.name not in excused]
    tried = [mutant for mutant in tried if mutant.name not in excused]
    for file in sorted({mutant.file for mutant in tried}):
        count = sum(mutant.file == file for mutant in tried)
        noticed = count - sum(mutant.file == file for mutant in passed)
        print(f'{file:50} {noticed:5} of {count:5}  {noticed / count:4.0%}')
    late = sum(mutant.outcome in TIMED_OUT for mutant in tried)
    print(f'{late} of the noticed bugs made the tests time out')
    for mutant in sorted(passed[: arguments.show], key=lambda mutant: mutant.name):
        print(f'\n{mutant.name} ({"no test" if mutant.outcome != 0 else "passed"})')
        print(changes.get(mutant.name, ''))
    if not tried:
        return
    everything = sum(1 for _ in mutants(copy))
    share = share_noticed(len(tried) - len(passed), len(tried), everything - len(excused))
    print(f'\n{room}: {share} of {len(tried)} noticed, of {everything} in all')
    if arguments.page:
        command = command_of(arguments)
        write_row(room, share, f'{len(tried)} of {everything}', len(excused), command)


def command_of(arguments: argparse.Namespace) -> str:
    """Return the command that gives this score."""
    args = arguments
    if not (args.by_name or args.slow) and args.seconds == SECONDS:
        sample = f' MOST={args.most}' if args.most else ''
        return f'make mutate ROOM={args.room}{sample}' + (
            f' SEED={args.seed}' if args.seed else ''
        )
    words = ['python tools/mutate.py', args.room]
    words += [f'--most {args.most}'] if args.most else []
    words += [f'--seed {args.seed}'] if args.seed else []
    words += [f'--seconds {args.seconds:g}'] if args.seconds != SECONDS else []
    words += ['--slow'] if args.slow else []
    words += ['--by-name'] if args.by_name else []
    return ' '.join([*words, f'--always {args.always}'] if args.always else words)


def share_noticed(noticed: int, tried: int, everything: int) -> str:
    """Format the score; for a sample, with the 95 % interval for the whole room (Wilson)."""
    if tried == everything:
        return f'{noticed / tried:.0%}'
    interval = binomtest(noticed, tried).proportion_ci(method='wilson')
    return f'{noticed / tried:.0%} ({interval.low:.0%} to {interval.high:.0%})'


def write_row(room: str, share: str, tried: str, excused: int, command: str) -> None:
    """Write a room's row into the page; rooms are sorted by name."""
    text = PAGE.read_text(encoding='utf-8')
    before, rest = text.split(BEGIN)
    table, after = rest.split(END)
    rows = {line.split('|')[1].strip(): line for line in table.splitlines() if '%' in line}
    rows[room] = f'| {room} | {share} | {tried} | {excused} | {date.today()} | `{command}` |'
    head = [
        '| room | noticed | tried | equivalent | on | command |',
        '| --- | --: | --: | --: | --- | --- |',
    ]
    table = '\n'.join([*head, *(rows[name] for name in sorted(rows))])
    PAGE.write_text(f'{before}{BEGIN}\n\n{table}\n\n{END}{after}', encoding='utf-8')


if __name__ == '__main__':
    raise SystemExit(main())
