"""Puts together what decides votes: the voters' fan-out, and all that finds evidence."""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.gateway.deliberation import Deliberation
from local_swarm.gateway.fanout import Fanout
from local_swarm.gateway.judges import Judges
from local_swarm.gateway.learning import Learner, SkillBook
from local_swarm.gateway.ledger import Ledger
from local_swarm.gateway.length import Length
from local_swarm.gateway.metrics import Metrics
from local_swarm.gateway.ports import Ballots, Fleet
from local_swarm.gateway.upstream import Upstream
from local_swarm.gateway.vectors import Embedder, OwnEmbedder, ServerEmbedder
from local_swarm.gateway.votes import Votes
from local_swarm.gateway.writers import Writers


@dataclass(frozen=True, slots=True)
class VoteSettings:
    """`execute`: candidates may be run. `sure`: how sure a verdict must be to end a vote before
    all answers are there. `embeddings_url` is a server's, empty for none; `own_embeddings`: the
    workers were started to make some. `skills` is where the models' skills are kept."""

    execute: bool = False
    sure: float = 1.0
    embeddings_url: str = ""
    embeddings_model: str = ""
    embeddings_key: str = ""
    own_embeddings: bool = False
    skills: SkillBook | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """What the gateway has to ask its workers with."""

    fleet: Fleet
    ledger: Ledger
    upstream: Upstream
    fanout: Fanout
    length: Length


def votes_of(
    settings: VoteSettings,
    model_id: str,
    means: Means,
    ballots: Ballots,
    metrics: Metrics,
    learner: Learner,
) -> Votes:
    fanout, length = means.fanout, means.length
    deliberation = Deliberation(
        ballots,
        Judges(fanout, length),
        _embedder(settings, model_id, means),
        executes=settings.execute,
        learner=learner,
    )
    writers = Writers(means.fleet, means.ledger, fanout, length) if settings.execute else None
    return Votes(
        fanout, ballots, metrics, deliberation, learner, writers=writers, sure=settings.sure
    )


def _embedder(settings: VoteSettings, model_id: str, means: Means) -> Embedder | None:
    if settings.embeddings_url:
        model = settings.embeddings_model
        return ServerEmbedder(
            means.upstream, settings.embeddings_url, model, settings.embeddings_key
        )
    if settings.own_embeddings:
        return OwnEmbedder(means.upstream, means.ledger, model_id)
    return None
