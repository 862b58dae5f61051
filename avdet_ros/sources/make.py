"""Make a sound source by the name of its kind."""

from __future__ import annotations

from typing import Any

from avdet_ros.errors import AvdetError
from avdet_ros.quoting import did_you_mean
from avdet_ros.rig import Rig
from avdet_ros.sources.base import SOURCES, Source


def make_source(name: str, rig: Rig, *, paced: bool = True, **settings: Any) -> Source:
    """Make a source; nothing is opened before its `start`.

    Args:
        name: name of a kind in `SOURCES`.
        rig: rig with the order of the microphones and the sample rate.
        paced: deliver in real time; otherwise as fast as blocks are read, if the kind can.
        **settings: values of the kind's `Source.parameters`; others have their defaults.

    Raises:
        AvdetError: the name or a setting is unknown, or a required setting is missing.
    """
    kind = SOURCES.find(name)
    values = {param.name: param.default for param in kind.parameters}
    for key in settings:
        if key not in values:
            raise AvdetError(
                f'source {name}: expected settings among {", ".join(values) or "none"}, '
                f'found {key!r}{did_you_mean(key, values)}'
            )
    return kind.make(rig, paced, **{**values, **settings})
