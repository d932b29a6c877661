"""A profile's section on the teacher: one endpoint, or providers in order of preference, with limits of money."""

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from cortex.profiles.prompt_section import TeacherPrompt
from cortex.section import Items, Section, UserPath
from cortex.urls import check_http_url

Kind = Literal["openai", "azure", "deepseek", "gemini", "kimi", "vllm", "other"]


_CODES = """
af am an ar as az ba be bg bn br bs ca cs cy da de dz el en eo es et eu fa fi fo fr fy ga gd gl gu ha he hi hr
ht hu hy id ig is it ja jv ka kk km kn ko ku ky la lb lg ln lo lt lv mg mk ml mn mr ms mt my ne nl nn no oc om
or pa pl ps pt qu ro ru rw sa se si sk sl sn so sq sr st sv sw ta te tg th tk tl tr tt ug uk ur uz vi vo wa xh
yo zh zu
"""
LANGUAGES = frozenset(_CODES.split())
"""Languages that the check of labels can tell, by ISO 639-1."""


class Known(NamedTuple):
    """Properties of a kind of provider."""

    url: str | None
    """Its address; None where each user has another."""
    key: str
    """The variable that its own clients read the key from."""


KNOWN: dict[Kind, Known] = {
    "openai": Known("https://api.openai.com/v1", "OPENAI_API_KEY"),
    "azure": Known(None, "AZURE_OPENAI_API_KEY"),
    "deepseek": Known("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "gemini": Known("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    "kimi": Known("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
    "vllm": Known(None, "CORTEX_TEACHER_API_KEY"),
    "other": Known(None, "CORTEX_TEACHER_API_KEY"),
}


def _check_language(code: str) -> str:
    if code not in LANGUAGES:
        raise ValueError(f"{code!r} is no code of a language that can be told: write two letters, such as en, de or zh")
    return code


Language = Annotated[str, AfterValidator(_check_language)]


class TokenPrice(Section):
    """Dollars for a million tokens, from the provider's price list."""

    input: float = Field(ge=0)
    """Tokens of the prompt."""
    output: float = Field(ge=0)
    """Tokens of the answer, its reasoning included."""
    cached: float | None = Field(default=None, ge=0)
    """Tokens of the prompt that the provider had in its own cache. None: as `input`."""


class Batch(Section):
    """A provider's batches, in the protocol of OpenAI's Batch API: answers within a day, for less money."""

    share: float = Field(default=0.5, gt=0, le=1)
    """Price of a batch's tokens as a share of `price`; OpenAI's is a half."""
    requests: int = Field(default=10_000, ge=1, le=50_000)
    """Most requests of a batch; batches go one after another. Lower it where an account limits waiting tokens."""
    poll_seconds: float = Field(default=60.0, ge=0.01, le=3600)
    """Seconds between two questions after a batch's state."""


class Provider(Section):
    """An OpenAI-compatible provider of answers."""

    kind: Kind = "other"
    """Gives the address and the key's variable of a known provider; each can be set all the same."""
    name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_-]{0,30}$")
    """The provider's name in messages and beside its answers. Default: its kind."""
    url: Annotated[str, AfterValidator(check_http_url)] | None = None
    """The address up to and including `/v1`; of an Azure deployment with `azure_version`, up to its name."""
    model: str = Field(min_length=1)
    """The model's name there."""
    key: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]{0,60}$")
    """The environment variable that holds the key."""
    price: TokenPrice | None = None
    """Required where `teacher.dollars` limits the cost."""
    terms: str = Field(default="", max_length=500)
    """The provider's terms for training on its answers, in a sentence or an address; kept beside each answer."""
    concurrency: int | None = Field(default=None, ge=1, le=512)
    """Maximum number of concurrent requests. None: `teacher.concurrency`."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """The account's limit of requests."""
    tokens_per_minute: float | None = Field(default=None, gt=0)
    """The account's limit of tokens; each request counts with the longest answer that it allows."""
    temperature: Literal["profile", "default"] = "profile"
    """`default` leaves the temperature to the provider: OpenAI's reasoning models refuse any."""
    length_key: Literal["max_tokens", "max_completion_tokens"] | None = None
    """The parameter for the longest answer. None: `max_completion_tokens` for OpenAI and Azure, else `max_tokens`."""
    batch: Batch | None = None
    """Ask the prompts in batches first; `batch: {}` has the defaults. Only for the first provider."""
    azure_version: str | None = Field(default=None, pattern=r"^[a-z0-9.-]{1,40}$")
    """The `api-version` of an Azure deployment's address; None for Azure's newer address, which ends in /openai/v1."""

    @model_validator(mode="after")
    def _has_address(self) -> Self:
        if not (self.url or KNOWN[self.kind].url):
            raise ValueError(f"a provider of kind {self.kind} has an address of its own: give `url`")
        if self.azure_version and self.kind != "azure":
            raise ValueError(f"azure_version is for kind azure, and this is {self.kind}: remove it")
        return self

    @property
    def called(self) -> str:
        return self.name or self.kind

    @property
    def address(self) -> str:
        return self.url or KNOWN[self.kind].url or ""

    @property
    def key_variable(self) -> str:
        return self.key or KNOWN[self.kind].key

    @property
    def length_parameter(self) -> Literal["max_tokens", "max_completion_tokens"]:
        newer = self.kind in ("openai", "azure")
        return self.length_key or ("max_completion_tokens" if newer else "max_tokens")


