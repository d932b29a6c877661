"""Settings of a gateway, from the environment."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cortex.errors import ConfigError
from cortex.paths import expand_path

Folder = Annotated[Path, BeforeValidator(expand_path)]


class ServingSettings(BaseSettings):
    """A gateway's settings. Each is an environment variable named `CORTEX_SERVE_<FIELD>`; an empty one is not set."""

    model_config = SettingsConfigDict(env_prefix="CORTEX_SERVE_", env_ignore_empty=True, frozen=True, extra="ignore")

    concurrency: int = Field(default=32, ge=1, le=4096)
    """Requests that the engine works on at the same time."""

    queue: int = Field(default=32, ge=0, le=4096)
    """Requests that wait for their turn; any more are answered with 429."""

    queue_seconds: float = Field(default=10.0, gt=0, le=600)
    """Seconds that a request waits for its turn before it is answered with 429."""

    request_seconds: float = Field(default=300.0, gt=0, le=3600)
    """Seconds that the engine may take for one answer."""

    body_bytes: int = Field(default=1_000_000, ge=1000, le=100_000_000)
    """Most bytes of a request's body."""

    body_seconds: float = Field(default=10.0, gt=0, le=600)
    """Seconds within which a request's body must have arrived."""

    max_tokens: int = Field(default=4096, ge=1, le=1_000_000)
    """Most tokens of one answer."""

    context_tokens: int | None = Field(default=None, ge=32, le=10_000_000)
    """Most tokens of a prompt and its answer in llama.cpp, which sets memory aside for them; by default the profile's
    `sft.sequence_length`. vLLM takes the model's own context."""

    batch: int = Field(default=64, ge=1, le=1000)
    """Most requests in one batch."""

    notice_seconds: float = Field(default=2.0, ge=0, le=600)
    """Seconds after SIGTERM in which `/readyz` answers 503 and all else goes on, so that load balancers notice."""

    drain_seconds: float = Field(default=60.0, ge=0, le=3600)
    """Seconds that requests in flight may take after SIGTERM."""

    spot_notice: bool = True
    """Ask this machine's cloud whether it is about to take the machine away, and let load balancers know at once."""

    keys_seconds: float = Field(default=5.0, gt=0, le=600)
    """Seconds between two looks at the API keys in the bucket: a revoked key works no longer than this."""

    dollars_per_hour: float = Field(default=0.0, ge=0, le=100_000)
    """Price of the machine, for the metric of what it has cost."""

    dollars_per_million_tokens: float = Field(default=0.0, ge=0, le=100_000)
    """Price of a million tokens, asked and answered, for the usage of each key."""

    log_prompts: bool = False
    """Log what is asked and answered. By default, logs hold no text of either."""

    otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """Base URL of an OpenTelemetry collector that takes spans over HTTP, such as http://localhost:4318. All further
    settings are OpenTelemetry's own variables (`OTEL_...`), which may name the collector, too."""

    feedback: bool = False
    """Keep requests whose callers allow it, with their answers, and take feedback on them. By default nothing is
    kept."""

    feedback_bytes: int = Field(default=256_000_000, ge=100_000, le=100_000_000_000)
    """Most bytes of feedback on this machine; at the limit no further request is kept."""

    feedback_days: int = Field(default=90, ge=1, le=3650)
    """Days after which kept requests and feedback are removed, here and from the bucket."""

    feedback_seconds: float = Field(default=30.0, gt=0, le=3600)
    """Seconds between two copies of new feedback to the bucket."""

    tls_certificate: Folder | None = None
    """A PEM file with the certificate chain, to serve over TLS."""

    tls_key: Folder | None = None
    """The PEM file of the certificate's private key."""

    def __init__(self, **values: Any) -> None:
        """Read the settings.

        Raises:
            ConfigError: a variable's value is invalid; the message names it.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = f"CORTEX_SERVE_{first['loc'][0]}".upper()
            raise ConfigError(f"{name} is {first['input']!r}: {first['msg']}") from error
        for name, path in (("TLS_CERTIFICATE", self.tls_certificate), ("TLS_KEY", self.tls_key)):
            if path is not None and not path.is_file():
                raise ConfigError(f"CORTEX_SERVE_{name} is {str(path)!r}: there is no such file")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigError("CORTEX_SERVE_TLS_CERTIFICATE and CORTEX_SERVE_TLS_KEY belong together: set both")

    def price_or(self, own: float | None) -> float:
        """Dollars for a million tokens of a model: its own price, where it has one."""
        return self.dollars_per_million_tokens if own is None else own
