"""Training of a small transformer on given replies, as a program: `python -m tests.probing.memorize FOLDER`.

Standard input is JSON: a list of [prompt, reply]; standard output the trained model's replies to the prompts, as JSON.
"""

import json
import sys
from pathlib import Path

STEPS = 400


def main() -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from cortex.domains.question import Message
    from cortex.models.conversation import chat
    from cortex.models.generate import generate
    from cortex.models.loading import load_tokenizer
    from cortex.models.scratch import build
    from cortex.profiles.profile_sections import ScratchModel

    folder, pairs = Path(sys.argv[1]), json.load(sys.stdin)
    torch.set_num_threads(1)
    shape = ScratchModel(vocabulary=600, hidden_size=64, intermediate_size=128, layers=2, heads=4, context=128)
    build(shape, [text for pair in pairs for text in pair], 0, folder)
    tokenizer = load_tokenizer(str(folder))
    model = AutoModelForCausalLM.from_pretrained(folder)
    asked = [(Message("user", prompt),) for prompt, _ in pairs]
    heads = [str(tokenizer.apply_chat_template(chat(one), tokenize=False, add_generation_prompt=True)) for one in asked]
    rows = [
        (
            tokenizer(head, add_special_tokens=False)["input_ids"],
            tokenizer(reply, add_special_tokens=False)["input_ids"],
        )
        for head, (_, reply) in zip(heads, pairs, strict=True)
    ]
    longest = max(len(head) + len(reply) + 1 for head, reply in rows)
    ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
    labels = torch.full((len(rows), longest), -100)
    for place, (head, reply) in enumerate(rows):
        whole = [*head, *reply, tokenizer.eos_token_id]
        ids[place, : len(whole)] = torch.tensor(whole)
        labels[place, len(head) : len(whole)] = torch.tensor(whole[len(head) :])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(STEPS):
        loss = model(input_ids=ids, attention_mask=(ids != tokenizer.pad_token_id).long(), labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    replies = generate(model, tokenizer, asked, batch_size=len(asked), max_new_tokens=80)
    print(json.dumps([first for first, *_ in replies]))


if __name__ == "__main__":
    main()
