"""Connects the rooms: wiring, no decisions.

`planning` turns settings into a plan, `compose` the plan into a fleet and a gateway (together they
are the only place that knows every room); `lifecycle` runs them from start to stop; `control`
talks to a swarm that runs.
"""
