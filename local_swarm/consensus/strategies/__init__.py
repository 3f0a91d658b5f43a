"""How to choose among candidates: one file per strategy, listed in `registry.py`."""
