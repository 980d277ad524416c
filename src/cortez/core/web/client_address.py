"""Where a request comes from, as far as it can be known."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from litestar.types import Scope

from cortez.settings import Settings

Address = IPv4Address | IPv6Address

UNKNOWN = "unknown"
IPV6_PREFIX = 64


def client_network(scope: Scope, settings: Settings) -> str:
    """The network that attempts and anonymous requests are counted by.

    One IPv4 address: its neighbours in the /24 are strangers as a rule. The /64 of an IPv6 address: whoever has one of
    its addresses has all of them.
    """
    address = client_address(scope, settings)
    if address is None:
        return UNKNOWN
    return str(ip_network((address, IPV6_PREFIX), strict=False) if address.version == 6 else address)


def client_address(scope: Scope, settings: Settings) -> Address | None:
    """The peer; behind trusted proxies the right-most address of X-Forwarded-For that is none of theirs.

    What stands left of it was written by the client and is not read. Where the header ends or makes no sense before
    that, the last proxy that can be told is the client.
    """
    peer = scope["client"]
    address = parsed(peer[0]) if peer else None
    if address is None or not is_trusted(address, settings):
        return address
    for hop in forwarded_for(scope):
        before = parsed(hop)
        if before is None:
            break
        address = before
        if not is_trusted(address, settings):
            break
    return address


def forwarded_for(scope: Scope) -> list[str]:
    """The hops, nearest first; a header that was sent twice is one list."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [hop.strip() for hop in reversed(",".join(lines).split(","))] if lines else []


def parsed(text: str) -> Address | None:
    """An address with or without its port; an IPv4 address in IPv6 clothes is an IPv4 address."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def is_trusted(address: Address, settings: Settings) -> bool:
    return any(address in network for network in networks(settings.trusted_proxies))


@lru_cache
def networks(names: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    """Raises ValueError where one of them is neither an address nor a network."""
    return tuple(ip_network(name) for name in names)
