"""Which reward source that others made is used, and how: the settings under `sources`. Imports without torch."""

from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from spanwise.core import Config, ImportPath
from spanwise.feedback import Density, PromptConfig
from spanwise.llm.critics import CriticConfig

_NEEDS = {
    "reward": "model",
    "steps": "model",
    "labels": "model",
    "function": "function",
    "http": "url",
    "class": "class",
    "critic": "critic",
}


class SourceConfig(Config):
    """A reward source that is no reward model of ours, named by its key."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    kind: Literal["reward", "steps", "labels", "function", "http", "class", "critic"]
    """reward: a sequence classifier, one score per response (TRL, OpenRLHF, Skywork); steps: a process reward model as
    TRL trains it, one score per step; labels: a token classifier, one probability per token; function: a function of
    TRL's kind; http: an endpoint; class: a reward source of one's own; critic: a language model that marks spans."""
    model: str = ""
    """For reward, steps and labels: folder or Hub name of the model, or the folder of a PEFT adapter of one."""
    label: str = ""
    """The label whose probability counts; empty: the score of a model of one output, else the last label."""
    separator: str = "\n"
    """For steps: what the model was trained to read after each step; its score is read there."""
    function: str = ""
    """For function: import path my.module:name of f(prompts=, completions=, **columns) -> list of numbers or None."""
    url: str = ""
    """For http: address that {"prompts": [...], "completions": [...]} is posted to; it answers {"scores": [...]}, one
    number or null each, or a list of {start, end, value} for parts of the completion."""
    timeout_s: float = Field(default=60.0, gt=0)
    """For http: seconds after which a request is given up."""
    retries: int = Field(default=4, ge=0)
    """For http: how often a request is tried again after time-outs, refused connections and server errors."""
    class_: ImportPath | None = Field(default=None, alias="class")
    """For class: import path my.module:Name of a reward source."""
    options: dict[str, Any] = Field(default_factory=dict)
    """For class: what it is made with."""
    critic: CriticConfig | None = None
    """For critic: the language model and what it marks. Sources with equal ones share its replies."""
    categories: tuple[str, ...] = ()
    """For critic: the categories whose marks this source pays; none named = all of the critic's."""
    placebo: bool = False
    """For critic: the same scores at random places of the same answer, for the arm that shows what places are worth."""
    density: Density = "sequence"
    """For steps: what a step is (paragraph, sentence or sub-sentence). For http: how often it speaks. For critic: parts
    that are each scored from -1 to 1; sequence, the default, scores every mark on its own span."""
    category: str = ""
    """What is judged, as reports call it; empty: the source's name."""
    batch_size: int = Field(default=16, ge=1)
    """Responses per forward pass or request."""
    prompt: PromptConfig = PromptConfig()
    """For models: how they read prompts; auto is chat where the tokenizer has a template, else plain."""

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> "SourceConfig":
        given = {"model": self.model, "function": self.function, "url": self.url, "class": self.class_}
        given |= {"critic": self.critic}
        for name, value in given.items():
            if (name == _NEEDS[self.kind]) != bool(value):
                raise ValueError(f"kind={self.kind} takes {_NEEDS[self.kind]} and none of the others of its like")
        if (self.kind == "steps") == (self.density == "sequence") and self.kind in ("steps", "reward"):
            raise ValueError("steps are parts of a response: set density to paragraph, sentence or sub-sentence")
        if (self.categories or self.placebo) and self.kind != "critic":
            raise ValueError("categories and placebo are of kind=critic")
        if self.options and self.kind != "class":
            raise ValueError("options are of kind=class")
        return self
