"""Local Swarm: a voting swarm of small coding models behind one OpenAI-compatible port.

The rooms, and the one way data flows through them:

    HostSnapshot + ModelFacts -> Plan -> LaunchSpec -> Worker -> Endpoint
        -> Candidate -> Verdict -> Response

`hardware` and `models` look at the machine and the model file, `budget` decides what fits,
`engines` say how to run it, `supervisor` runs it, `gateway` asks it, `consensus` compares the
answers, `swarm` connects the rooms, `cli` is the door for people. `docs/architecture.md` has the
whole picture; import-linter (in pyproject.toml) holds it.
"""

__version__ = "0.1.0"
