"""Turns a model's name into a file, and a file's header into facts.

Reads GGUF headers only: no tensor data, no vocabulary, no engine. What a model costs is `budget`'s
business. `catalogue` knows models by name, `hub` and `download` bring them into the `store`.
"""

from local_swarm.models.facts import facts_of, read_facts
from local_swarm.models.gguf import Header, Skipped, read_header
from local_swarm.models.projector import read_projector
from local_swarm.models.source import BUILTIN_DEMO, Source, resolve
from local_swarm.models.store import Store

__all__ = [
    "BUILTIN_DEMO",
    "Header",
    "Skipped",
    "Source",
    "Store",
    "facts_of",
    "read_facts",
    "read_header",
    "read_projector",
    "resolve",
]
