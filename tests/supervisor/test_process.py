from local_swarm.supervisor.process import child_environment


def test_a_child_sees_neither_our_settings_nor_ones_that_would_change_the_engine() -> None:
    parent = {
        "PATH": "/bin",
        "LSWARM_SERVER__API_KEYS": "secret",
        "LLAMA_ARG_ENDPOINT_PROPS": "1",
        "LLAMA_API_KEY": "the user's own",
    }
    child = child_environment(parent, {"LLAMA_API_KEY": "per-run"}, "token")
    assert child == {"PATH": "/bin", "LLAMA_API_KEY": "per-run", "LSWARM_RUN_TOKEN": "token"}
