"""The part of the GRPO trainer that gives each rollout its world of tools, as TRL's environments."""

from collections.abc import Mapping, Sequence
from typing import Any

from trl import GRPOConfig, GRPOTrainer

from cortex.domains.domain import Domain
from cortex.errors import ConfigError
from cortex.trainers.tool_world import make_world, response_template


class ToolRollouts(GRPOTrainer):
    """TRL's trainer, where its `environment_factory` may be one that makes `ToolWorld`s."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        if self.environment_factories:
            # TRL would describe the environment's method to the model; the domain's prompts name its tools.
            self._env_tools = dict.fromkeys(self._env_tools, ())

    def reset_worlds(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Give each row an environment, as TRL does itself before it samples for a training step."""
        if not self.environment_factories:
            return
        [(name, factory)] = self.environment_factories.items()
        pool = self._environment_pool[name]
        pool += [factory() for _ in range(len(rows) - len(pool))]
        self.environments = pool[: len(rows)]
        for world, row in zip(self.environments, rows, strict=True):
            world.reset(**row)
        self._batch_environments = [name] * len(rows)
        self._sync_tool_dicts = [{world.reply.__name__: world.reply} for world in self.environments]
        self._async_tool_dicts = [{} for _ in rows]

    def train(self, *arguments: Any, **keywords: Any) -> Any:
        """As TRL's; afterwards the tokenizer is as before, without the template by which replies were parsed."""
        trained = super().train(*arguments, **keywords)
        self.processing_class.response_template = None
        return trained

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        """As TRL's; checkpoints go without that template, too."""
        template = getattr(self.processing_class, "response_template", None)
        self.processing_class.response_template = None
        try:
            super()._save(output_dir, state_dict)
        finally:
            self.processing_class.response_template = template


def tool_inputs(domain: Domain, arguments: GRPOConfig, tokenizer: Any) -> dict[str, Any]:
    """Further keyword arguments of the trainer where a domain's questions need tools; nothing where they do not.

    Raises:
        ConfigError: its questions take turns of another form.
    """
    if not domain.takes_turns() or domain.plays_matches():
        return {}
    turns = domain.tool_turns()
    if turns is None:
        raise ConfigError(f"grpo: the questions of domain {domain.kind} take several turns that are no calls of tools")
    arguments.max_tool_calling_iterations = turns.most
    tokenizer.response_template = response_template(turns, tokenizer.eos_token)
    return {"environment_factory": make_world(domain)}
