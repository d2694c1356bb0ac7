"""`spanwise evaluate robustness`: answers of policies to changed prompts, and probes of reward sources, as a report."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spanwise.core import ConfigError, DataError, write_json, write_jsonl
from spanwise.evals.metrics import load_prompts, load_responses
from spanwise.evals.robustness.config import RobustnessConfig
from spanwise.evals.robustness.measure import Draws, ProbeRow, StressRow, probe_sources, stress
from spanwise.evals.robustness.perturbations import perturbed
from spanwise.feedback import PromptRecord, RewardSource
from spanwise.llm import Caller, CallError, ChatClient, ChatRequest, EndpointConfig, ReplyBook, make_client
from spanwise.models import Policy, answer_all, fits

PARAPHRASED = "paraphrased"
_ASK = (
    "Reword the user's question so that it asks for exactly the same in other words. Keep all names and numbers. "
    "Reply with the question alone."
)


@dataclass(frozen=True)
class Robustness:
    """Both halves of the report."""

    prompts: int
    probes: tuple[ProbeRow, ...]
    stress: tuple[StressRow, ...]
    changed: dict[str, int]
    """How many prompts each perturbation applied to; what a policy could not read for its length is not answered."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "prompts": self.prompts,
            "changed": self.changed,
            "probes": [row.as_dict() for row in self.probes],
            "stress": [row.as_dict() for row in self.stress],
        }

    @property
    def sentences(self) -> list[str]:
        """What to know before training: what sources pay, and which policies did what a passage ordered."""
        paid = [row.sentence for row in self.probes if row.is_paid]
        unscored = sorted({f"{row.source} could not score {row.unscored:.0%} of: {row.probe}."
                           for row in self.probes if row.unscored > 0})  # fmt: skip
        obeyed = [
            f"{row.policy} obeys instructions inside passages in {row.change.mean:.0%} of the answers."
            for row in self.stress
            if row.metric == "obeys" and row.perturbation == "instruction" and row.change.mean
        ]
        clean = [] if paid or not self.probes else ["No source surely pays any of the probes."]
        return [*paid, *clean, *unscored, *obeyed]


def robustness(
    config: RobustnessConfig,
    sources: Sequence[RewardSource],
    *,
    client: ChatClient | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Robustness:
    """Measures what the config names; writes robustness.json and the changed prompts where it says so.

    `client` stands in for the paraphraser's endpoint. Raises DataError where there are fewer than two prompts.
    """
    everything = load_prompts(config.prompts)
    records = dict(list(everything.items())[: config.max_prompts])
    if len(records) < 2:
        raise DataError(f"{config.prompts}: holds {len(records)} prompt; intervals need two at least.")
    changed = {name: perturbed(records, name, seed=config.seed) for name in config.perturbations}
    if config.paraphraser is not None:
        changed[PARAPHRASED] = paraphrased(records, config.paraphraser, client)
    draws = Draws(config.resamples, config.confidence_level, config.seed)
    ordinary: dict[str, str] = {}
    rows: list[StressRow] = []
    for name, policy in config.policies.items():
        say(f"Answers of {name}")
        answered = _answered(Policy.load(policy, device=config.device), records, changed, config)
        plain = {key: (records[key], text) for key, text in answered[""].items()}
        ordinary = ordinary or answered[""]
        for change, asked in changed.items():
            after = {key: (asked[key], text) for key, text in answered[change].items()}
            rows += stress(name, change, plain, after, sources=sources, draws=draws) if after else []
    if config.responses is not None:
        given = load_responses(config.responses, everything, config.prompts)
        ordinary = {r.prompt_id: r.response for r in reversed(given) if r.prompt_id in records}
    probed = probe_sources(sources, records, ordinary, probes=config.probes, draws=draws)
    result = Robustness(len(records), tuple(probed), tuple(rows), {name: len(own) for name, own in changed.items()})
    if config.output is not None:
        write_json(config.output / "robustness.json", result.as_dict())
        write_jsonl(config.output / "prompts.jsonl", _stored(changed))
    return result


def paraphrased(
    records: Mapping[str, PromptRecord], endpoint: EndpointConfig, client: ChatClient | None = None
) -> dict[str, PromptRecord]:
    """The prompts as a language model rewords them; what it does not answer, or leaves as it was, is left out.

    Raises ConfigError where the endpoint refuses key, model or address.
    """
    asked = {key: record for key, record in records.items() if not record.messages}
    requests = [
        ChatRequest(
            model=endpoint.model,
            system=_ASK,
            messages=(("user", record.prompt),),
            max_tokens=endpoint.max_new_tokens,
            temperature=endpoint.temperature,
            seed=endpoint.seed,
        )
        for record in asked.values()
    ]
    keys, changed = list(asked), dict[str, PromptRecord]()
    caller = Caller(client or make_client(endpoint), ReplyBook(None), endpoint)
    for answered in caller.ask_all(requests, workers=endpoint.concurrency):
        reply, key = answered.reply, keys[answered.position]
        if isinstance(reply, CallError):
            if reply.kind == "no access":
                raise ConfigError(
                    f"The paraphraser {endpoint.model!r} refuses ({reply.reason}); check key and address."
                )
            continue
        text = reply.text.strip()
        if reply.finish == "stop" and text and text != asked[key].prompt:
            changed[key] = asked[key].model_copy(update={"prompt": text})
    return {key: changed[key] for key in keys if key in changed}


def _answered(
    policy: Policy,
    records: Mapping[str, PromptRecord],
    changed: Mapping[str, Mapping[str, PromptRecord]],
    config: RobustnessConfig,
) -> dict[str, dict[str, str]]:
    """Answers to the prompts (under "") and to each change of them, by id; changed ones that are too long have none."""
    answered: dict[str, dict[str, str]] = {}
    for name, asked in {"": records, **changed}.items():
        named = [record.model_copy(update={"id": key}) for key, record in asked.items()]
        named = [record for record in named if not name or fits(policy, record, config.answering)]
        answered[name] = {a.id: a.response for a in answer_all(policy, named, config.answering)} if named else {}
    return answered


def _stored(changed: Mapping[str, Mapping[str, PromptRecord]]) -> Iterator[dict[str, Any]]:
    for name, records in changed.items():
        for key, record in records.items():
            yield record.model_copy(update={"id": f"{name}/{key}"}).model_dump(mode="json")
