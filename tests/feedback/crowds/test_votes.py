import itertools
import sys

import numpy as np
import pytest

from spanwise.core import ConfigError
from spanwise.feedback.crowds.votes import Votes, Weighed, by_number, halves, informedness, posterior, weigh


def votes_of(table, labels=2):
    """Rows are units, columns people; -1 = not judged."""
    table = np.asarray(table)
    unit, annotator = np.nonzero(table >= 0)
    return Votes(unit, annotator, table[unit, annotator], len(table), table.shape[1], labels)


def simulated(confusion, units, *, seed=0, prior=(0.7, 0.3), overlap=None):
    random = np.random.default_rng(seed)
    confusion = np.asarray(confusion)
    truth = random.choice(len(prior), size=units, p=prior)
    table = np.array([[random.choice(len(prior), p=person[t]) for person in confusion] for t in truth])
    if overlap is not None:
        for row in table:
            row[random.permutation(len(confusion))[overlap:]] = -1
    return truth, votes_of(table, len(prior))


def test_one_step_by_hand():
    """Three people on two units; the shares are 2/3 and 1/3, with one count added to all and two to what is right."""
    votes = votes_of([[1, 1, 0], [0, 0, 1]])
    rates = weigh(votes, "share")
    assert rates.beliefs[:, 1].tolist() == pytest.approx([2 / 3, 1 / 3])
    assert rates.prior.tolist() == pytest.approx([0.5, 0.5])
    first = rates.confusion[0]  # says 1 of unit 0 and 0 of unit 1
    assert first[1].tolist() == pytest.approx([(1 / 3 + 1) / 4, (2 / 3 + 2) / 4])
    assert first[0].tolist() == pytest.approx([(2 / 3 + 2) / 4, (1 / 3 + 1) / 4])
    assert rates.confusion[2, 1].tolist() == pytest.approx([(2 / 3 + 1) / 4, (1 / 3 + 2) / 4])
    good, odd = 2 / 3, 7 / 12
    told_1, told_0 = good * good * (1 - odd), (1 - good) * (1 - good) * odd
    assert posterior(votes, rates)[0, 1] == pytest.approx(told_1 / (told_1 + told_0))


def test_the_posterior_is_that_of_brute_force():
    random = np.random.default_rng(1)
    confusion = random.dirichlet([1.0, 1.0, 1.0], size=(4, 3))
    prior = np.array([0.5, 0.3, 0.2])
    _, votes = simulated(confusion, 6, prior=prior, overlap=3)
    found = posterior(votes, Weighed(np.zeros((6, 3)), prior, confusion, np.ones((4, 3))))
    for unit in range(6):
        said = [(a, s) for u, a, s in zip(votes.unit, votes.annotator, votes.label, strict=True) if u == unit]
        joint = [prior[t] * np.prod([confusion[a, t, s] for a, s in said]) for t in range(3)]
        assert found[unit].tolist() == pytest.approx((np.array(joint) / sum(joint)).tolist())


def test_known_confusion_matrices_come_back():
    confusion = [
        [[0.95, 0.05], [0.2, 0.8]],
        [[0.8, 0.2], [0.1, 0.9]],
        [[0.5, 0.5], [0.5, 0.5]],
        [[0.9, 0.1], [0.4, 0.6]],
    ]
    truth, votes = simulated(confusion, 4000)
    rates = weigh(votes)
    assert np.abs(rates.confusion - confusion).max() < 0.05
    assert rates.prior[1] == pytest.approx(0.3, abs=0.03)
    value, error = informedness(rates)
    assert value.tolist() == pytest.approx([0.75, 0.7, 0.0, 0.5], abs=0.07)
    assert (np.abs(value - [0.75, 0.7, 0.0, 0.5]) < 5 * error + 0.03).all()
    right = (rates.beliefs.argmax(1) == truth).mean()
    assert right > (weigh(votes, "majority").beliefs[:, 1].round() == truth).mean()


def test_an_ideal_annotator_outvotes_four_at_chance():
    chance = [[0.5, 0.5], [0.5, 0.5]]
    good = [[0.98, 0.02], [0.02, 0.98]]
    truth, votes = simulated([good, good, chance, chance, chance, chance], 1500)
    assert (weigh(votes).beliefs.argmax(1) == truth).mean() > 0.96
    assert (weigh(votes, "majority").beliefs.argmax(1) == truth).mean() < 0.93


