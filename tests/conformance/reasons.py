"""Why tests of llama.cpp's suite may fail through a swarm: what they ask is not meant to be.

Patterns of fnmatch to reasons; where `lswarm up` itself refuses a flag, it says why. A test that
fails for want of something that ought to be there has no place here.
"""

ONE_ADDRESS = "a swarm listens on one address"
MODELS = (
    "/v1/models is the swarm's own: ID, ID:solo and the alias swarm, without llama-server's list"
)
ALWAYS_ON = "/slots and /metrics are always there; the key protects them"
OWN_METRICS = "/metrics is the swarm's own"
JINJA = "workers always run with --jinja, where the raw server does not pass this test either"
DEBUG = "__verbose shows the prompt as the engine sees it: a debugging aid of the raw server"
NO_RANKING_HEAD = (
    "a model without a ranking head is not started for it (the suite's own has one, the one in its"
    " place has not): its scores would come out of memory that holds something else"
)
VERBOSE = "--verbose is refused: it prints prompts (this test keeps the words to itself)"
CORS = "no web page of another origin may ask the swarm"
NO_CORS_PROXY = "a swarm fetches nothing for its clients: there is no /cors-proxy"
ONE_MODEL = "a swarm serves one model: any name is that one, none can be loaded or deleted"
GOOGLE = "there is no /predict of Google's AI platform"
CLIENTS_MISTAKE = "a request that cannot be answered as it is, is the client's 400 here"
TELEMETRY = "the swarm writes these events itself, without prompt progress and timings per token"

REASONS: dict[str, str] = {
    "test_basic::test_server_multiple_addresses": ONE_ADDRESS,
    "test_basic::test_server_models": MODELS,
    "test_basic::test_server_model_aliases_and_tags": MODELS,
    "test_vision_api::test_*models_supports_multimodal_capability": MODELS,
    "test_basic::test_server_slots": ALWAYS_ON,
    "test_metrics::test_metrics_disabled": ALWAYS_ON,
    "test_metrics::test_metrics_predicted_total_matches_requests": OWN_METRICS,
    "test_metrics::test_metrics_prometheus_format": OWN_METRICS,
    "test_metrics::test_metrics_prompt_processed_and_cached": OWN_METRICS,
    "test_chat_completion::test_apply_chat_template": JINJA,
    "test_chat_completion::test_completion_with_response_format?response_format[025]-*": JINJA,
    "test_chat_completion::test_verbose_debug": DEBUG,
    "test_rerank::*": NO_RANKING_HEAD,
    "test_kv_keep_only_active::*": VERBOSE,
    "test_security::test_cors_options*": CORS,
    "test_proxy::test_mcp_no_proxy": NO_CORS_PROXY,
    "test_router::test_router_chat_completion_stream?non-existent*": ONE_MODEL,
    "test_router::test_router_delete_model": ONE_MODEL,
    "test_compat_gcp::*": GOOGLE,
    "test_compat_anthropic::test_anthropic_tool_result_with_image": CLIENTS_MISTAKE,
    "test_compat_anthropic::test_anthropic_vision_format_accepted": CLIENTS_MISTAKE,
    "test_compat_anthropic::test_anthropic_empty_messages": CLIENTS_MISTAKE,
    "test_compat_oai_responses::test_responses_stream_with_llama_telemetry": TELEMETRY,
}
