"""What goes wrong between us and the hub, in our own words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from local_swarm.errors import ModelError

TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


class Transient(Exception):
    """The connection broke, or the hub is overloaded: worth another try."""


def _quiet() -> None:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


@contextmanager
def translated(repo: str) -> Iterator[None]:
    """Turns what huggingface-hub and its HTTP library raise into `ModelError` and `Transient`."""
    _quiet()
    from huggingface_hub import errors, get_session

    library = import_module(type(get_session()).__module__.partition(".")[0])  # httpx, or its heir
    try:
        yield
    except errors.GatedRepoError as error:
        raise _gated(repo) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"The hub has no repository {repo}, or it is private.",
            hint="Check the name; for a private one set HF_TOKEN.",
        ) from error
    except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise ModelError(
            f"{repo} no longer has that file.", hint="Look at what it has on the hub."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise ModelError(f"{repo} cannot be reached: huggingface-hub is offline.") from error
    except errors.HfHubHTTPError as error:
        raise _http_error(repo, error) from error
    except library.RequestError as error:
        raise Transient(str(error) or type(error).__name__) from error
    except library.InvalidURL as error:
        raise ModelError(f"HF_ENDPOINT is no address: {error}.", hint="Correct it.") from error
    except errors.HFValidationError as error:
        raise ModelError(
            f"{repo!r} is no name of a repository.", hint="Write owner/name."
        ) from error


def endpoint() -> str | None:
    """The hub that `HF_ENDPOINT` names; None for the usual one."""
    return (os.environ.get("HF_ENDPOINT") or "").rstrip("/") or None


def _gated(repo: str) -> ModelError:
    site = endpoint() or "https://huggingface.co"
    return ModelError(
        f"{repo} asks everyone to accept its terms first.",
        hint=f"Accept them at {site}/{repo}, then set HF_TOKEN to a token of that account.",
    )


def _http_error(repo: str, error: Any) -> Exception:
    status = error.response.status_code
    if status in TRANSIENT:
        return Transient(f"the hub answered {status}")
    if status in (401, 403):
        return ModelError(
            f"The hub refused {repo} ({status}).", hint="Check HF_TOKEN and what it may read."
        )
    return ModelError(f"The hub answered {status} for {repo}.", hint="Try again later.")
