from hypothesis import given
from hypothesis import strategies as st

from ovparts_hf.reporting.cards.markdown import reflow


def test_paragraphs_and_lists_are_wrapped_and_the_rest_is_left_alone():
    table = "| a | " + "x" * 150 + " |\n|---|---|"
    code = "```bash\novparts " + "y " * 100 + "\n\n\n- no list\n```"
    text = f"# {'h ' * 90}\n\n{'word ' * 60}\nend.\n\n\n\n- {'item ' * 40}\n  more\n- second\n\n{table}\n\n{code}\n"
    heading, paragraph, items, kept, fence = reflow(text).split("\n\n", 4)
    assert heading == "# " + ("h " * 90).strip() and kept == table and fence == code + "\n"
    assert max(map(len, f"{paragraph}\n{items}".splitlines())) <= 120
    assert paragraph.split() == ["word"] * 60 + ["end."]
    assert items.splitlines()[1].startswith("  item") and items.splitlines()[-1] == "- second"


@given(st.lists(st.lists(st.text("ab.", min_size=1), min_size=1), min_size=1))
def test_reflow_keeps_words_and_changes_nothing_twice(paragraphs):
    text = "\n\n".join(" ".join(words) for words in paragraphs)
    once = reflow(text)
    assert once.split() == text.split()
    assert reflow(once) == once
    assert once.count("\n\n") == len(paragraphs) - 1
