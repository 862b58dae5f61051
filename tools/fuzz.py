"""Coverage-guided fuzzing of all readers of untrusted input.

    python -m pip install -r tools/requirements/fuzz.txt
    python tools/fuzz.py rig --seconds 60
    python tools/fuzz.py all --seconds 60

Each target (tools/fuzz_targets.py) may accept its input or reject it with `AvdetError`; anything
else, ten seconds for one input, or 3 GB of memory is a finding. Findings are written below
out/fuzz/TARGET/. Once fixed, a finding goes into test/tools/fuzz_findings/TARGET/, where every
test run tries it again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import subprocess
import sys

ROOT = Path(__file__).resolve().parent.parent
SLOWEST_S = 10
MOST_MB = 3072
LONGEST_BYTES = 1 << 16
INSTRUMENTED = ['avdet_ros', 'yaml', 'rosbags', 'mcap']


def main() -> int:
    """Fuzz one target in this process, or all targets, each in its own process."""
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('target', help='name of a target, or all')
    parser.add_argument('--seconds', type=int, default=60, help='duration per target')
    arguments = parser.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / 'tools')]
    if arguments.target != 'all':
        return _fuzz(arguments.target, arguments.seconds)
    import fuzz_targets

    failed = []
    for name in fuzz_targets.TARGETS:
        command = [sys.executable, __file__, name, '--seconds', str(arguments.seconds)]
        if subprocess.run(command).returncode:
            failed.append(name)
    print(f'findings in: {", ".join(failed)}' if failed else 'no findings')
    return bool(failed)


def _fuzz(name: str, seconds: int) -> int:
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        import fuzz_targets
    if name not in fuzz_targets.TARGETS:
        sys.exit(f'target: expected one of {", ".join(fuzz_targets.TARGETS)}, found {name!r}')
    folder = ROOT / 'out' / 'fuzz' / name
    corpus = folder / 'corpus'
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(fuzz_targets.seeds(name)):
        (corpus / f'seed{number}').write_bytes(seed)
    flags = [
        f'-max_total_time={seconds}',
        f'-timeout={SLOWEST_S}',
        f'-rss_limit_mb={MOST_MB}',
        f'-max_len={LONGEST_BYTES}',
        f'-artifact_prefix={folder}/',
        '-print_final_stats=1',
        '-verbosity=0',
    ]
    atheris.Setup([sys.argv[0], *flags, str(corpus)], lambda data: fuzz_targets.run(name, data))
    atheris.Fuzz()  # ends the process, with status 0 if there was no finding
    return 0


if __name__ == '__main__':
    sys.exit(main())
