"""Benchmarks of the gateway and of what a vote costs: `make bench`, or `python -m bench PART`.

Every part starts what it compares in the same run, takes turns between them and prints a table
with ratios; timings of different runs say little on a machine that others share. Nothing here is
an assertion: docs/performance.md has the targets and the figures.

`servers` starts the processes (`upstream`, `bare_proxy`, `gateway`, litellm's proxy), `load` asks
them, `figures` prints; one module for each part: `overhead`, `relay`, `clients`, `votes`,
`swarm`, `hostile`.
"""
