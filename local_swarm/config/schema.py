"""Every setting: its section, type, range, default, and one line saying what it does.

A value carries its meaning in `Annotated`: ranges and the sentence in `msgspec.Meta`, and there in
`extra` what else holds for it (`GUARDED`: not from a `./lswarm.toml` that merely lies in the
working directory; `SECRET`: never shown). `settings.py` reads them as a table.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

GUARDED = {"guarded": True}
SECRET = {"guarded": True, "secret": True}

Seconds = Annotated[float, Meta(gt=0, le=86400)]
Text = Annotated[str, Meta(min_length=1)]
Key = Annotated[str, Meta(pattern=r"^[!-~]+\Z")]  # what an HTTP header can carry
Auto = Literal["auto"]
Voters = Annotated[int, Meta(ge=1, le=32)]
Count = Annotated[int, Meta(ge=1, le=1024)]
Ctx = Annotated[int, Meta(ge=256, le=2**24)]
Layers = Annotated[int, Meta(ge=0, le=10000)]
Part = Annotated[float, Meta(ge=0, le=10**6)]
Fraction = Annotated[float, Meta(gt=0, le=1)]


def _says(doc: str, extra: dict[str, bool] | None = None) -> Meta:
    return Meta(description=doc, extra=extra)


class Server(Struct, frozen=True):
    """The port that clients talk to."""

    host: Annotated[Text, _says("Address to listen on.", GUARDED)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535), _says("TCP port; 0 takes any free one.")] = 8000
    api_keys: Annotated[tuple[Key, ...], _says("Keys a client may show.", SECRET)] = ()
    unknown_model: Annotated[
        Literal["accept", "404"], _says("What happens to a model name that is not served.")
    ] = "accept"
    max_body_bytes: Annotated[
        int, Meta(ge=1024, le=2**30), _says("Largest request body that is read.")
    ] = 33554432
    max_tokens: Annotated[
        int, Meta(ge=1, le=2**31 - 1), _says("Most tokens a request may ask for in one answer.")
    ] = 1048576
    max_schema_bytes: Annotated[
        int,
        Meta(ge=1024, le=2**30),
        _says("Largest grammar, schema or list of tools of a request."),
    ] = 1048576
    max_connections: Annotated[
        int, Meta(ge=1, le=65536), _says("Connections that may be open at a time.")
    ] = 512
    idle_timeout_s: Annotated[
        Seconds, _says("Longest time a connection may be open without a whole request head.")
    ] = 60.0
    body_timeout_s: Annotated[Seconds, _says("Longest time a request's body may take.")] = 60.0
    keepalive_s: Annotated[Seconds, _says("Time between the comments on a waiting stream.")] = 5.0
    first_byte_s: Annotated[
        Seconds, _says("A stream's 200 goes out at the first result, or after this time.")
    ] = 10.0
    max_queue: Annotated[int, Meta(ge=0, le=10000), _says("Requests that may wait for a slot.")] = (
        64
    )
    allowed_hosts: Annotated[
        tuple[Text, ...], _says("Host names accepted besides loopback and host.", GUARDED)
    ] = ()


class Swarm(Struct, frozen=True):
    """How many answer a request, how they are compared, and how workers are laid out."""

    voters: Annotated[Voters | Auto, _says("Slots that answer one voted request.")] = "auto"
    strategy: Annotated[Text, _says("How the answers are compared.")] = "auto"
    quorum: Annotated[
        Voters | Literal["majority"],
        _says("Answers that are enough for a vote when workers are lost."),
    ] = "majority"
    timeout_s: Annotated[Seconds, _says("Longest time one request may take.")] = 600.0
    stop_timeout_s: Annotated[
        Seconds, _says("Time that requests in flight are given when the swarm stops.")
    ] = 30.0
    idle_unload_s: Annotated[
        float,
        Meta(ge=0, le=10**7),
        _says(
            "Without a request for so long, the workers are stopped until the next one; 0: never."
        ),
    ] = 0.0
    min_workers: Annotated[
        Count | Auto, _says("Workers that run while there is little to do; auto: all of them.")
    ] = "auto"
    layout: Annotated[Literal["auto", "processes"], _says("How slots are spread over workers.")] = (
        "auto"
    )
    workers: Annotated[Count | Auto, _says("Child processes to run.")] = "auto"
    slots: Annotated[Count | Auto, _says("Slots in each worker, the solo lane included.")] = "auto"
    ctx: Annotated[Ctx | Auto, _says("Tokens of context per slot.")] = "auto"
    threads: Annotated[Count | Auto, _says("CPU threads of each worker.")] = "auto"
    devices: Annotated[
        tuple[Text, ...], _says("Accelerators to use, as `lswarm hardware` names them.")
    ] = ()
    gpu_layers: Annotated[
        Layers | Auto, _says("Layers of each worker that are on accelerators, the output counted.")
    ] = "auto"
    tensor_split: Annotated[
        tuple[Part, ...], _says("Parts of one worker on each of its devices.")
    ] = ()
    temperature: Annotated[
        float,
        Meta(ge=0, le=2),
        _says("Temperature of voters when the client sets no sampling."),
    ] = 0.8
    temperature_spread: Annotated[
        float,
        Meta(ge=0, le=1),
        _says("How far above and below that temperature the workers of one vote are asked."),
    ] = 0.1
    straggler_factor: Annotated[
        float,
        Meta(ge=0, le=1000),
        _says("Once a quorum has answered, how long slower voters are waited for."),
    ] = 3.0
    adaptive: Annotated[
        bool, _says("Whether a vote asks its last voters only where the first leave it open.")
    ] = False
    first_voters: Annotated[
        Annotated[int, Meta(ge=2, le=32)], _says("Voters with which such a vote begins.")
    ] = 3


class Consensus(Struct, frozen=True):
    """What a vote may do beside comparing the answers."""

    execute: Annotated[
        bool, _says("Whether answers in Python are run in a sandbox and compared.", GUARDED)
    ] = False
    sure: Annotated[
        float,
        Meta(gt=0, le=1),
        _says("How sure the verdict must be before the last answers are no longer waited for."),
    ] = 1.0
    logprobs: Annotated[
        Literal["auto", "off"],
        _says("Whether workers tell a vote how sure they are of their words."),
    ] = "auto"
    embeddings_url: Annotated[
        str, _says("A server that makes embeddings, for the strategy similarity.", GUARDED)
    ] = ""
    embeddings_model: Annotated[str, _says("The model that is asked for there.")] = ""
    embeddings_key: Annotated[
        str,
        Meta(pattern=r"^[!-~]*\Z"),
        _says("The key that is shown there.", SECRET),
    ] = ""


class Models(Struct, frozen=True):
    """Which model is served, and where model files are kept."""

    preferred: Annotated[
        tuple[Text, ...],
        _says("Models to serve; the first that can be found is used.", GUARDED),
    ] = ()
    cache_dir: Annotated[str, _says("Where downloaded models are kept.", GUARDED)] = ""
    mmproj: Annotated[
        str, _says("The projector with which the model reads images and sound.", GUARDED)
    ] = ""
    draft: Annotated[
        str, _says("A smaller model of the same family that drafts for the model.", GUARDED)
    ] = ""


class Hardware(Struct, frozen=True):
    """How much of the machine the swarm may use."""

    ram_fraction: Annotated[Fraction | Auto, _says("Share of the RAM that workers may use.")] = (
        "auto"
    )
    gpu_memory_fraction: Annotated[
        Fraction, _says("Share of an accelerator's own memory that workers may use.")
    ] = 0.9
    reserve_bytes: Annotated[
        int, Meta(ge=0), _says("Bytes of RAM left free on top of that share.")
    ] = 0


class Engine(Struct, frozen=True):
    """How a worker is run."""

    name: Annotated[
        Literal["auto", "llama-server", "xllamacpp", "llama-cpp-python"],
        _says("The engine to use.", GUARDED),
    ] = "auto"
    path: Annotated[str, _says("The engine's program.", GUARDED)] = ""
    args: Annotated[tuple[str, ...], _says("More arguments for the engine.", GUARDED)] = ()
    api_key: Annotated[
        str,
        Meta(pattern=r"^[!-+\--~]*\Z"),
        _says("Key between the gateway and its workers.", SECRET),
    ] = ""
    cache_ram_mib: Annotated[
        Annotated[int, Meta(ge=0)] | Auto,
        _says("RAM of each worker for prompts that have left their slot, in MiB."),
    ] = "auto"
    ctx_checkpoints: Annotated[
        int, Meta(ge=0, le=1024), _says("Context checkpoints kept per slot.")
    ] = 2
    keep_slots: Annotated[
        bool, _says("Whether a planned restart of a worker keeps the prompts in its slots.")
    ] = False


class Federation(Struct, frozen=True):
    """Voting together with other machines."""

    enabled: Annotated[bool, _says("Whether to find peers and vote with them.", GUARDED)] = False


class Supervisor(Struct, frozen=True):
    """How workers are kept running."""

    restart_budget: Annotated[
        int, Meta(ge=0, le=1000), _says("Early deaths in one window before a worker is failed.")
    ] = 5
    swarm_restart_budget: Annotated[
        int, Meta(ge=0, le=10000), _says("The same for all workers together.")
    ] = 20
    restart_window_s: Annotated[Seconds, _says("Length of the restart window.")] = 60.0
    backoff_initial_s: Annotated[Seconds, _says("Wait before the first charged restart.")] = 0.5
    backoff_max_s: Annotated[Seconds, _says("Longest wait between two restarts.")] = 30.0
    stable_s: Annotated[Seconds, _says("Ready for this long is useful service.")] = 1.0
    start_timeout_s: Annotated[Seconds, _says("Time a worker has to become ready.")] = 120.0
    term_grace_s: Annotated[Seconds, _says("Time between SIGTERM and SIGKILL.")] = 5.0
    half_open_s: Annotated[Seconds, _says("Time until a failed worker is tried again.")] = 60.0
    drain_timeout_s: Annotated[
        Seconds, _says("Time that a worker's requests are given before it is restarted.")
    ] = 60.0
    hang_timeout_s: Annotated[
        Seconds, _says("Neither an answer nor any work for so long: the worker hangs.")
    ] = 30.0
    stall_timeout_s: Annotated[
        Seconds, _says("Work, but no token nor an answer for so long: the worker hangs.")
    ] = 600.0
    memory_watch: Annotated[
        bool, _says("Whether workers give memory back before the machine runs out of it.")
    ] = True
    min_free_bytes: Annotated[
        Annotated[int, Meta(ge=0)] | Auto,
        _says("Free RAM below which they do; auto: 3% of the RAM, 1 GiB at most."),
    ] = "auto"
    relief_s: Annotated[
        Seconds, _says("Memory must have been free for so long before a worker takes it again.")
    ] = 120.0
    log_lines: Annotated[
        int, Meta(ge=1, le=10000), _says("Lines of a worker's log shown when it has failed.")
    ] = 50


class Logs(Struct, frozen=True):
    """What the program and its workers write."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], _says("The least serious messages shown.")
    ] = "info"
    dir: Annotated[str, _says("Where the workers' log files are kept.", GUARDED)] = ""
    max_bytes: Annotated[
        int, Meta(ge=4096), _says("Size at which a worker's log file is rotated.")
    ] = 10485760
    backups: Annotated[int, Meta(ge=0, le=1000), _says("Rotated log files that are kept.")] = 3
    prompts: Annotated[bool, _says("Whether logs may show prompts and answers.", GUARDED)] = False
    access: Annotated[bool, _says("Whether each request gets a line.")] = True


class Config(Struct, frozen=True):
    """All settings, validated; `Config()` is the defaults."""

    server: Server = field(default_factory=Server)
    swarm: Swarm = field(default_factory=Swarm)
    consensus: Consensus = field(default_factory=Consensus)
    models: Models = field(default_factory=Models)
    hardware: Hardware = field(default_factory=Hardware)
    engine: Engine = field(default_factory=Engine)
    federation: Federation = field(default_factory=Federation)
    supervisor: Supervisor = field(default_factory=Supervisor)
    logs: Logs = field(default_factory=Logs)
