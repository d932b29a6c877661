"""export: the final weights in full, and the GPTQ and GGUF copies that stay close enough to them.

Only one model is in memory at a time: it is compared with log-probabilities on the disk. Each model, its answers and
each judgement is kept as an item as soon as it is complete, so that a lost machine costs the current item alone.
"""

import json
import math
import shutil
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from itertools import count
from pathlib import Path
from typing import Any

from cortex.bases.base_model import base_folder
from cortex.checkpoints.items import Items, lay_out
from cortex.domains.dataset import read_split
from cortex.domains.episode import Ask, Dialogue, hold, replies
from cortex.domains.example_columns import read_rows
from cortex.domains.question import Conversation, Example, Message
from cortex.errors import DataError
from cortex.models.copies import ExportSummary, QuantizedCopy, judge_copy, mean_loss, refuse_copy, write_summary
from cortex.models.divergence import Exchange, divergence_from_copy, divergence_of_copy, store_log_probs
from cortex.models.generate import generate
from cortex.models.gguf_check import answers_in_llama, divergence_in_llama, end_tokens
from cortex.models.gguf_copy import GgufSource
from cortex.models.gguf_file import FILE as WEIGHTS
from cortex.models.gguf_file import UnfitError, tensor_types
from cortex.models.loading import load_tokenizer, loaded
from cortex.models.model_files import ADAPTER, copy_adapter, is_adapter
from cortex.models.quantize import gptq
from cortex.profiles.export_section import Gguf, Gptq
from cortex.runs.context import RunContext
from cortex.runs.stage_list import models
from cortex.teaching.labels import accepted_conversations

_RECORD = "record.json"


def run(context: RunContext, output: Path) -> None:
    wanted_copies, trained = context.profile.export.copies, context.artifact(models(context.profile)[-1]).path / "model"
    adapted = is_adapter(trained)
    done, steps = count(1), 1 + adapted + 2 * len(wanted_copies)
    export = _Export(context, trained)
    lay_out(export.whole, output / "model")
    context.progress(next(done), steps)
    merging_kl = None
    if adapted:
        copy_adapter(trained, output / ADAPTER)
        merging_kl = export.merging_kl()
        context.progress(next(done), steps, {"kl": merging_kl})
    copies: list[QuantizedCopy] = []
    for wanted in wanted_copies:
        folder = export.quantized(wanted) if isinstance(wanted, Gptq) else export.gguf_copy(wanted)
        context.progress(next(done), steps)
        copy = export.judged(wanted, folder)
        context.progress(next(done), steps, None if copy.kl is None else {"kl": copy.kl})
        print(f"{copy.name}: {'accepted' if copy.accepted else 'rejected'}: {copy.reason}", flush=True)
        if copy.accepted:
            lay_out(folder, output / copy.name)
        copies.append(copy)
    write_summary(ExportSummary(tuple(copies), merging_kl), output)


