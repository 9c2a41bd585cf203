"""Where the page is: the address to open here, those to type in the room, and the names under which it may be asked for."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence

import psutil

from stockwatch.component.doors import is_of_this_machine

EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - the words of the setting for "open to the room"
# Bridges and tunnels of containers and virtual machines: nobody in the room is behind them.
_INNER = ("docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "cni", "podman", "utun", "awdl", "llw")
MOST_ADDRESSES = 4


def reachable(host: str) -> str:
    """The address under which this machine itself reaches what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def url(host: str, port: int) -> str:
    """The page's address on `host`."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def room_urls(host: str, port: int) -> list[str]:
    """What others in the room type, best first; from the system's own list of addresses, without a word on the network."""
    if host not in EVERYWHERE:
        return [] if is_of_this_machine(host) else [url(host, port)]
    found: list[tuple[int, str]] = []
    states = psutil.net_if_stats()
    for name, addresses in psutil.net_if_addrs().items():
        if name.startswith(_INNER) or (name in states and not states[name].isup):
            continue
        for item in addresses:
            if item.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = ipaddress.ip_address(item.address.partition("%")[0])
            if address.is_loopback or address.is_link_local or (address.version == 6 and host != "::"):
                continue
            found.append((address.version * 2 - address.is_private, str(address)))
    return [url(address, port) for _rank, address in sorted(found)[:MOST_ADDRESSES]]


def admitted(host: str, allowed: Sequence[str]) -> Callable[[str], bool]:
    """Which names a Host header may hold: loopback's, the chosen host and `allowed`; open to a room, also this machine's name
    and any address written in digits: who asks by digits was not led here by a name that someone else turned around."""
    names = {name.lower() for name in allowed} | ({host.lower()} - EVERYWHERE)
    in_room = not is_of_this_machine(host)
    if in_room:
        own = socket.gethostname().lower()
        names |= {own, own.partition(".")[0], f"{own.partition('.')[0]}.local"}

    def admits(name: str) -> bool:
        return is_of_this_machine(name) or name in names or (in_room and _is_address(name))

    return admits


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
