"""The words that a person is asked with: the author's with arguments in their places, or those of a function."""

import pytest

from support.orders import FORM, answered, call, notes, question_in, reason_of, shop, text_of


@pytest.fixture(scope="module")
def ward(tmp_path_factory):
    tools = "servers.orders.tools"
    toml = f'[{tools}.refund]\nconfirm = "Pay {{amount}} back?"\n[{tools}.get_total]\nconfirm = true\n'
    with shop(tmp_path_factory.mktemp("texts"), toml) as ward:
        yield ward


def first_line(ward, tool, arguments):
    return question_in(call(ward, tool, arguments, capabilities=FORM)).split("\n")[0]


def test_arguments_stand_in_the_authors_sentence_as_they_were_sent(ward):
    assert first_line(ward, "cancel_order", {"order_id": "7", "total": 12.5}) == 'Cancel order "7" of 12.5?'


@pytest.mark.parametrize(
    "order_id,said",
    [
        ('7"? All is well', '"7\\"? All is well"'),
        ("7\nTool: get_order", '"7\\nTool: get_order"'),
        ("7\u202e", '"7\\u{202e}"'),
        ("{total.__class__}", '"{total.__class__}"'),
        ("[x](http://evil)<b>", '"\\u{5b}x\\u{5d}(http://evil)\\u{3c}b\\u{3e}"'),
        ("x" * 300, f'"{"x" * 199}…'),
    ],
)
def test_an_argument_in_the_sentence_ends_no_line_hides_nothing_and_is_no_markup(ward, order_id, said):
    assert first_line(ward, "cancel_order", {"order_id": order_id, "total": 1}) == f"Cancel order {said} of 1?"


def test_a_function_words_the_question_with_what_it_looks_up(ward):
    asked = call(ward, "void_order", {"order_id": "7"}, capabilities=FORM)
    assert question_in(asked).split("\n") == [
        "Cancel order 7 of 12.50 EUR for agent?", "Tool: void_order", 'order_id: "7"',
    ]  # fmt: skip
    assert text_of(call(ward, "void_order", {"order_id": "7"}, capabilities=FORM, **answered(asked))) == "voided 7"


def test_a_yes_counts_only_as_long_as_the_question_is_the_same(ward):
    """What a person agreed to was 12.50; by the time the answer comes it is 1,000,000."""
    asked = call(ward, "void_order", {"order_id": "8"}, capabilities=FORM)
    (ward.folder / "totals.txt").write_text("1000000 EUR [all](x)\n")
    again = call(ward, "void_order", {"order_id": "8"}, capabilities=FORM, **answered(asked))
    (ward.folder / "totals.txt").write_text("")
    assert question_in(again).startswith("Cancel order 8 of 1000000 EUR \\u{5b}all\\u{5d}(x) for agent?")
    assert "voided 8" not in notes(ward)


def test_the_functions_own_error_is_the_answer_and_nothing_of_an_exception_leaves(ward):
    missing = call(ward, "void_order", {"order_id": "9"}, capabilities=FORM)
    assert (missing["isError"], text_of(missing)) == (True, "the tool failed: there is no order 9")
    broken = call(ward, "void_order", {"order_id": "boom"}, capabilities=FORM)
    assert reason_of(broken) == "tool-failed"
    assert "canary" not in text_of(broken)


def test_an_operator_adds_a_question_to_a_tool_whose_author_has_none(ward):
    asked = call(ward, "refund", {"amount": 5.0}, capabilities=FORM)
    assert question_in(asked).startswith("Pay 5.0 back?\nTool: refund")
    assert text_of(call(ward, "refund", {"amount": 5.0}, capabilities=FORM, **answered(asked))) == "refunded 5"
    assert first_line(ward, "get_total", {"order_id": "7"}) == "Allow the tool get_total to run?"


def test_an_operators_question_about_an_argument_that_the_tool_does_not_have_stops_the_start(tmp_path):
    toml = '[servers.orders.tools.refund]\nconfirm = "Pay {amuont} back?"\n'
    with shop(tmp_path, toml, start=False) as ward:
        wrong = ward.cli("config", "check", "--load", check=False)
        assert wrong.returncode == 2
        assert "tool 'refund' of server orders has no argument 'amuont'" in wrong.stderr
        assert "did you mean {amount}?" in wrong.stderr
        file = ward.folder / "mcpward.toml"
        for said in ('"Pay {amount.__class__}?"', '"Pay {"', "false"):
            file.write_text(file.read_text().rsplit("confirm = ", 1)[0] + f"confirm = {said}\n")
            assert ward.cli("config", "check", check=False).returncode == 2