class Quality(Section):
    """Rules for answers, beside the domain's own check. A broken one flags the answer, or rejects it."""

    min_words: int = Field(default=0, ge=0)
    """Fewest words of an answer, its reasoning included; shorter ones are flagged."""
    max_words: int | None = Field(default=None, ge=1)
    """Most words; longer ones are flagged."""
    banned: Items[str] = ()
    """Words and phrases, in any case; an answer with one is rejected."""
    alphabet: Literal["latin", "cyrillic", "greek", "arabic", "hebrew", "cjk", "hangul", "devanagari"] | None = None
    """Answers with more than 5% of letters of other alphabets are flagged; ASCII always counts as allowed."""
    arithmetic: bool = True
    """Compute sums, differences, products, quotients and percentages again; an answer with a wrong one is rejected."""
    hindsight: bool = True
    """Flag answers with dates after the prompt's latest, or with words of someone who looks back."""
    contradiction: bool = True
    """Flag answers that are not what their own reasoning concludes: another number, or the opposite of a word."""
    language: Language | None = None
    """The answers' language by its two letters, such as `en`; answers with more than a tenth in others are flagged."""
    similarity: float | None = Field(default=None, gt=0, le=1)
    """Share of four-word sequences in common with an earlier answer from which on an answer is flagged."""
    min_score: float | None = Field(default=None, ge=-0.5, le=1.75)
    """Least dataset score: 1.0 conversation quality - 0.5 bias + 0.75 reasoning; lower ones are flagged."""


class Teacher(Section):
    """The model that writes the reasoning which SFT imitates."""

    model: str = "scripted-teacher"
    """The model's name at the endpoint."""
    url: Annotated[str, AfterValidator(check_http_url)] | None = None
    """An OpenAI-compatible endpoint; None serves the scripted teacher on loopback."""
    port: int = Field(default=0, ge=0, le=65535)
    """The scripted teacher's port; 0 takes a free one."""
    examples: int = Field(default=4000, ge=1)
    """Number of training examples to label, evenly over time."""
    concurrency: int = Field(default=16, ge=1, le=512)
    """Maximum number of concurrent requests."""
    temperature: float = Field(default=0.7, ge=0, le=2)
    """Sampling temperature."""
    max_tokens: int = Field(default=2048, ge=16)
    """Longest answer in tokens, its reasoning included."""
    patience_seconds: float = Field(default=900.0, ge=0, le=86400)
    """Seconds without any answer, be the endpoint down, busy or loading its model, before the stage gives up."""
    providers: Items[Provider] = ()
    """Providers in order of preference, in place of `url` and `model`: the next is asked where one fails or refuses."""
    dollars: float | None = Field(default=None, gt=0)
    """Maximum cost of a run's answers at the providers. None: no limit."""
    tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of a run's prompts and answers at the providers. None: no limit."""
    cache: bool = True
    """Take answers that an earlier run on this machine has got for the same request. The scripted teacher's are not
    cached."""

    samples: int = Field(default=1, ge=1, le=64)
    """Answers to each prompt, of which the best by the domain's grade becomes the label (rejection sampling). The grade
    knows the truth: where that is largely chance, such as tomorrow's price, more samples teach luck."""
    quality: Quality | None = None
    """Further rules for answers; None: the domain's check alone."""
    review: UserPath | None = None
    """A folder of decisions that `cortex review` wrote, on this machine: an answer that people accepted or rejected has
    the grade that they gave."""

    prompt: Annotated[TeacherPrompt, AfterValidator(TeacherPrompt.resolved)] | None = None
    """A system prompt for the teacher alone, which the student never sees: `prompt: {file: guide.md}`, or `prompt: {}`
    for the domain's own."""

    test_examples: int = Field(default=0, ge=0)
    """Test questions that the teacher answers, too, evenly over those of the evaluation: it is judged like the models.
    They count against `dollars` and `tokens`, and no training sees them. With a `prompt`, its own key counts."""

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("`samples` at a `temperature` of 0 are all alike: raise it, or remove `samples`")
        return self

    @model_validator(mode="after")
    def _providers_alone(self) -> Self:
        if not self.providers:
            limit = next((key for key in ("dollars", "tokens") if getattr(self, key) is not None), None)
            if limit:
                raise ValueError(f"`{limit}` limits what `providers` cost, and there are none: list them, or remove it")
            return self
        if self.url:
            raise ValueError("`providers` take the place of `url` and `model`: set `url: null`, or remove `providers`")
        names = [provider.called for provider in self.providers]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"two providers are called {twice!r}: give each a `name` of its own")
        late = next((provider.called for provider in self.providers[1:] if provider.batch), None)
        if late:
            raise ValueError(f"`batch` is for the first provider, and {late!r} is none: move it up, or remove `batch`")
        unpriced = next((provider.called for provider in self.providers if provider.price is None), None)
        if self.dollars is not None and unpriced:
            raise ValueError(f"`dollars` limits the cost, and provider {unpriced!r} has no `price`: give it one")
        return self

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The environment variables with the providers' keys."""
        return tuple(dict.fromkeys(provider.key_variable for provider in self.providers))

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out newer keys that have their defaults: a profile that sets none keeps the hash that it had."""
        newer = ("providers", "dollars", "tokens", "cache", "samples", "quality", "review", "prompt", "test_examples")
        known, written = type(self).model_fields, handler(self)
        return {
            key: value for key, value in written.items() if key not in newer or getattr(self, key) != known[key].default
        }
