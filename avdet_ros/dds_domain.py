"""Find a DDS domain unused on this machine, even if many programs choose one at the same time."""

from __future__ import annotations

import random
import socket

from avdet_ros.errors import AvdetError

DOMAINS = range(1, 101)
"""Domains whose ports lie below those that Linux assigns automatically."""

_held: dict[int, socket.socket] = {}


def free_domain() -> int:
    """Reserve a domain without a DDS participant until this process ends, however it ends.

    Checking for participants is not enough: before the first participant starts, another program
    may check too. So one port of the domain is kept bound, which only the domain's 119th
    participant would use. DDS maps domains to ports by the RTPS standard (DDSI-RTPS 2.5,
    9.6.2.3): 7400 + 250 x domain, with the participants' ports from there on.

    Returns:
        Number of the domain; different at each call.

    Raises:
        AvdetError: every domain is in use.
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
    """Release a domain before this process ends; does nothing if it was not reserved."""
    if domain in _held:
        _held.pop(domain).close()


def _port(domain: int, offset: int) -> int:
    return 7400 + 250 * domain + offset
