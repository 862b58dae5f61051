"""A DDS domain that no other program here has, also when many programs choose at once."""

from __future__ import annotations

import random
import socket

from avdet_ros.errors import AvdetError

DOMAINS = range(1, 101)
"""Domains with ports below those that Linux hands out by itself."""

_held: dict[int, socket.socket] = {}


def free_domain() -> int:
    """A domain without a DDS participant, held for this process until it ends, however it ends.

    Looking is not enough: between the look and the first participant another program may look
    too. So one port of the domain is kept bound, one that a participant would have only as the
    domain's 119th. DDS maps domains to ports by the RTPS standard (DDSI-RTPS 2.5, 9.6.2.3):
    7400 + 250 x domain, and participants from there on.

    Returns:
        Its number; another one at each call.

    Raises:
        AvdetError: every domain is taken.
    """
    domains = [domain for domain in DOMAINS if domain not in _held]
    random.shuffle(domains)
    for domain in domains:
        claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            claim.bind(('127.0.0.1', _port(domain, 249)))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(('', _port(domain, 10)))  # the first participant's own port
        except OSError:
            claim.close()
            continue
        _held[domain] = claim
        return domain
    raise AvdetError(
        f'DDS domain: expected a free one of {DOMAINS[0]} to {DOMAINS[-1]}, found all in use'
    )


def release_domain(domain: int) -> None:
    """Let go of a domain before this process ends; no harm if it was never held."""
    if domain in _held:
        _held.pop(domain).close()


def _port(domain: int, offset: int) -> int:
    return 7400 + 250 * domain + offset
