"""`python -m local_swarm` is `lswarm`."""

from local_swarm.cli import main

if __name__ == "__main__":
    main()
