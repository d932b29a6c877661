"""Programs of the environment llama-cpp, which has none of the kit's code: run by path.

`python llama_program.py grammars` reads regular expressions from standard input, a JSON list, and prints their grammars
for llama.cpp. `python llama_program.py serve OPTIONS` serves a GGUF file by llama.cpp's own server; OPTIONS is JSON.
"""

import json
import os
import sys
import threading
from typing import Any

KEY_VARIABLE = "LLAMA_API_KEY"


def print_grammars(patterns: list[str]) -> None:
    """Print the grammar of each regular expression, or end with the reason why there is none.

    The server itself logs what is wrong with a grammar, and answers without it.
    """
    from llguidance import LLMatcher, regex_to_lark

    made: list[str] = []
    for pattern in patterns:
        grammar = f"start: /{regex_to_lark(pattern)}/\n"
        if wrong := LLMatcher.validate_grammar(grammar):
            sys.exit(" ".join(wrong.split()))
        made.append(f"%llguidance {{}}\n{grammar}")
    print(json.dumps(made))


def serve(options: dict[str, Any]) -> None:
    """Serve until a signal ends the process. `context` is in tokens for each of `slots` requests at a time."""
    import xllamacpp

    wanted = xllamacpp.CommonParams()
    wanted.model.path = options["file"]
    wanted.model_alias = {options["name"]}
    wanted.hostnames, wanted.port, wanted.api_keys = ["127.0.0.1"], options["port"], [os.environ[KEY_VARIABLE]]
    wanted.verbosity = 2  # errors and warnings
    wanted.n_gpu_layers = 0
    wanted.n_parallel, wanted.n_ctx = options["slots"], options["slots"] * options["context"]
    wanted.n_predict = options["max_tokens"]
    wanted.fit_params = False
    # As the copy was judged: each processor has layouts of weights of its own, and they are a second copy in memory.
    wanted.no_extra_bufts = True
    wanted.cache_ram_mib = 0  # by default 8 GiB, for prompts of earlier requests
    # The whole answer is its content, the reasoning too.
    wanted.reasoning_format = xllamacpp.common_reasoning_format.COMMON_REASONING_FORMAT_NONE
    # What a request leaves open is as OpenAI's API says, rather than llama.cpp's own.
    chosen = wanted.sampling
    chosen.temp, chosen.top_k, chosen.top_p, chosen.min_p = 1.0, 0, 1.0, 0.0
    server = xllamacpp.Server(wanted)
    print(f"{options['file']}: served at {server.listening_address}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["grammars"]:
            print_grammars(json.load(sys.stdin))
        case ["serve", given]:
            serve(json.loads(given))
