"""What must hold between settings. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from local_swarm.config.schema import Config
from local_swarm.config.settings import Origin

_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]+")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    from ipaddress import ip_address

    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def problems_between(config: Config, origins: Mapping[str, Origin]) -> list[str]:
    """Settings that are right alone and wrong together, one sentence each."""
    checks = (
        _open_door(config, origins),
        _hosts(config),
        _quorum(config),
        _execution(config),
        _embeddings(config),
        _backoff(config),
    )
    return [problem for problem in checks if problem]


def _open_door(config: Config, origins: Mapping[str, Origin]) -> str:
    server = config.server
    if server.api_keys or is_loopback(server.host):
        return ""
    return (
        f'server.host is "{server.host}" (from {origins["server.host"]}), which other machines'
        " can reach, so server.api_keys must not be empty; set LSWARM_SERVER__API_KEYS, or keep"
        ' server.host at "127.0.0.1"'
    )


def _hosts(config: Config) -> str:
    """A Host header is compared by its name alone, so an entry of any other form never matches."""
    wrong = [name for name in config.server.allowed_hosts if not _HOST_NAME.fullmatch(name)]
    if not wrong:
        return ""
    return (
        f'server.allowed_hosts has "{wrong[0]}", but must have names or addresses without scheme,'
        ' port or wildcard, such as "desk.local"'
    )


def _quorum(config: Config) -> str:
    voters, quorum = config.swarm.voters, config.swarm.quorum
    if isinstance(voters, str) or isinstance(quorum, str) or quorum <= voters:
        return ""
    return f"swarm.quorum is {quorum}, but must not be above swarm.voters, which is {voters}"


def _execution(config: Config) -> str:
    if config.swarm.strategy != "execution" or config.consensus.execute:
        return ""
    return 'swarm.strategy is "execution", so consensus.execute must be true'


def _embeddings(config: Config) -> str:
    url = config.consensus.embeddings_url
    if not url:
        return ""
    if not _is_web_address(url):
        return f'consensus.embeddings_url is "{url}", but must be as "http://127.0.0.1:8001/v1"'
    if not config.consensus.embeddings_model:
        return "consensus.embeddings_url is set, so consensus.embeddings_model must be too"
    return ""


def _is_web_address(url: str) -> bool:
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        has_place = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:  # also of a name that no resolver takes
        return False
    plain = not parts.query and not parts.fragment and parts.username is None
    written = url.isascii() and url.isprintable() and " " not in url
    return parts.scheme in ("http", "https") and has_place and plain and written


def _backoff(config: Config) -> str:
    initial, longest = config.supervisor.backoff_initial_s, config.supervisor.backoff_max_s
    if initial <= longest:
        return ""
    return (
        f"supervisor.backoff_initial_s is {initial}, but must not be above"
        f" supervisor.backoff_max_s, which is {longest}"
    )
