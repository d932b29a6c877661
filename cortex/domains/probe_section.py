"""The number of further questions that the judged model is asked: the section `evaluate.probes` of a profile."""

from pydantic import Field

from cortex.section import Section


class ProbeCounts(Section):
    """Numbers of test questions to ask again, in other ways, of the model that the verdict is about. 0 asks none."""

    repeated: int = Field(default=0, ge=0, le=5000)
    """Test questions to answer several times, at `temperature`."""
    answers: int = Field(default=5, ge=2, le=100)
    """Answers to each question of `repeated`."""
    temperature: float = Field(default=1.0, gt=0, le=2)
    """Sampling temperature of `repeated`."""
    reworded: int = Field(default=0, ge=0, le=5000)
    """Test questions to ask in each of the domain's other wordings, where it has any."""
    permuted: int = Field(default=0, ge=0, le=5000)
    """Test questions among which one feature's values are exchanged, for each of `features`."""
    features: int = Field(default=8, ge=1, le=1000)
    """Features to permute: those that go with the outcome most in training."""
    odd: int = Field(default=0, ge=0, le=5000)
    """Test questions to ask with each oddity of the domain: a value that is missing or impossible, a hostile name."""
    recalled: int = Field(default=0, ge=0, le=500)
    """Past dates, or what else the domain's examples are known by, to ask for from memory; the base is asked, too."""

    @property
    def asks_any(self) -> bool:
        return any((self.repeated, self.reworded, self.permuted, self.odd, self.recalled))
