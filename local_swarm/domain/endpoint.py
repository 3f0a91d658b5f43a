"""Something that answers requests: a local worker, later also a peer or an external server."""

from __future__ import annotations

from dataclasses import dataclass, field

from local_swarm.domain.launch import Capabilities


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One upstream. `generation` grows with every restart; its slots are empty after one, but where
    prompts are kept (`engine.keep_slots`).

    The last `lanes` of its `slots` serve unvoted requests; `ctx` is tokens per slot. `pool` is how
    many cells all slots share, 0 where each slot has `ctx` of its own: an overflow of a pool ends
    every answer in it, so the ledger counts its cells. `token_bytes` is the length of the
    vocabulary's longest token, 0 where it is not known.
    """

    id: str
    base_url: str
    api_key: str
    slots: int
    lanes: int
    ctx: int
    generation: int
    capabilities: Capabilities = field(default_factory=Capabilities)
    pool: int = 0
    token_bytes: int = 0
