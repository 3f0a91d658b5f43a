"""Runs the swarm as a service of the operating system: one file per service manager, `registry`.

Writes a unit, asks the manager to start and stop it, tells what it says. Starts no swarm itself and
knows nothing of one: what is run is a command line that comes in.
"""
