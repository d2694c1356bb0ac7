from spanwise.evals.win_rate.output_checks import check_outputs


def test_a_constant_answer_is_seen_and_told():
    found = check_outputs(["same text"] * 9 + ["other"], ["r"] * 10)
    assert found.constant == 0.9
    assert "90% of the answers are one and the same text" in found.warnings[0]


def test_copies_and_empty_answers_are_counted():
    found = check_outputs(["a", "b ", "", " "], ["a", "b", "", "d"])
    assert (found.copied, found.empty, found.constant) == (0.5, 0.5, 0.0)
    assert len(found.warnings) == 2


def test_a_common_opening_is_seen_behind_different_ends():
    found = check_outputs(["x" * 80 + str(number) for number in range(4)], ["r"] * 4)
    assert (found.constant, found.opening) == (0.0, 1.0)


def test_ordinary_answers_raise_no_word():
    found = check_outputs([f"answer {number}" for number in range(30)], ["r"] * 30)
    assert found.warnings == ()
