"""The choice of the engine that samples answers."""

from cortex.models.sampling import Sampler
from cortex.runs.context import RunContext


def open_sampler(context: RunContext, stage: str, gpus: int) -> Sampler:
    """The engine that the run's profile asks for, on a machine with so many GPUs. Libraries are imported when used.

    Raises:
        ConfigError: the engine is not available here.
    """
    profile = context.profile
    match profile.sampling.engine_on(profile.hardware.device):
        case "transformers":
            from cortex.models.sample_transformers import TransformersSampler

            return TransformersSampler(profile.hardware.device, profile.model.attention)
        case "vllm":
            from cortex.models.sample_vllm import VllmSampler

            return VllmSampler(profile, gpus, context.folder(stage))
        case "endpoint":
            from cortex.models.sample_endpoint import EndpointSampler

            return EndpointSampler(profile.sampling, context.folder(stage))
