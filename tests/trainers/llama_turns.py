"""A Llama 3 conversation, as a program of the sft image: `... FOLDER`; its last line tells what Axolotl trains of it.

The chat template is Llama's own, which TRL carries. The tokenizer has Llama's special tokens, puts the first of them
before each text by itself, and names none for padding, as Llama's does; its words are single bytes.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path

from axolotl.loaders.tokenizer import load_tokenizer as load_for_axolotl
from axolotl.prompt_strategies.chat_template import load as load_strategy
from axolotl.utils.dict import DictDefault
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlamaConfig, PreTrainedTokenizerFast

from cortex.models.conversation import chat
from cortex.models.loading import load_tokenizer
from cortex.profiles.profile_file import load_profile
from cortex.trainers.axolotl_config import axolotl_config
from cortex.trainers.marked_turns import mark_last_turns
from tests.conversations import ask

FOLDER = Path(sys.argv[1])
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
PROMPT, ANSWER = "Is the flow up?\n\nSay so.", "<think>\nIt is.\n</think><answer>{}</answer>"


def make(template: str) -> None:
    bytes_alone = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocab=bytes_alone, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    first = (SPECIAL[0], tokenizer.token_to_id(SPECIAL[0]))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{SPECIAL[0]} $A", special_tokens=[first])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=SPECIAL[0], eos_token=SPECIAL[4])
    fast.chat_template = template
    fast.save_pretrained(FOLDER)
    LlamaConfig(vocab_size=len(fast), hidden_size=32, num_hidden_layers=1, num_attention_heads=2).save_pretrained(
        FOLDER
    )


TALK = [
    {"role": role, "content": text}
    for role, text in (("system", "S"), ("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"))
]


def trained_of(which: str) -> str:
    """The text of a conversation of two exchanges that is trained on."""
    profile = load_profile("cortex-8b", {"sft.turns": which})
    config = axolotl_config(profile, str(FOLDER), Path("/set"), Path("/out"), Path("/ready"), None)
    settings = DictDefault(config | {"tokenizer_config": str(FOLDER), "base_model_config": str(FOLDER)})
    tokenizer = load_for_axolotl(settings)
    file = FOLDER / "talk.jsonl"
    file.write_text(json.dumps({"messages": TALK}) + "\n", encoding="utf-8")
    file = mark_last_turns(file, FOLDER) if which == "last" else file
    row = load_strategy(tokenizer, settings, ds_cfg=config["datasets"][0]).tokenize_prompt(json.loads(file.read_text()))
    return tokenizer.decode(
        [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    )


def main() -> None:
    make(files("trl").joinpath("chat_templates", "llama3_1.jinja").read_text(encoding="utf-8"))
    config = axolotl_config(load_profile("cortex-8b"), str(FOLDER), Path("/set"), Path("/out"), Path("/ready"), None)
    settings = DictDefault(config | {"tokenizer_config": str(FOLDER), "base_model_config": str(FOLDER)})
    axolotl = load_for_axolotl(settings)
    strategy = load_strategy(axolotl, settings, ds_cfg=config["datasets"][0])
    row = strategy.tokenize_prompt({"messages": [*chat(*ask(PROMPT)), {"role": "assistant", "content": ANSWER}]})
    trained = [token for token, label in zip(row["input_ids"], row["labels"], strict=True) if label != -100]
    sampling = load_tokenizer(FOLDER)
    asked = sampling(
        sampling.apply_chat_template(chat(*ask(PROMPT)), tokenize=False, add_generation_prompt=True),
        add_special_tokens=False,
    )["input_ids"]
    found = {
        "trained": axolotl.decode(trained),
        "asked as trained": row["input_ids"] == asked + trained,
        "begins": row["input_ids"].count(axolotl.bos_token_id),
        "grown by": len(axolotl) - len(sampling),
        "turns": {which: trained_of(which) for which in ("all", "last")},
        "padding": [axolotl.pad_token, sampling.pad_token],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
