"""What a request gets: a vote, one slot, or n ranked answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from local_swarm.domain.model import Purpose
from local_swarm.errors import InvalidRequest, UnknownModel
from local_swarm.wire.request import VotedRequest

SOLO_SUFFIX = ":solo"
SWARM_ALIAS = "swarm"


@dataclass(frozen=True, slots=True)
class Served:
    """What the gateway serves: one model, asked by so many voters; `quorum` None is a majority.
    `adaptive`: a vote begins with `first_voters`, and asks the others where it must."""

    model_id: str
    ctx: int
    context_train: int
    voters: int
    strategy: str = "auto"
    quorum: int | None = None
    unknown_model: str = "accept"
    purpose: Purpose = "chat"
    first_voters: int = 3
    adaptive: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """`want` answers, of which `quorum` are needed; `voted` when they are compared.

    `begin` of them are asked first, 0 for all at once. `solo` is served by a lane; `live` streams
    the one voter as it writes. `why` tells why the client does not simply get the winner of a vote.
    """

    want: int
    quorum: int
    strategy: str
    voted: bool = False
    solo: bool = False
    exact: bool = False
    begin: int = 0
    live: bool = False
    why: str = ""


def is_solo(model: str, served: Served) -> bool:
    """Whether the model name asks for one slot. Raises UnknownModel where names are checked."""
    base, solo = model.removesuffix(SOLO_SUFFIX), model.endswith(SOLO_SUFFIX)
    if base in ("", served.model_id, SWARM_ALIAS) or served.unknown_model == "accept":
        return solo
    raise UnknownModel(
        f"The model {model!r} is not served here.",
        hint=f"Served: {served.model_id}, {served.model_id}{SOLO_SUFFIX}.",
        param="model",
    )


def turn_of(chat: VotedRequest, served: Served, *, voting_slots: int, all_slots: int) -> Turn:
    """Decides. A vote is taken only where it can help.

    Raises UnknownModel, and InvalidRequest for more choices than there are slots.
    """
    solo = is_solo(chat.model, served)
    if chat.n > max(1, all_slots):
        raise InvalidRequest(f"n is {chat.n}, and this swarm has {all_slots} slots.", param="n")
    if len(chat.parts()) > 1:
        return _one(live=False, solo=True, why="each of several prompts has one answer")
    if chat.n > 1:
        strategy = chat.swarm.strategy or served.strategy
        why = "the client takes all choices"
        return Turn(chat.n, chat.n, strategy, voted=True, exact=True, why=why)
    strategy = chat.swarm.strategy or served.strategy
    if solo:
        return _one(live=chat.stream, solo=True, why="solo was asked for")
    if strategy == "off":
        return _one(live=chat.stream, why="the strategy is off")
    if chat.swarm.stream == "leader" and chat.stream:
        return _one(live=True, why="the leader streams without a vote")
    if chat.temperature == 0:
        return _one(live=chat.stream, why="at temperature 0 all voters say the same")
    want = chat.swarm.samples or max(1, min(served.voters, voting_slots))
    if want == 1:
        return _one(live=chat.stream, why="there is one voter")
    majority = want // 2 + 1
    return Turn(
        want,
        min(want, chat.swarm.quorum or served.quorum or majority),
        strategy,
        voted=True,
        exact=chat.swarm.samples is not None,
        begin=_begin(chat, served, want),
    )


def _begin(chat: VotedRequest, served: Served, want: int) -> int:
    """All at once where the client counts on all, or on so many that there must be."""
    options = chat.swarm
    adaptive = served.adaptive if options.adaptive is None else options.adaptive
    counted_on = chat.seed is not None or options.include_candidates
    if not adaptive or counted_on or options.quorum is not None or served.quorum is not None:
        return 0
    return served.first_voters if max(2, served.first_voters) < want else 0


def _one(*, live: bool, why: str, solo: bool = False) -> Turn:
    return Turn(1, 1, "off", solo=solo, live=live, why=why)
