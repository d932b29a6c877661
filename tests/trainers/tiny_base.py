"""A program of the grpo image: writes a Llama of 2 layers in bf16, and an adapter on it whose product is not zero."""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from cortex.models.scratch import build
from cortex.profiles.profile_sections import ScratchModel


def main() -> None:
    base, adapter = Path(sys.argv[1]), Path(sys.argv[2])
    shape = ScratchModel(vocabulary=320, hidden_size=64, intermediate_size=128, layers=2, heads=4, context=128)
    build(shape, [f"flow whales up down trend {number}" for number in range(50)], 0, base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(base)
    lora = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, parameter in lora.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.02)
    lora.save_pretrained(adapter)
    tokenizer.save_pretrained(adapter)


if __name__ == "__main__":
    main()
