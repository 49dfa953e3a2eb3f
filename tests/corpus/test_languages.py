"""Languages that docs/languages.md says are tested: their sentences are cut, judged and kept."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier
from pydantic import ValidationError

from components.config.corpus import LANGUAGES, Corpus
from components.corpus.cleaning import clean
from components.corpus.dump import Page

SENTENCES = {
    "am": ["ድመቷ በቤቱ ውስጥ ምንጣፍ ላይ ተቀምጣለች።", "አዲስ አበባ የኢትዮጵያ ዋና ከተማ ናት።"],
    "ar": ["تجلس القطة على السجادة في البيت الكبير.", "القاهرة هي عاصمة جمهورية مصر العربية."],
    "bn": ["বিড়ালটি ঘরের ভিতরে মাদুরের উপর বসে আছে।", "ঢাকা বাংলাদেশের রাজধানী ও বৃহত্তম শহর।"],
    "cs": ["Kočka sedí na koberci ve velkém domě.", "Praha je hlavní město České republiky."],
    "da": ["Katten sidder på måtten i det store hus.", "København er hovedstaden i kongeriget Danmark."],
    "de": [
        "Die Katze sitzt auf der Matte im großen Haus.",
        "Berlin ist die Hauptstadt von ganz Deutschland.",
    ],
    "el": ["Η γάτα κάθεται στο χαλί μέσα στο μεγάλο σπίτι.", "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας."],
    "en": ["The cat sits on the mat in the large house.", "London is the capital of the United Kingdom."],
    "es": ["El gato está sentado en la alfombra de la casa.", "Madrid es la capital del Reino de España."],
    "fa": ["گربه روی قالی در خانه بزرگ نشسته است.", "تهران پایتخت و بزرگترین شهر ایران است."],
    "fi": ["Kissa istuu matolla suuressa talossa joen rannalla.", "Helsinki on Suomen tasavallan suurin kaupunki."],
    "fr": ["Le chat est assis sur le tapis dans la maison.", "Paris est la capitale de la République française."],
    "he": ["החתול יושב על השטיח בתוך הבית הגדול.", "ירושלים היא עיר הבירה של מדינת ישראל."],
    "hi": ["बिल्ली घर में चटाई पर बैठी है।", "नई दिल्ली भारत की राजधानी है।"],
    "hu": ["A macska a szőnyegen ül a nagy házban.", "Budapest Magyarország fővárosa és legnagyobb városa."],
    "hy": ["Կատուն նստած է մեծ տան գորգի վրա։", "Երևանը Հայաստանի Հանրապետության մայրաքաղաքն է։"],
    "id": ["Kucing itu duduk di atas tikar di rumah besar.", "Jakarta adalah kota terbesar di negara Indonesia."],
    "it": ["Il gatto è seduto sul tappeto nella grande casa.", "Roma è la capitale della Repubblica Italiana."],
    "ja": ["猫は大きな家の敷物の上に座っている。", "東京は日本の首都であり最大の都市である。"],
    "ka": ["კატა ზის ხალიჩაზე დიდ ძველ სახლში.", "თბილისი არის საქართველოს დედაქალაქი და ქალაქი."],
    "km": ["ឆ្មាអង្គុយលើកន្ទេលក្នុងផ្ទះធំ។", "ភ្នំពេញជារាជធានីនៃប្រទេសកម្ពុជា។"],
    "ko": ["고양이가 큰 집 안의 깔개 위에 앉아 있다.", "서울은 대한민국의 수도이며 가장 큰 도시이다."],
    "nl": ["De kat zit op de mat in het grote huis.", "Amsterdam is de hoofdstad van het Koninkrijk der Nederlanden."],
    "pl": ["Kot siedzi na dywanie w dużym domu.", "Warszawa jest stolicą Rzeczypospolitej Polskiej."],
    "pt": ["O gato está sentado no tapete da casa grande.", "Lisboa é a capital da República Portuguesa."],
    "ru": ["Кошка сидит на ковре в большом доме.", "Москва является столицей Российской Федерации."],
    "sv": ["Katten sitter på mattan i det stora huset.", "Stockholm är huvudstad i konungariket Sverige."],
    "ta": ["பூனை பெரிய வீட்டில் பாயின் மீது அமர்ந்திருக்கிறது.", "சென்னை தமிழ்நாட்டின் தலைநகரமும் பெரிய நகரமும் ஆகும்."],
    "th": ["แมวนอนอยู่บนเสื่อในบ้านหลังใหญ่", "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย"],
    "tr": ["Kedi büyük evin içindeki halının üzerinde oturuyor.", "Ankara Türkiye Cumhuriyeti'nin başkentidir."],
    "uk": ["Кішка сидить на килимі у великому будинку.", "Київ є столицею та найбільшим містом України."],
    "ur": ["بلی بڑے گھر میں چٹائی پر بیٹھی ہے۔", "اسلام آباد پاکستان کا دارالحکومت ہے۔"],
    "vi": ["Con mèo ngồi trên tấm thảm trong ngôi nhà lớn.", "Hà Nội là thủ đô của nước Việt Nam."],
    "zh": ["猫坐在大房子里的垫子上。", "北京是中华人民共和国的首都。"],
}


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_sentences_of_a_page_are_kept(language: str) -> None:
    sentences = SENTENCES[language]
    text = ("" if language in {"zh", "ja"} else " ").join(sentences)
    made = clean([Page("A page", text)], Corpus(language=language, min_words=3))
    assert [row[0] for row in made.rows] == sentences, made.faults


def test_the_page_of_languages_lists_what_is_tested() -> None:
    page = (Path(__file__).parents[2] / "docs/languages.md").read_text()
    listed = re.search(r"and kept\): ([a-z,\s]+)\.", page)
    assert listed and sorted(re.findall("[a-z]{2}", listed[1])) == sorted(SENTENCES)


def test_the_languages_of_the_configuration_are_those_of_the_model() -> None:
    known = LanguageIdentifier.from_model_file(MODEL_FILE).nb_classes
    assert {name for name in known if len(name) == 2} == LANGUAGES


@pytest.mark.parametrize("language", ["xx", "eng", "EN", ""])
def test_a_language_that_no_model_knows_is_refused(language: str) -> None:
    with pytest.raises(ValidationError, match="knows no language"):
        Corpus(language=language)


def test_german_appendices_are_left_out() -> None:
    text = (
        "{}\n\n== Geschichte ==\n{}\n\n== Einzelnachweise ==\nDas Buch über die Stadt erschien im Jahr 1926 in Berlin."
    )
    made = clean([Page("Stadt", text.format(*SENTENCES["de"]))], Corpus(language="de", min_words=3))
    assert [row[0] for row in made.rows] == SENTENCES["de"]


def test_lengths_are_in_characters_where_no_spaces_part_words(run: Callable[..., dict[str, Any]]) -> None:
    more = [f"第{number}天，{sentence}" for number in range(9) for sentence in SENTENCES["zh"]]
    lines = [*more, *SENTENCES["ja"], "猫很大。", "猫" * 300 + "。"]
    made = run("lines.txt", "\n".join(lines).encode(), language="zh", heldout=0.5)
    assert made["summary"]["dropped"]["length"] == 2
