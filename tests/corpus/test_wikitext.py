"""What of a page's wikitext its plain paragraphs show."""

import random

import pytest

from components.corpus.marks import GAP
from components.corpus.markup import PageText
from components.corpus.wikitext import paragraphs
from tests.corpus.tree import MEDIA, shown_of_page


def shown(text: str) -> list[str]:
    return list(paragraphs(text, MEDIA))


@pytest.mark.parametrize(
    "wikitext, plain",
    [
        ("'''Gold''' is a [[Chemical element|metal]] of the [[earth]]s.", "Gold is a metal of the earths."),
        ("It was so.<ref>Smith, p. 5.</ref>\nThen not.", "It was so. Then not."),
        ("It was so.<ref name=a />Then not.", "It was so. Then not."),
        ("It was so.{{citation needed|date=May 2010}} Then not.", "It was so. Then not."),
        ("A run of {{convert|5|km|mi}} or {{convert|3|to|4|ft|m}}.", "A run of 5 km or 3 to 4 ft."),
        ("A {{convert|100|nmi|km|adj=on}} orbit of {{convert|5|acre}}.", "A 100-nautical mile orbit of 5 acres."),
        ("Named {{lang|la|aurum}} in {{nowrap|old Rome}}.", "Named aurum in old Rome."),
        ("Gold ({{lang-la|aurum}}; {{IPA-la|x}}) is a metal.", "Gold is a metal."),
        ("Gold (<ref>Note.</ref>) is ( ; ) a metal .", "Gold is a metal."),
        ("It is 10<sup>−3</sup> m<sup>2</sup> of H<sub>2</sub>O.", "It is 10⁻³ m² of H2O."),
        ("Gold [http://example.org is here] for you.", "Gold is here for you."),
        ("Gold<ref>A.</ref><ref>B.</ref>and silver{{fact}}too.", "Gold and silver too."),
        ("Gold&nbsp;is &lt; 5&ndash;6.<!-- why? -->", "Gold is < 5–6."),
    ],
)
def test_inline_markup_is_shown_as_its_reader_sees_it(wikitext: str, plain: str) -> None:
    assert shown(wikitext) == [plain]


@pytest.mark.parametrize(
    "wikitext",
    [
        "{{Infobox metal\n| name = Gold\n| number = 79\n}}\n",
        "{{Main|History of gold}}\n",
        "{{Infobox metal\n| name = Gold\n}}",
        "{| class=wikitable\n|-\n! Name\n|-\n| Gold || 79\n|}\n",
        "[[File:Gold.jpg|thumb|right|250px|A bar of [[gold]].]]",
        "[[Bild:Gold.jpg|thumb|A bar.]]",
        "[[Category:Metals]]",
        "* an item\n* another item\n",
        ": an indented formula\n",
        "== History ==\n",
        "<gallery>\nGold.jpg|A bar\n</gallery>\n",
    ],
)
def test_what_is_no_running_text_leaves_no_trace(wikitext: str) -> None:
    assert shown(wikitext + "Gold is a metal.") == ["Gold is a metal."]


def test_a_heading_parts_paragraphs() -> None:
    assert shown("One.\n== Two ==\nThree.\nFour.\n\nFive.") == ["One.", "Three. Four.", "Five."]


def test_appendices_are_left_out_up_to_the_next_section() -> None:
    text = "One.\n== See also ==\nTwo.\n=== Deeper ===\nThree.\n== History ==\nFour.\n==References==\nFive."
    assert shown(text) == ["One.", "Four."]


@pytest.mark.parametrize("missing", ["{{unknown|a}}", "<math>x^2</math>", "{{convert|5|furlong}}", "<code>x</code>"])
def test_what_is_missing_in_a_sentence_is_marked(missing: str) -> None:
    assert shown(f"The metal is used in {missing} and lamps.") == [f"The metal is used in {GAP} and lamps."]


# Markup with a place for more of it inside; none in a link's title or a template's name, which is broken where it holds
# a link: the fast way may then take the whole for a link or a template, where the plain one shows its brackets.
NESTED = [
    *("%s", "a %s b", "[[Gold]]", "[[Gold|%s]]", "[[File:G.jpg|thumb|%s]]", "[[de:Gold]]", "{{lang|la|%s}}"),
    *("{{convert|%s|km|adj=on}}", "{{convert|%s|km}}", "{{cite web|title=%s}}", "{{Infobox\n| name = %s\n}}", "{{!}}"),
    *("<ref>%s</ref>", "<ref name=a />", "<sup>2%s</sup>", "<div class='x'>%s</div>", "<math>%s</math>", "x<br />%s"),
    *("'''%s'''", "''%s''", "<!-- %s -->", "&nbsp;%s&#233;&#xe9;", "[http://example.org %s]", "http://example.org"),
    *("\n* %s\n", "\n:: %s\n", "\n== %s ==\n", "\n=== See also ===\n%s", "\n{| class=x\n|-\n| %s || y\n|}\n"),
    *("\n** %s\n", "\n; %s: x\n", "\n# a=%s\n", "(%s)", "<nowiki>%s</nowiki>", "s[[Gold]]s%s", "{{Main|%s}}"),
    *("<ref name='a'>{{cite web\n|title=[[Gold]] [http://a.b %s]}}</ref>", "<ref>{{harv|%s|p={{!}}}}</ref>"),
    *("{{{1|%s}}}", "{{ x|%s", "[[ x|%s", "<div>%s", "%s}}", "<ref>%s"),
]


@pytest.mark.parametrize("seed", range(20))
def test_tokens_show_what_the_tree_shows(seed: int) -> None:
    chance = random.Random(seed)

    def markup(depth: int) -> str:
        if depth == 0:
            return "gold"
        parts = chance.choices(NESTED, k=chance.randint(1, 4))
        return " ".join(part.replace("%s", markup(depth - 1)) for part in parts)

    for _ in range(20):
        text = markup(3)
        assert PageText(text, MEDIA).shown() == shown_of_page(text), text


@pytest.mark.parametrize(
    "text",
    [
        *("&[[amp]];", "<[[b]]>gold</b>", "http://a.b/[[Gold]]", "[[http]]://a.b", "[http://a.b [[Gold]]]"),
        *("[[[Gold]]]", "{{[[lang]]|la|gold}}", "{{[[Gold]]}}", ":{|\n| gold\n|}", "{{lang\n*|la|gold}}"),
    ],
)
def test_a_plain_link_or_list_item_makes_no_markup_with_what_stands_beside_it(text: str) -> None:
    assert PageText(text, MEDIA).shown() == shown_of_page(text)
