"""One OpenAI-compatible port in front of all workers.

A request is admitted by the `ledger` (which owns every slot of every worker), fanned out
(`fanout`), its answers are compared (`ballots`), and one is returned (`voted`, `stream`). What the
gateway needs of other rooms is in `ports`; it imports neither the supervisor nor an engine. Workers
come, go and change while it serves (`present`), and so do its settings (`app.Gateway.reconfigure`).
"""
