"""Links that ask a question again."""

from dataclasses import replace

import pytest

from ovparts_hf.app import Limits
from ovparts_hf.app.question import Question

FULL = Question("dog: head, ear\na red door & <b>", False, 0.25, 3, "dog: 1, 2, 3, 4", "a/b", "c", 2)


@pytest.mark.parametrize("question", [FULL, Question("dog: ear"), replace(FULL, background=True, example=-1)])
def test_a_link_asks_the_same_again(question):
    assert Question.from_query(question.query(), Limits()) == question


def test_a_link_names_only_what_differs_from_the_beginning():
    assert Question("dog: ear").query() == "?words=dog%3A+ear"
    assert Question("dog: ear", threshold=0, boxes=None, model=None).query() == "?words=dog%3A+ear"


@pytest.mark.parametrize("query", ["", "?", "?__theme=dark", "?words=", "?top_k=many", "?from_query=1&words"])
def test_an_address_without_a_question_is_none(query):
    assert Question.from_query(query, Limits()) is None


def test_what_cannot_be_read_keeps_its_default():
    assert Question.from_query("?words=x&top_k=many&threshold=&example=1.5&what=1", Limits()) == Question("x")
    assert Question.from_query("?words=" + "x" * 5000, Limits()).words == "x" * 4000
