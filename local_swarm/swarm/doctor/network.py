"""Which interface other machines would be found through (mDNS). Only for information."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil

from local_swarm.swarm.doctor.finding import Context, Finding, note, ok

# Bridges, tunnels and virtual cards, behind which no other machine of the network is.
VIRTUAL = re.compile(
    r"(docker|veth|br-|virbr|vmnet|vboxnet|tun|tap|utun|wg|tailscale|zt|cni|flannel|cali|lxc|lxd"
    r"|podman|awdl|llw|anpi|ipsec|gif|stf|dummy|ifb|vEthernet|isatap|Teredo)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Interface:
    """`flags` are None where the system does not tell them."""

    name: str
    is_up: bool
    flags: frozenset[str] | None
    addresses: tuple[str, ...]


def check(context: Context) -> Iterator[Finding]:
    yield judged(candidates(_interfaces()))


def candidates(interfaces: Sequence[Interface]) -> list[Interface]:
    """Those through which another machine may be found."""
    return [each for each in interfaces if _is_candidate(each)]


def judged(found: Sequence[Interface]) -> Finding:
    told = ", ".join(f"{each.name} ({each.addresses[0]})" for each in found)
    if not found:
        return note("No network interface leads to other machines: a swarm stays alone here.")
    if len(found) == 1:
        return ok(f"Other machines would be found through {told}.")
    return note(f"Other machines could be found through several interfaces: {told}.")


def _is_candidate(interface: Interface) -> bool:
    outward = [a for a in interface.addresses if not a.startswith(("127.", "::1", "169.254."))]
    flags = interface.flags
    is_capable = flags is None or ("multicast" in flags and "loopback" not in flags)
    return interface.is_up and is_capable and bool(outward) and not VIRTUAL.match(interface.name)


def _interfaces() -> list[Interface]:
    addresses: Mapping[str, list[object]] = psutil.net_if_addrs()  # type: ignore[assignment]
    return [
        Interface(
            name=name,
            is_up=stats.isup,
            flags=frozenset(flags.split(",")) if (flags := getattr(stats, "flags", "")) else None,
            addresses=tuple(_ipv4(addresses.get(name, ()))),
        )
        for name, stats in psutil.net_if_stats().items()
    ]


def _ipv4(addresses: Sequence[object]) -> Iterator[str]:
    for each in addresses:
        if getattr(each, "family", None) == socket.AF_INET:
            yield str(getattr(each, "address", ""))