@dataclass
class _Export:
    """The items of one export; each is made on first use, unless it is there already."""

    context: RunContext
    trained: Path

    @cached_property
    def items(self) -> Items:
        read = ("data", "label", models(self.context.profile)[-1])
        return Items(self.context, "export", {name: self.context.artifact(name).digest for name in read})

    @cached_property
    def base(self) -> Path | None:
        """The base's folder on this machine; None for a base that was built from nothing."""
        return base_folder(self.context)

    @cached_property
    def whole(self) -> Path:
        """The final weights, an adapter merged into them."""

        def merge(folder: Path) -> None:
            profile = self.context.profile
            device = profile.hardware.device
            # On the host, whose memory holds the largest models: merging takes a few additions per weight.
            with loaded(self.trained, base=self.base, device=device, on_host=True, merged=True) as model:
                model.save_pretrained(folder)
            load_tokenizer(self.trained).save_pretrained(folder)

        return self.items.make("model", merge)

    @cached_property
    def held_out(self) -> list[Example]:
        wanted = self.context.profile.export.check_examples
        return list(read_rows(read_split(self.context.artifact("data").path, "validation", wanted)))

    @cached_property
    def answers(self) -> list[Conversation]:
        """All turns of the final weights after each held-out question."""

        def answer(folder: Path) -> None:
            with self._loaded(self.whole) as model:
                _write(folder, self._hold(self._sampling(model, self.whole)))

        return [tuple(Message(*turn) for turn in turns) for turns in _read(self.items.make("answers", answer))]

    @cached_property
    def exchange(self) -> Exchange:
        """The final weights' own last replies, with the prompts that they followed."""
        asked = zip(self.held_out, self.answers, strict=True)
        last = [replies(example.messages, turns)[-1] for example, turns in asked]
        prompts, texts = zip(*last, strict=True)
        return Exchange(prompts, texts, self.context.profile.export.batch_size)

    @cached_property
    def log_probs(self) -> Path:
        """The final weights' log-probabilities along their answers; no item, since one pass makes them again."""
        folder, exchange = self.context.folder("export") / "log-probs", self.exchange
        shutil.rmtree(folder, ignore_errors=True)
        with self._loaded(self.whole) as model:
            store_log_probs(model, load_tokenizer(self.whole), exchange, folder)
        return folder

    def merging_kl(self) -> float:
        """The divergence of the merged and rounded weights' predictions from those of base and adapter."""

        def measure(folder: Path) -> None:
            stored = self.log_probs
            with self._loaded(self.trained, base=self.base) as model:
                kl = divergence_from_copy(model, load_tokenizer(self.whole), self.exchange, stored)
            if not math.isfinite(kl):
                raise DataError("the merged weights predict no numbers: train again with a lower learning rate")
            _write(folder, kl)

        return _read(self.items.make("merging-check", measure))

    def quantized(self, wanted: Gptq) -> Path:
        """A quantized copy of the final weights."""
        profile = self.context.profile

        def quantize(folder: Path) -> None:
            conversations = accepted_conversations(self.context.artifact("label").path)
            conversations = conversations[:: max(1, len(conversations) // profile.export.calibration_examples)]
            chosen = conversations[: profile.export.calibration_examples]
            gptq(self.whole, folder, wanted, chosen, seed=profile.seed, device=profile.hardware.device)

        return self.items.make(wanted.name, quantize)

    @cached_property
    def gguf(self) -> GgufSource:
        """The final weights as a GGUF file; no item, since one pass makes it again."""
        aside = self.context.folder("export") / "gguf"
        return GgufSource.make(self.whole, aside, self.exchange, self.context.profile.name)

    def gguf_copy(self, wanted: Gguf) -> Path:
        """A copy for llama.cpp, or in its place the reason for which llama.cpp cannot have one.

        It does not end the export: the other copies, and the training before them, are as good without it."""
        profile = self.context.profile
        parameters = {"temperature": 0, "num_ctx": profile.sft.sequence_length, "num_predict": self._longest}

        def copy(folder: Path) -> None:
            try:
                self.gguf.copy(folder, wanted, profile.hardware.threads, parameters)
            except UnfitError as error:
                for path in folder.iterdir():
                    path.unlink()
                _write(folder, str(error))

        return self.items.make(wanted.name, copy)

    def judged(self, wanted: Gptq | Gguf, copy: Path) -> QuantizedCopy:
        """A quantized copy's judgement."""

        def judge(folder: Path) -> None:
            _write(folder, asdict(self._judge(wanted, copy)))

        return QuantizedCopy(**_read(self.items.make(f"{wanted.name}-check", judge)))

    def _judge(self, wanted: Gptq | Gguf, copy: Path) -> QuantizedCopy:
        if isinstance(wanted, Gguf):
            try:
                return self._judge_in_llama(wanted, copy)
            except UnfitError as error:
                return refuse_copy(wanted, str(error))
        stored, exchange = self.log_probs, self.exchange
        with self._loaded(copy) as model:
            kl = divergence_of_copy(model, load_tokenizer(self.whole), exchange, stored)
            answers = None if wanted.max_loss_rise is None else self._hold(self._sampling(model, copy))
        return judge_copy(wanted, kl, self._losses(answers))

    def _judge_in_llama(self, wanted: Gguf, copy: Path) -> QuantizedCopy:
        if (copy / _RECORD).exists():
            raise UnfitError(_read(copy))
        file, tokenizer, threads = copy / WEIGHTS, load_tokenizer(self.whole), self.context.profile.hardware.threads
        stored, exchange, answers = self.log_probs, self.exchange, None
        kl = divergence_in_llama(file, tokenizer, exchange, stored, threads)
        if wanted.max_loss_rise is not None:
            longest, ends = self._longest, end_tokens(self.whole, tokenizer)
            ask = partial(answers_in_llama, file, tokenizer, max_new_tokens=longest, ends=ends, threads=threads)
            answers = self._hold(ask)
        return judge_copy(wanted, kl, self._losses(answers), tensor_types(file))

    def _losses(self, answers: list[Conversation] | None) -> tuple[float, float] | None:
        """The losses of a copy's answers and of the final weights', on the same examples."""
        domain, asked = self.context.profile.domain, self.held_out
        return (mean_loss(domain, asked, answers), mean_loss(domain, asked, self.answers)) if answers else None

    @property
    def _longest(self) -> int:
        profile = self.context.profile
        return profile.export.answer_tokens or profile.evaluate.max_new_tokens

    def _loaded(self, folder: Path, base: Path | None = None) -> AbstractContextManager[Any]:
        profile = self.context.profile
        return loaded(folder, base=base, device=profile.hardware.device, attention=profile.model.attention)

    def _sampling(self, model: Any, folder: Path) -> Ask:
        """Take conversations, and return the model's next turns."""
        batch_size, tokenizer = self.context.profile.export.batch_size, load_tokenizer(folder)

        def ask(prompts: list[Conversation]) -> list[str]:
            sampled = generate(model, tokenizer, prompts, batch_size=batch_size, max_new_tokens=self._longest)
            return [first for first, *_ in sampled]

        return ask

    def _hold(self, ask: Ask) -> list[Conversation]:
        """All turns after each held-out question, of a model that `ask` asks."""
        domain = self.context.profile.domain
        return hold([Dialogue(example.messages, domain.episode(example)) for example in self.held_out], ask)


def _write(folder: Path, record: Any) -> None:
    (folder / _RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")


def _read(folder: Path) -> Any:
    return json.loads((folder / _RECORD).read_text(encoding="utf-8"))
