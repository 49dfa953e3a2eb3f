"""Prompts are files; answers are read leniently."""

import pytest

from components.errors import ConfigError
from components.synthesis.exemplars import Exemplar
from components.synthesis.prompt import load_prompt, parse_prompt, read_answer
from components.synthesis.tuples import PATTERNS, ROLES

FILE = "# negative\nWrite one that\nis false.\n\n# positive\nWrite one that is true.\n"
PROMPT = parse_prompt(FILE, "nli", "nli.md")


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_prompts_ask_for_every_role(pattern: str) -> None:
    assert set(load_prompt(pattern).instructions) == set(ROLES[pattern])


def test_roles_are_asked_for_in_the_files_order() -> None:
    assert list(PROMPT.instructions) == ["negative", "positive"]


def test_messages_are_instruction_examples_and_sentence() -> None:
    example = Exemplar("own:1", "A dog ran.", "No dog ran.")
    assert PROMPT.messages("negative", "A cat sat.", [example]) == (
        ("system", "Write one that is false."),
        ("user", "A dog ran."),
        ("assistant", "No dog ran."),
        ("user", "A cat sat."),
    )


def test_worked_answers_begin_as_the_heading_says() -> None:
    opening = parse_prompt(FILE.replace("# negative", "# negative: No,"), "nli", "nli.md")
    example = Exemplar("own:1", "A dog ran.", "The dog did not run.")
    assert opening.messages("negative", "A cat sat.", [example])[2] == ("assistant", "No, The dog did not run.")
    assert opening.messages("positive", "A cat sat.", [example])[2] == ("assistant", "The dog did not run.")


def test_the_answer_is_begun_as_the_heading_says() -> None:
    opening = parse_prompt(FILE.replace("# negative", "# negative: No,"), "nli", "nli.md")
    assert opening.messages("negative", "A cat sat.", [])[-2:] == (("user", "A cat sat."), ("assistant", "No,"))
    assert opening.messages("positive", "A cat sat.", [])[-1] == ("user", "A cat sat.")


@pytest.mark.parametrize("answer", ["No, the cat ran.", "No,  The cat ran.", "The cat ran."])
def test_the_opening_is_no_part_of_the_text(answer: str) -> None:
    assert read_answer(answer, "en", "No,") == "The cat ran."
    assert read_answer(f'{{"sentence": "{answer}"}}', "en", "No,") == "The cat ran."


def test_another_word_makes_another_version() -> None:
    assert parse_prompt(FILE.replace("that", "which"), "nli", "nli.md").version != PROMPT.version


@pytest.mark.parametrize(
    "answer",
    [
        "A cat sat on Mr. Smith.",
        "  A cat sat  on Mr. Smith.\n\nNote that this is true.",
        "A cat sat on Mr. Smith. I hope that helps.",
        '"A cat sat on Mr. Smith."',
        "“A cat sat on Mr. Smith.”",
        '{"sentence": "A cat sat on Mr. Smith."}',
        '{"sentence": "A cat\\nsat"} and {',
        "<think>\nA dog sat. Or so.\n</think>\n\nA cat sat on Mr. Smith.",
        'A dog sat. Or so.\n</think>\n{"sentence": "A cat sat on Mr. Smith."}',
        '<think>{"sentence": "A dog sat."}</think>{"sentence": "A cat sat on Mr. Smith."}',
        "[THINK]A dog sat.[/THINK]A cat sat on Mr. Smith.",
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>A cat sat on Mr. Smith.",
        '```json\n{\n  "sentence": "A cat sat on Mr. Smith."\n}\n```',
        "```\nA cat sat on Mr. Smith.\n```",
        'Here it is:\n\n```json\n{"sentence": "A cat sat on Mr. Smith."}',
        'Here it is: {"sentence": "A cat sat on Mr. Smith."}',
        '[{"sentence": "A cat sat on Mr. Smith."}]',
        '"{\\"sentence\\": \\"A cat sat on Mr. Smith.\\"}"',
        "{'sentence': 'A cat sat on Mr. Smith.'}",
        '{"sentence": "A cat sat on Mr. Smith.",}',
        '{"why": "It sat.", "sentence": "A cat sat on Mr. Smith."}',
        '{"sentence": "A cat sat on Mr. Smith.\\ud83d"}',
        "**A cat sat on Mr. Smith.**",
        "<answer>A cat sat on Mr. Smith.</answer>",
    ],
)
def test_an_answer_is_its_first_sentence_whatever_stands_around_it(answer: str) -> None:
    assert read_answer(answer, "en") in {"A cat sat on Mr. Smith.", "A cat"}


NO_TEXT = ["", " \n ", '{"sentence": "A cat', '{"sentence": null}', '{"text": "A cat sat."}', "[{}]", '{"a":' * 3000]


@pytest.mark.parametrize("answer", [*NO_TEXT, "<think>\nA cat sat.", "A dog.</think><think>A cat sat."])
def test_an_answer_without_a_text_is_empty(answer: str) -> None:
    assert read_answer(answer, "en") == ""


def test_quotation_marks_within_a_text_stay() -> None:
    assert read_answer('"No" is not "never"', "en") == '"No" is not "never"'


INCOMPLETE = ["Write two.", "# positive\nWrite.\n", FILE + "# neutral\nWrite.\n", "# positive\n# negative\nA\n"]


@pytest.mark.parametrize("content", INCOMPLETE)
def test_a_file_without_an_instruction_for_every_role_says_so(content: str) -> None:
    with pytest.raises(ConfigError, match=r"nli\.md must have a heading `# role`.* for each of positive, negative"):
        parse_prompt(content, "nli", "nli.md")
