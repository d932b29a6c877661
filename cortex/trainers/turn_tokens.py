"""The tokens of a conversation's turns, one after another, as the trainer's chat template writes them."""

from collections.abc import Sequence
from typing import Any

from cortex.domains.question import Conversation
from cortex.errors import ConfigError
from cortex.models.conversation import chat


class TurnTokens:
    """A trainer's tokenizer, and the room that it has for answers."""

    def __init__(self, trainer: Any) -> None:
        """`trainer` is TRL's GRPO trainer."""
        self._trainer, self._tokenizer = trainer, trainer.processing_class
        self.end: int = self._tokenizer.eos_token_id
        self._longest: int = trainer.max_completion_length
        self._context = _context(trainer)
        opening = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
        self._opening, self._opened = opening, self._render(opening, ask=False)
        if self.end in self._opened:
            # Templates may write a line's end after a turn, which follows the end that the model samples.
            self._opened = self._opened[: len(self._opened) - self._opened[::-1].index(self.end)]
        self._known: dict[Conversation, list[int]] = {}

    def question(self, told: Conversation) -> list[int]:
        """The tokens of a question, up to where the reply begins."""
        return self._render(chat(told), ask=True)

    def following(self, told: Conversation, *, ended: bool) -> list[int]:
        """The tokens between a reply and the next one. A reply that was cut off (not `ended`) is ended first.

        Raises:
            ConfigError: the chat template writes a reply otherwise once more turns follow it.
        """
        if told not in self._known:
            whole = self._render([*self._opening, *chat(told)], ask=True)
            if whole[: len(self._opened)] != self._opened:
                raise ConfigError(
                    "the tokenizer's chat template writes a reply otherwise once further turns follow it, so that "
                    "episodes cannot be trained token by token: set `chat_template` in the base's tokenizer to one "
                    "that only appends"
                )
            self._known[told] = whole[len(self._opened) :]
        return self._known[told] if ended else [self.end, *self._known[told]]

    def ends(self, tokens: Sequence[int]) -> bool:
        """True where a reply was not cut off."""
        return bool(tokens) and tokens[-1] == self.end

    def fits(self, prompt: Sequence[int], after: Sequence[int]) -> bool:
        """True where a reply has room after these tokens, in the answer's length and in the model's context."""
        return len(after) < self._longest and len(prompt) + len(after) < self._context

    def room(self, after: Sequence[int]) -> int:
        """Tokens that may follow those after the question."""
        return self._longest - len(after)

    def text(self, tokens: Sequence[int]) -> str:
        """A reply as domains read it."""
        return self._tokenizer.decode(tokens, skip_special_tokens=True).strip()

    def _render(self, turns: list[dict[str, str]], *, ask: bool) -> list[int]:
        return self._tokenizer.apply_chat_template(
            turns,
            add_generation_prompt=ask,
            tokenize=True,
            return_dict=False,
            chat_template=self._trainer.chat_template,
            **self._trainer.chat_template_kwargs,
        )


def _context(trainer: Any) -> int:
    """Tokens of the longest conversation that the sampling engine takes."""
    if trainer.use_vllm:
        return trainer.vllm_generation.llm.llm_engine.model_config.max_model_len
    return trainer.model.config.max_position_embeddings
