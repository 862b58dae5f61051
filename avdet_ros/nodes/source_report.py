"""Node capture's report about the source that it reads."""

from __future__ import annotations

from avdet_ros.nodes.diagnostics import Report
from avdet_ros.nodes.source_reader import SourceReader
from avdet_ros.nodes.topic_health import SILENT_AFTER_S

BEHIND_S = 0.5
"""A source that delivers its sound this much later than real time cannot keep up."""


def report_source(report: Report, reader: SourceReader, windows: int, silent_s: float) -> bool:
    """Add a source's numbers and faults to a report.

    Args:
        report: report to add to.
        reader: reader of the source.
        windows: number of windows sent so far.
        silent_s: seconds without a block.

    Returns:
        Whether the source has come to its end.
    """
    source = reader.source
    report.value(
        source=source.label,
        xruns=source.overflows,
        bad_samples=source.bad_samples,
        clock_drift_ppm=reader.clock.drift * 1e6,
        clock_jumps=reader.clock.jumps,
        reopened=reader.reopened,
        finished=source.exhausted,
        behind_s=source.behind_s,
    )
    if source.exhausted and source.damage:
        report.warn(f'{source.damage}; {windows} windows were sent')
        return True
    if source.exhausted:
        report.once(f'{source.label} has ended after {windows} windows')
        return True
    if source.doubt:
        report.warn(source.doubt)
    if reader.fault:
        report.error(f'{reader.fault}; trying again')
    elif source.trouble:
        report.error(f'{source.trouble}; its sound is not used')
    elif source.behind_s > BEHIND_S:
        report.warn(
            f'{source.label} is {source.behind_s:.1f} s behind real time: this machine is too '
            'slow for it'
        )
    elif reader.still:
        report.warn('ROS time stands still: sound of this time is not sent')
    elif silent_s > SILENT_AFTER_S:
        report.error(f'no samples from {source.label}')
    return False
