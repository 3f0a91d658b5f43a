"""How much a model's voters count in a swarm of several models: learnt from votes, or measured.

A weight is the odds that a model is right, by the mean odds of the models that vote together, so
one model alone, or several equal ones, weigh 1. Of votes it is learnt how often the others side
with a model: its answers in the winner's cluster, where another model stands there too. (To count
a cluster of its own would make the heaviest model ever heavier.) That tells weak models from
good ones, hardly the best from the second best. Pass rates on the same tests do, and come first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from local_swarm.domain.candidate import Candidate
from local_swarm.domain.verdict import Verdict

LEAST, MOST = 0.2, 3.0
"""Of a weight: nobody is silenced, and nobody alone outweighs fifteen others."""
MIN_VOTES = 30
HALF_LIFE = 500  # votes: models are changed for others of the same name
PRIOR = 10.0  # votes of full confidence that a model is taken to have had like the others
MAX_MODELS = 64
"""Names come from other machines too; the models with fewest votes are forgotten."""

_KEPT = 0.5 ** (1 / HALF_LIFE)


@dataclass(frozen=True, slots=True)
class Skill:
    """What is known of one model.

    `votes` it took part in, `heard` the same by their confidence, `agreed` by the share of its
    answers that won with others' support; all three fade. `passed` of `tests` samples were right
    in the measure called `suite`. Raises ValueError for what cannot be.
    """

    votes: float = 0.0
    heard: float = 0.0
    agreed: float = 0.0
    suite: str = ""
    passed: int = 0
    tests: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.agreed <= self.heard <= self.votes and 0 <= self.passed <= self.tests):
            raise ValueError(f"nobody has such a skill: {self}")


Skills = Mapping[str, Skill]
"""By the names of the models."""


@dataclass(frozen=True, slots=True)
class Showing:
    """How the models of one vote did: the share of each one's answers that won with the support
    of another model, and how sure the verdict was; all 0 to 1."""

    shares: Mapping[str, float]
    confidence: float


def showing(candidates: Sequence[Candidate], verdict: Verdict) -> Showing | None:
    """None where the vote had fewer than two models, and so tells nothing of them."""
    names = [candidate.model for candidate in candidates]
    models = {name for name in names if name}
    if len(models) < 2:
        return None
    won = next((group for group in verdict.clusters if verdict.index in group), ())
    winners = [names[index] for index in won]
    supported = len(set(winners) & models) > 1
    return Showing(
        {name: winners.count(name) / names.count(name) * supported for name in sorted(models)},
        min(1.0, max(0.0, verdict.confidence)),
    )


def learn(skills: Skills, showings: Sequence[Showing]) -> Skills:
    """The skills after these votes, in their order."""
    known = dict(skills)
    for one in showings:
        for name, share in one.shares.items():
            known[name] = _after(known.get(name, Skill()), share, one.confidence)
    return _most_heard(known)


def measured(skills: Skills, suite: str, results: Mapping[str, tuple[int, int]]) -> Skills:
    """The skills after a measure: of each model how many samples passed, of how many. Takes the
    place of what was measured of these models before."""
    known = dict(skills)
    for name, (passed, tests) in results.items():
        skill = known.get(name, Skill())
        known[name] = replace(skill, suite=suite, passed=passed, tests=tests)
    return _most_heard(known)


def weights(skills: Skills, models: Sequence[str]) -> dict[str, float]:
    """How much a voter of each model counts when these models vote together: 0.2 to 3.

    By pass rates where all were measured by one suite, else by agreement; a model that was in
    fewer than 30 votes weighs 1.
    """
    found = {name: skills.get(name, Skill()) for name in dict.fromkeys(models)}
    suites = {skill.suite if skill.tests else "" for skill in found.values()}
    if len(suites) == 1 and "" not in suites:
        rates = {name: (s.passed + 1) / (s.tests + 2) for name, s in found.items()}
    else:
        rates = _agreement({name: s for name, s in found.items() if s.votes >= MIN_VOTES})
    return {**dict.fromkeys(found, 1.0), **_relative_odds(rates)}


def _agreement(skills: Skills) -> dict[str, float]:
    """Strictly between 0 and 1; drawn towards what all have together."""
    agreed = sum(skill.agreed for skill in skills.values())
    heard = sum(skill.heard for skill in skills.values())
    mean = (agreed + 1) / (heard + 2)
    return {
        name: (skill.agreed + PRIOR * mean) / (skill.heard + PRIOR)
        for name, skill in skills.items()
    }


def _relative_odds(rates: Mapping[str, float]) -> dict[str, float]:
    odds = {name: rate / (1 - rate) for name, rate in rates.items()}
    mean = sum(odds.values()) / max(1, len(odds))
    return {name: min(MOST, max(LEAST, each / mean)) for name, each in odds.items()}


def _after(skill: Skill, share: float, confidence: float) -> Skill:
    return replace(
        skill,
        votes=_KEPT * skill.votes + 1,
        heard=_KEPT * skill.heard + confidence,
        agreed=_KEPT * skill.agreed + confidence * share,
    )


def _most_heard(skills: dict[str, Skill]) -> Skills:
    ranked = sorted(skills, key=lambda name: (-(skills[name].tests > 0), -skills[name].votes, name))
    return {name: skills[name] for name in sorted(ranked[:MAX_MODELS])}
