"""Connects the rooms: wiring, no decisions.

`compose` turns settings into a plan and a plan into a fleet and a gateway (the only place that
knows every room); `lifecycle` runs them from start to stop; `control` talks to a swarm that runs.
"""
