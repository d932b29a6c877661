"""Places of the weights of a model that is larger than its GPU, by a program of the quantize image: `... FOLDER`.

There is no GPU: one is reported, with room for a part of the weights, and accelerate's hooks run with the host in the
GPU's place and the disk in the host's. What is planned is what a GPU would be given.
"""

import json
import sys
from pathlib import Path
from typing import Any

import accelerate
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from cortex.models import loading
from cortex.models.loading import load_model, loaded
from cortex.models.quantize import gptq
from cortex.profiles.export_section import Gptq
from tests.models.hold_models import CONFIG

FOLDER = Path(sys.argv[1])
IN_PLACE = {0: "cpu", "cpu": "disk"}
TOKENS = torch.arange(8)[None]


def report_a_gpu(free: int) -> None:
    """As torch would of one GPU with so many bytes free."""
    torch.cuda.device_count = lambda: 1
    torch.cuda.mem_get_info = lambda device=None: (free, free)


def dispatch_without_gpu(model: Any, places: dict[str, Any], **options: Any) -> Any:
    """Accelerate's own, with other places; they are noted as they were wanted."""
    wanted.append(places)
    moved = {name: IN_PLACE[place] for name, place in places.items()}
    aside = FOLDER / f"aside-{len(wanted)}"
    return accelerate.dispatch_model(
        model, moved, main_device="cpu", offload_dir=str(aside), force_hooks=True, **options
    )


wanted: list[dict[str, Any]] = []


def predictions(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=TOKENS).logits.float()


def spread(folder: Path, base: Path | None = None) -> dict[str, Any]:
    """The places of a model's parts, by how many there are of each, and how far its predictions are from the truth."""
    with loaded(folder, base=base, device="cuda", on_host=True) as model:
        expected, kind = predictions(model), type(model).__name__
    with loaded(folder, base=base, device="cuda") as model:
        found, same = predictions(model), type(model).__name__ == kind
    places = [str(place) for place in wanted[-1].values()]
    return {
        "places": {place: places.count(place) for place in set(places)},
        "difference": float((found - expected).abs().max()),
        "kind": kind if same else "another",
    }


def make(folder: Path) -> None:
    """A base, an adapter on it that does something, and a quantized copy."""
    torch.manual_seed(0)
    plain = LlamaForCausalLM(CONFIG)
    plain.save_pretrained(folder / "base")
    words = {f"w{number}": number for number in range(CONFIG.vocab_size)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="w1", pad_token="w2")
    fast.chat_template = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
    fast.save_pretrained(folder / "base")
    conversations = [[{"role": "user", "content": f"w{row} w{row + 1} w{row + 2}"}] for row in range(16)]
    gptq(folder / "base", folder / "copy", Gptq(bits=4, group_size=32, max_kl=1, max_loss_rise=None),
         conversations, seed=0, device="cpu")  # fmt: skip
    adapted = get_peft_model(plain, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert isinstance(adapted, PeftModel)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.save_pretrained(folder / "adapter")


def main() -> None:
    make(FOLDER)
    weights = sum(weight.numel() * 2 for weight in load_model(FOLDER / "base").parameters())
    report_a_gpu(int(weights / loading.WEIGHTS_SHARE * 0.6))
    loading.dispatch_model = dispatch_without_gpu
    cases = {
        "weights": spread(FOLDER / "base"),
        "adapter": spread(FOLDER / "adapter", FOLDER / "base"),
        "copy": spread(FOLDER / "copy"),
    }
    print(json.dumps(cases))


if __name__ == "__main__":
    main()
