import numpy as np
import pytest
from scipy.optimize import minimize

from spanwise.reward_models.fitting.linear_segments import Block, fit_pair_head, fit_segment_head


def world(rows=400, columns=4, seed=0):
    generator = np.random.default_rng(seed)
    inputs = generator.normal(size=(rows, columns)) * [1.0, 10.0, 0.1, 1.0][:columns] + 3.0
    return generator, inputs


def test_the_head_is_the_ridge_optimum_on_standardised_inputs():
    generator, inputs = world()
    right = 1.0 * (generator.random(400) < 1 / (1 + np.exp(-2 * (inputs[:, 0] - 3))))
    head = fit_segment_head(inputs, right, [Block(3), Block(1, scale=0.5)], strength=0.7)
    standard = (inputs - inputs.mean(0)) / inputs.std(0) * [1, 1, 1, 0.5]

    def objective(parameters):
        z = standard @ parameters[:-1] + parameters[-1]
        loss = np.logaddexp(0, z) - right * z
        return 0.7 * loss.sum() + 0.5 * (parameters[:-1] ** 2).sum()

    best = minimize(objective, np.zeros(5), tol=1e-10).x
    np.testing.assert_allclose(head.logits(inputs), standard @ best[:-1] + best[-1], atol=2e-3)


def test_a_block_of_small_scale_is_trusted_less():
    generator, inputs = world(columns=2)
    right = 1.0 * ((inputs[:, 0] - 3) + (inputs[:, 1] - 3) / 10 + generator.normal(size=400) > 0)
    trusted = fit_segment_head(inputs, right, [Block(1), Block(1)], strength=0.01)
    doubted = fit_segment_head(inputs, right, [Block(1), Block(1, scale=0.05)], strength=0.01)
    assert abs(doubted.weights[1]) < 0.1 * abs(trusted.weights[1])


def test_an_input_that_never_varies_gets_no_weight():
    generator, inputs = world(columns=2)
    inputs[:, 1] = 7.0
    head = fit_segment_head(inputs, 1.0 * (generator.random(400) < 0.5), [Block(2)], strength=1.0)
    assert head.weights[1] == 0


def test_labels_between_right_and_wrong_pull_in_proportion():
    generator, inputs = world()
    right = generator.random(400)
    head = fit_segment_head(inputs, right, [Block(4)], strength=0.7)
    standard = (inputs - inputs.mean(0)) / inputs.std(0)

    def objective(parameters):
        z = standard @ parameters[:-1] + parameters[-1]
        return 0.7 * (np.logaddexp(0, z) - right * z).sum() + 0.5 * (parameters[:-1] ** 2).sum()

    best = minimize(objective, np.zeros(5), tol=1e-10).x
    np.testing.assert_allclose(head.logits(inputs), standard @ best[:-1] + best[-1], atol=1e-3)


@pytest.mark.parametrize(("label", "sign"), [(1.0, 1), (0.0, -1)])
def test_one_sided_labels_give_the_odds_of_one_more_than_was_seen(label, sign):
    head = fit_segment_head(np.arange(8.0)[:, None], np.full(8, label), [Block(1)], strength=1.0)
    np.testing.assert_allclose(head.logits(np.array([[100.0]])), sign * np.log(9))


@pytest.mark.parametrize("advantage", [0.0, 1.5])
def test_pairs_give_the_merit_without_the_worth_of_the_first_place(advantage):
    generator = np.random.default_rng(1)
    responses = generator.normal(size=(4000, 2))
    first, second = np.arange(0, 4000, 2), np.arange(1, 4000, 2)
    wins = generator.random(2000) < 1 / (1 + np.exp(-(2 * (responses[first, 0] - responses[second, 0]) + advantage)))
    better, worse = np.where(wins, first, second), np.where(wins, second, first)
    order = np.where(wins, 1.0, -1.0)
    head = fit_pair_head(responses, better, worse, order, [Block(2)], strength=100.0)
    assert head.weights[0] == pytest.approx(2.0, abs=0.25)
    assert head.weights[1] == pytest.approx(0.0, abs=0.15)
    assert head.order_offset == pytest.approx(advantage, abs=0.2)


def test_turning_every_pair_around_changes_nothing_where_the_order_is_unknown():
    generator = np.random.default_rng(2)
    responses = generator.normal(size=(60, 3))
    better, worse, order = np.arange(30), np.arange(30, 60), np.zeros(30)
    forth = fit_pair_head(responses, better, worse, order, [Block(3)], strength=1.0)
    back = fit_pair_head(responses, worse, better, order, [Block(3)], strength=1.0)
    np.testing.assert_allclose(forth.weights, -back.weights, atol=1e-4)
    assert forth.order_offset == pytest.approx(0.0, abs=1e-6)


def test_a_pair_of_some_confidence_counts_as_so_many_pairs_each_way():
    random = np.random.default_rng(0)
    responses = random.normal(size=(8, 3))
    better, worse = np.array([0, 2, 4, 6]), np.array([1, 3, 5, 7])
    order = np.array([1.0, -1.0, 1.0, 0.0])
    soft = fit_pair_head(responses, better, worse, order, [Block(3)], strength=4.0, confidence=np.full(4, 0.75))
    both = [np.concatenate([better] * 3 + [worse]), np.concatenate([worse] * 3 + [better])]
    orders = np.concatenate([order] * 3 + [-order])
    hard = fit_pair_head(responses, *both, orders, [Block(3)], strength=1.0)
    assert soft.weights == pytest.approx(hard.weights, abs=1e-4)
    assert soft.order_offset == pytest.approx(hard.order_offset, abs=1e-4)