def test_a_few_answers_make_nobody_infallible():
    rates = weigh(votes_of([[1, 1], [0, 0]]))
    assert rates.confusion.max() < 0.81
    assert 0.6 < rates.beliefs[0, 1] < 0.99


def test_majority_shares_ties_out():
    assert weigh(votes_of([[1, 0], [1, 1]]), "majority").beliefs[:, 1].tolist() == [0.5, 1.0]


def test_halves_tell_who_stopped_looking():
    random = np.random.default_rng(0)
    truth = random.integers(2, size=800)
    tired = np.where(np.arange(800) < 400, truth, random.integers(2, size=800))
    table = np.stack([truth, np.where(random.random(800) < 0.1, 1 - truth, truth), tired], axis=1)
    votes = votes_of(table)
    value, _ = informedness(halves(votes, weigh(votes).beliefs))
    assert value[4] - value[5] > 0.8
    assert abs(value[2] - value[3]) < 0.1


def test_what_more_annotations_tell_is_that_of_enumeration():
    confusion = np.array([[[0.9, 0.1], [0.3, 0.7]], [[0.8, 0.2], [0.1, 0.9]], [[0.5, 0.5], [0.5, 0.5]]])
    prior = np.array([0.75, 0.25])
    found = by_number(Weighed(np.zeros((1, 2)), prior, confusion, np.ones((3, 2))), 3)
    for number, (bits, wrong) in enumerate(found, start=1):
        left, errors = [], []
        for people in itertools.combinations(range(3), number):
            for said in itertools.product(range(2), repeat=number):
                joint = [
                    prior[t] * np.prod([confusion[p, t, s] for p, s in zip(people, said, strict=True)])
                    for t in range(2)
                ]
                share = np.array(joint) / sum(joint)
                left.append(sum(joint) * -(share * np.log2(share)).sum())
                errors.append(sum(joint) * (1 - share.max()))
        teams = len(list(itertools.combinations(range(3), number)))
        entropy = -(prior * np.log2(prior)).sum()
        assert bits == pytest.approx(entropy - sum(left) / teams, abs=0.03)
        assert wrong == pytest.approx(sum(errors) / teams, abs=0.015)


def test_more_annotations_than_people_are_refused():
    with pytest.raises(ConfigError, match="ask for 1 to 2"):
        by_number(weigh(votes_of([[1, 1], [0, 0]])), 3)


@pytest.mark.parametrize("method", ["mace", "glad", "one-coin-dawid-skene"])
def test_without_crowd_kit_one_sentence_says_what_to_do(method, monkeypatch):
    monkeypatch.setitem(sys.modules, "crowdkit.aggregation", None)
    with pytest.raises(ConfigError, match=r"install spanwise\[reliability\]"):
        weigh(votes_of([[1, 1], [0, 0]]), method)


@pytest.mark.filterwarnings("ignore::Warning")  # pandas 3.1 warns of what crowd-kit 1.4 does
def test_crowd_kit_agrees_where_it_is_installed():
    aggregation = pytest.importorskip("crowdkit.aggregation")
    pandas = pytest.importorskip("pandas")
    confusion = [[[0.9, 0.1], [0.2, 0.8]], [[0.8, 0.2], [0.1, 0.9]], [[0.6, 0.4], [0.4, 0.6]], [[0.9, 0.1], [0.4, 0.6]]]
    _, votes = simulated(confusion, 300)
    frame = pandas.DataFrame({"task": votes.unit, "worker": votes.annotator, "label": votes.label})
    theirs = aggregation.DawidSkene(n_iter=1000, tol=1e-12).fit_predict_proba(frame).sort_index()
    ours = weigh(votes, added=1e-9)
    assert np.abs(ours.beliefs - theirs[[0, 1]].to_numpy()).max() < 1e-3
    for method in ("mace", "glad", "one-coin-dawid-skene"):
        rates = weigh(votes, method)
        assert rates.beliefs.sum(1) == pytest.approx(np.ones(300))


def test_an_unknown_method_is_refused():
    with pytest.raises(ConfigError, match="not 'vote'"):
        weigh(votes_of([[1]]), "vote")
