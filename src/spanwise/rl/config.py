"""Every setting of an RL run, in small sections, with the checks that must fail before work starts.

`TrainerConfig` is what the trainer reads; `RLConfig` adds the paths that the command line needs. Counts named
responses are responses, not prompts. Knows nothing of models or of the rewards themselves.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from spanwise.core import Config, ImportPath, LoraConfig
from spanwise.feedback import PromptConfig
from spanwise.models import PrecisionName, Sampling
from spanwise.rewards import RewardsConfig
from spanwise.rl.alarms import AlarmConfig
from spanwise.training import OptimizerConfig

AlgorithmName = Literal["ppo", "grpo", "rloo", "reinforce++", "expert-iteration"]
DenseEstimator = Literal["grpo", "rloo"]
"""How tokens of responses to one prompt are compared: with the mean of all of them, or with that of the others."""
Match = Literal["position", "relative"]
"""Which token of another response corresponds to token t of a response of n tokens.

`position`: its token t, or its last one where it is shorter. It does not depend on how the response goes on, so the
baseline leaves the policy gradient unbiased. `relative`: its token floor(t * m / n) of m. It compares beginnings with
beginnings and ends with ends, but n depends on tokens after t, so the gradient is biased.
"""
KLEstimator = Literal["k1", "k2", "k3"]
"""How the KL of a token is estimated; `kl.token_kl` says which is what."""
LossAggregation = Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"]
"""How the losses of tokens become the loss of a minibatch, under verl's names.

