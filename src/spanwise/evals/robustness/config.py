"""What `spanwise evaluate robustness` changes and measures, importable without torch."""

from pathlib import Path

from pydantic import Field, model_validator

from spanwise.core import Config
from spanwise.evals.robustness.perturbations import PERTURBATIONS
from spanwise.evals.robustness.probes import PROBES
from spanwise.llm import EndpointConfig
from spanwise.models import AnswerConfig
from spanwise.rewards import AnySource


class RobustnessConfig(Config):
    """`spanwise evaluate robustness`: changed prompts against policies, worthless answers against reward sources."""

    prompts: Path
    """JSONL file of prompts; the first `max_prompts` of them are used."""
    policies: dict[str, str] = Field(default_factory=dict[str, str])
    """Policies to hold against changed prompts, by name: folders or Hub names."""
    responses: Path | None = None
    """JSONL file of ordinary answers to the prompts, which the probes spoil; null takes the first policy's."""
    reward_models: tuple[str, ...] = ()
    """Folders or Hub names of reward models to probe; they also score what policies answer."""
    sources: dict[str, AnySource] = Field(default_factory=dict[str, AnySource])
    """Further reward sources by name, as `spanwise rl` takes them."""
    perturbations: tuple[str, ...] = tuple(PERTURBATIONS)
    """How prompts are changed."""
    probes: tuple[str, ...] = tuple(PROBES)
    """How answers are spoilt."""
    paraphraser: EndpointConfig | None = None
    """A language model that rewords the prompts (perturbation `paraphrased`); what it does not answer is left out."""
    max_prompts: int = Field(default=64, ge=2)
    """Most prompts."""
    answering: AnswerConfig = AnswerConfig()
    """How policies answer."""
    device: str = "auto"
    """Where policies answer: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    resamples: int = Field(default=2000, ge=100)
    """Draws of the bootstrap."""
    confidence_level: float = Field(default=0.95, gt=0, lt=1)
    """How often the intervals hold the true value."""
    seed: int = 0
    """Seed of what is drawn to change prompts, and of the bootstrap."""
    output: Path | None = None
    """Folder for robustness.json and the changed prompts; null prints only."""

    @model_validator(mode="after")
    def _consistent(self) -> "RobustnessConfig":
        for field, known in (("perturbations", PERTURBATIONS), ("probes", PROBES)):
            unknown = [name for name in getattr(self, field) if name not in known]
            if unknown:
                raise ValueError(f"{field}: there is no {unknown[0]!r}; there are {', '.join(known)}")
        if not self.policies and not (self.reward_models or self.sources):
            raise ValueError("name policies to hold against changed prompts, or reward_models or sources to probe")
        if not self.policies and self.responses is None:
            raise ValueError("probes spoil ordinary answers; name responses, or a policy that gives them")
        return self
