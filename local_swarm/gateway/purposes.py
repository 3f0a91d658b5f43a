"""What a model is asked for that was made for vectors: it is told apart here, before a slot is
taken, and with a status that no client tries again."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from local_swarm.errors import InvalidRequest
from local_swarm.gateway.routes import Handler, Kind, PassingHandler
from local_swarm.gateway.turns import Served

ANSWERING = frozenset({Kind.CHAT, Kind.TEXT, Kind.MESSAGES, Kind.RESPONSES, Kind.COMPLETIONS})
RANKING = "/rerank"
MADE_FOR = {
    "embedding": "makes embeddings: POST /v1/embeddings",
    "rerank": f"ranks texts: POST {RANKING}",
}


def answering(
    served: Served, handlers: Mapping[Kind, Handler], passing: Mapping[Kind, PassingHandler]
) -> tuple[dict[Kind, Handler], dict[Kind, PassingHandler]]:
    """The same for a model that answers; of any other those of answers say what it is for."""
    if served.purpose == "chat":
        return dict(handlers), dict(passing)

    async def refuse(request: web.Request) -> web.StreamResponse:
        raise _refusal(served)

    async def refuse_passing(request: web.Request, _: str) -> web.StreamResponse:
        raise _refusal(served)

    voted = {kind: refuse for kind in handlers if kind in ANSWERING}
    passed = {kind: refuse_passing for kind in passing if kind in ANSWERING}
    return {**handlers, **voted}, {**passing, **passed}


def check_vectors(served: Served, path: str) -> None:
    """Raises InvalidRequest for embeddings of a model that ranks, and the other way round: workers
    would make the former out of memory that holds something else."""
    if served.purpose != "chat" and (path == RANKING) != (served.purpose == "rerank"):
        raise _refusal(served)


def _refusal(served: Served) -> InvalidRequest:
    return InvalidRequest(
        f"The model {served.model_id} does not do this: it {MADE_FOR[served.purpose]}.",
        hint="Start a swarm with another model for it.",
        param="model",
    )
