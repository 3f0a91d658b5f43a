"""Keeps worker processes alive.

`state` and `restart` decide, purely: events in, commands out. `process`, `readiness`, `logs` and
`fleet` act. A worker is judged by its exit and, while starting, by its readiness; a busy worker is
not a dead one. What to run comes in as a LaunchSpec; nothing here knows an engine, a model or HTTP
beyond "GET this path gives 200".
"""
