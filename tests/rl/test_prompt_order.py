"""Every prompt once per pass, a new order in each pass, and any step can be had by itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from spanwise.rl.rollout import prompts_of_step


@settings(deadline=None)
@given(prompts=st.integers(1, 12), count=st.integers(1, 15), seed=st.integers(0, 5))
def test_passes_follow_one_another_without_gap_or_repeat(prompts, count, seed):
    taken = [p for step in range(prompts) for p in prompts_of_step(range(prompts), step=step, count=count, seed=seed)]
    assert len(taken) == prompts * count
    for start in range(0, len(taken), prompts):
        assert sorted(taken[start : start + prompts]) == list(range(prompts))


def test_passes_differ_and_seeds_differ():
    orders = {tuple(prompts_of_step(range(20), step=s, count=20, seed=seed)) for s in range(3) for seed in range(3)}
    assert len(orders) == 9
