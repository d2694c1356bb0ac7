from spanwise.evals.pages.reward import RewardFindings, render_reward_page
from spanwise.evals.statistics.results import RewardModelQuality


def test_the_page_says_what_was_left_out_and_writes_minus_signs():
    quality = {"relevance": RewardModelQuality(label="relevance", metrics={"auroc": 0.8, "accuracy": 0.7})}
    found = RewardFindings(
        checkpoint="runs/reward",
        quality=quality,
        bias={"relevance": {"length_correlation": -0.529}},
        agreement={"relevance / factuality": -0.267},
        transfer={},
        left_out={"relevance/short spans": 1200},
    )
    page = render_reward_page(found)
    assert "relevance/short spans: 1,200" in page
    assert "\u22120.529" in page
    assert "\u22120.267" in page