`token-mean`: the mean over all tokens. The others are means over responses, of the sum over the response's tokens, of
their mean, or of their sum divided by the longest length allowed (Dr. GRPO's constant).
"""


class ServerConfig(Config):
    """A running vLLM server that samples the rollouts (rollout.backend=vllm-server)."""

    base_url: str = "http://127.0.0.1:8000"
    """Its address, without /v1. A key for it is read from the environment variable VLLM_API_KEY."""
    weights_dir: Path | None = None
    """Folder for the policy's weights on their way to the server, which must see it under this very path; null =
    rollout-weights in run_dir."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Seconds after which a request is given up."""
    retries: int = Field(default=4, ge=0)
    """How often a request is repeated after a time-out or an error of the server, with growing pauses."""
    concurrency: int = Field(default=64, ge=1)
    """Prompts under way at a time."""

    RENAMED: ClassVar[Mapping[str, str]] = {"url": "base_url"}


class CorrectionConfig(Config):
    """How samples of another engine than the policy itself are weighted; without effect with the policy's own."""

    how: Literal["truncate", "mask", "none"] = "truncate"
    """truncate: the weight of a token is p / q, at most `cap` (Yao et al. 2025). mask: p / q, and 0 outside of 1 / cap
    to cap (Team Ling 2025, IcePop). none: 1, which is biased."""
    cap: float = Field(default=2.0, gt=1)
    """The bound of the weights."""


class RolloutConfig(Config):
    """How many responses a step takes."""

    prompts_per_step: int = Field(default=16, ge=1)
    """Prompts taken per step, in an order that is shuffled anew for each pass over the prompts."""
    samples_per_prompt: int = Field(default=4, ge=1)
    """Responses sampled for each prompt."""
    max_prompt_tokens: int = Field(default=512, ge=1)
    """Longest prompt in tokens; a longer one is refused before the run starts."""
    backend: Literal["transformers", "vllm", "vllm-server"] = "transformers"
    """What samples: transformers (the policy itself), vllm (an engine in the same process, which must be installed) or
    vllm-server (a running `vllm serve`). The latter two need sampling.top_k=0 and a causal policy."""
    vllm_memory: float = Field(default=0.4, gt=0, lt=1)
    """Share of the GPU's memory that vLLM takes in the same process."""
    server: ServerConfig = ServerConfig()
    correction: CorrectionConfig = CorrectionConfig()

    def responses_per_step(self) -> int:
        """Responses sampled per step."""
        return self.prompts_per_step * self.samples_per_prompt


class KLConfig(Config):
    """The penalty for leaving the reference policy."""

    where: Literal["reward", "loss"] = "reward"
    """reward: subtracted from the reward of every token. loss: added to the policy loss, where k2 has the gradient of
    KL(policy || reference), k3 that of KL(reference || policy), and k1 none on average."""

    coef: float = Field(default=0.1, ge=0)
    """Weight of the KL penalty (kl_coef), or its first value when `target` is set. With 0 there is no reference: its
    weights are not held, its pass is spared and no KL is logged; a weight such as 1e-9 measures the KL all the same."""
    estimator: KLEstimator = "k1"
    """Per-token estimator; see docs/reference/algorithms.md."""
    target: float | None = Field(default=None, gt=0)
    """Mean KL per response to steer towards by adapting the weight; null keeps the weight fixed."""
    horizon: int = Field(default=10_000, ge=1)
    """Responses over which an adaptive weight moves by at most about a fifth."""

    @model_validator(mode="after")
    def _can_adapt(self) -> "KLConfig":
        if self.target is not None and self.coef == 0:
            raise ValueError("kl.target multiplies kl.coef, which 0 never leaves; set kl.coef above 0")
        return self


class PPOConfig(Config):
    """Advantage and losses of PPO; gamma, clipping and loss_aggregation hold for the other algorithms too."""

    gamma: float = Field(default=1.0, ge=0, le=1)
    """Discount per token."""
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    """Decay of generalised advantage estimation: 1 trusts the sampled rewards, 0 the value model."""
    gae_lambda_value: float | None = Field(default=None, ge=0, le=1)
    """Decay for the returns that the value model learns, where it differs (decoupled GAE); null = gae_lambda."""
    length_adaptive_alpha: float | None = Field(default=None, gt=0)
    """With a number, gae_lambda is 1 - 1 / (alpha * length) of each response instead (VAPO takes 0.05)."""
    clip_range: float = Field(default=0.2, gt=0)
    """How far the probability ratio may move before its gradient stops."""
    clip_range_high: float | None = Field(default=None, gt=0)
    """How far it may rise, where that differs from how far it may fall; null = clip_range."""
    dual_clip: float | None = Field(default=None, gt=1)
    """With a number, the loss of a token with a negative advantage grows no further once its ratio reaches this."""
    loss_aggregation: LossAggregation = "token-mean"
    """How token losses make the policy loss of a minibatch: token-mean, or the mean over responses of their sum
    (seq-mean-token-sum), of their mean (seq-mean-token-mean) or of their sum over sampling.max_new_tokens
    (seq-mean-token-sum-norm)."""
    max_probability: float | None = Field(default=None, gt=0, lt=1)
    """With a number, only tokens that were drawn with at most this probability teach the policy (SPO takes 0.9): where
    it was sure, there was no choice to learn from. null lets all teach."""
    clip_range_value: float = Field(default=0.2, gt=0)
    """How far a value may move from the value at sampling before its gradient stops."""
    value_coef: float = Field(default=0.1, gt=0)
    """Weight of the value loss beside the policy loss where the two share a backbone (value_backbone=policy)."""
    normalize_advantages: bool = True
    """Give the advantages of a step mean 0 and variance 1 over its tokens."""
    scale_rewards: bool = False
    """Divide the token rewards of a step by their standard deviation."""


class GroupConfig(Config):
    """How grpo and rloo compare the responses to one prompt."""

    match: Match = "position"
    """Which token of another response a token is compared with: position (the same place from the start; unbiased) or
    relative (the same share of the length; biased, because the length depends on what follows)."""
    divide_by_std: bool = True
    """grpo: divide by the deviation within the group; false gives the advantages of Dr. GRPO."""


class UpdateConfig(Config):
    """How the responses of one step are used."""

    epochs: int = Field(default=4, ge=1)
    """Passes over the responses of a step."""
    minibatch_size: int | None = Field(default=None, ge=1)
    """Responses per optimiser update; null takes all responses of the step at once. Responses to one prompt stay
    together as far as that goes, so a multiple of rollout.samples_per_prompt reads every prompt once per epoch."""
    micro_batch_size: int = Field(default=16, ge=1)
    """Responses per forward pass at most: sets memory and speed, never the result."""
    micro_batch_tokens: int | None = Field(default=None, ge=1)
    """Tokens per forward pass at most, padding included; responses of like length are read together. null sets no
    limit. Like micro_batch_size it is halved once in a run if memory runs out."""
    target_kl: float | None = Field(default=None, gt=0)
    """Skip the rest of a step's updates once the mean KL per token between old and new policy exceeds this."""


class EvaluationConfig(Config):
    """Measuring the policy on held-out prompts."""

    every: int = Field(default=10, ge=1)
    """Steps between evaluations; one comes before the first step and one after the last in any case."""
    decoding: Literal["greedy", "sample"] = "greedy"
    """Greedy responses, or responses sampled as in the rollouts from the same random numbers each time."""
    best_of: int = Field(default=1, ge=1)
    """With decoding=sample: sample this many responses per prompt and judge the one with the highest reward."""
    max_prompts: int = Field(default=64, ge=1)
    """At most this many held-out prompts, the first of the file."""
    logged_samples: int = Field(default=4, ge=0)
    """Held-out prompts whose responses go to samples.jsonl with their token rewards at every evaluation."""


class TrainingStatesConfig(Config):
    """Training states, from which a killed run goes on."""

    every: int = Field(default=10, ge=1)
    """Steps between training states; one is written after the last step in any case."""
    keep: int = Field(default=2, ge=1)
    """How many of the newest training states stay on disk; the best policy is kept besides."""


class TrainerConfig(Config):
    """Everything that decides the numbers of an RL run, apart from models, rewards and prompts."""

    seed: int = 0
    """The seed from which every random draw of the run follows."""
    prompt: PromptConfig = PromptConfig()
    """How the policy reads prompts; kept in the checkpoint. Reward models read them as they were trained to."""
    steps: int = Field(default=100, ge=1)
    """Rollouts, each followed by its updates. A run that is resumed may be given more; rates that warm up or decay
    then follow the longer schedule from there on."""
    algorithm: AlgorithmName | ImportPath = "ppo"
    """ppo (with a value model), grpo or rloo (the responses to a prompt are compared), reinforce++ (neither), or
    expert-iteration (the best response to each prompt is learned), or my.module:Name of one's own."""
    value_warmup_steps: int = Field(default=2, ge=0)
    """How many of the first steps train the value model only; without effect where there is none."""
    value_backbone: Literal["own", "policy"] = "own"
    """What the value head reads: own (states of a model of its own, or with lora of an adapter of its own) or policy
    (the policy's states: half the work of an update; value_optimizer then trains the head alone)."""
    compile: bool = False
    """Compile the reading of whole responses and what follows the vocabulary head: a minute or so at the start, faster
    steps after it, last bits that differ."""
    rollout: RolloutConfig = RolloutConfig()
    sampling: Sampling = Sampling()
    kl: KLConfig = KLConfig()
    ppo: PPOConfig = PPOConfig()
    group: GroupConfig = GroupConfig()
    lora: LoraConfig | None = None
    """Train adapters on frozen weights that policy, reference, value model and reward models trained as adapters on the
    same base model share; null trains all weights."""
    update: UpdateConfig = UpdateConfig()
    policy_optimizer: OptimizerConfig = OptimizerConfig()
    value_optimizer: OptimizerConfig = OptimizerConfig(learning_rate=5e-5)
    evaluation: EvaluationConfig = EvaluationConfig()
    training_states: TrainingStatesConfig = TrainingStatesConfig()
    alarms: AlarmConfig = AlarmConfig()

    RENAMED: ClassVar[Mapping[str, str]] = {
        "checkpoint": "training_states",
        "compat": "the defects of the paper's code are no settings of a run any more; remove the section, "
        "`python -m experiments.run paper_defects` shows what they do.",
    }

    @model_validator(mode="after")
    def _consistent(self) -> "TrainerConfig":
        self._check_sizes()
        if self.algorithm in ("grpo", "rloo", "expert-iteration") and self.rollout.samples_per_prompt < 2:
            raise ValueError(
                f"algorithm={self.algorithm} compares responses to one prompt; set rollout.samples_per_prompt above 1"
            )
        if self.rollout.backend != "transformers" and self.sampling.top_k > 0:
            raise ValueError(
                f"rollout.backend={self.rollout.backend} cannot replay sampling.top_k, which would bias; set it to 0"
            )
        if self.evaluation.best_of > 1 and self.evaluation.decoding == "greedy":
            raise ValueError("evaluation.best_of needs several responses; set evaluation.decoding=sample")
        return self

    def _check_sizes(self) -> None:
        responses = self.rollout.responses_per_step()
        if self.value_warmup_steps >= self.steps:
            raise ValueError(
                f"value_warmup_steps={self.value_warmup_steps} leaves no step of {self.steps} to the policy; lower it"
            )
        if self.update.minibatch_size is not None and self.update.minibatch_size > responses:
            raise ValueError(
                f"update.minibatch_size={self.update.minibatch_size} exceeds the {responses} responses of a step "
                "(rollout.prompts_per_step x rollout.samples_per_prompt); lower it"
            )


class RLConfig(TrainerConfig, RewardsConfig):
    """`spanwise rl`: PPO with rewards on parts of answers."""

    policy: str
    """Folder or Hub name of the policy to start from; a frozen copy of it is the reference."""
    prompts: Path
    """JSONL file of prompts to train on."""
    heldout: Path
    """JSONL file of prompts to evaluate on; they choose the best checkpoint."""
    run_dir: Path
    """Folder for config, metrics, samples and checkpoints."""
    resume: Literal["auto", "never"] = "auto"
    """auto: go on from the newest training state in run_dir when it holds this very run. never: refuse a run_dir that
    holds a run."""
    device: str = "auto"
    """Where policy, value model and reward models run: cpu, cuda, cuda:1, ...; auto takes a GPU where there is one."""
    dtype: PrecisionName = "float32"
    """Precision of policy, reference and value model. bfloat16: half the memory and faster where the processor is made
    for it; updates are added up in float32. auto: bfloat16 there, float32 elsewhere."""
    attention: str | None = None
    """How policy, reference and value model attend, by transformers' name; null: as it chooses. With flash_attention_2
    or flex_attention on a GPU, responses are read one behind the other, without padding."""

    RENAMED: ClassVar[Mapping[str, str]] = {"heldout_prompts": "heldout"}
