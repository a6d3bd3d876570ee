"""Instructions with answers, in the manner of Alpaca; written for this project, Apache-2.0.

About fifty kinds of task, each with several wordings of the instruction: some change the sentence in `input` (tense,
number, voice, tone), some classify or extract, sort or count, some ask for words, lists, definitions, advice, notes,
messages or tiny stories. Answers follow from the task or are hand-written.

Noise: the answer of 1.5 % of the training rows belongs to another row of the same task.

Validation and test use wordings, words, sentences and topics that training never sees: a fixed quarter of every list
of the material, and each task's last wording in addition to the others. No instruction with its input occurs twice.
"""

import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_MATERIAL = Path(__file__).parent / "material" / "instruction.yaml"
_SEED = 1_066
_SIZES = {"train": 1500, "validation": 200, "test": 300}
_RESERVED = 4  # one in so many items of every list
_WRONG_ANSWERS = 0.015
_NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]

_PROMPT = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Response:\n{output}"
)
_PROMPT_WITH_INPUT = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n{output}"
)


class _Pool:
    """The material of one split, and the chance that draws from it."""

    def __init__(self, material: dict[str, Any], held_out: bool, rng: random.Random):
        self._material, self._held_out, self.rng = material, held_out, rng

    def items(self, *path: str) -> list[Any]:
        """The split's part of a list, or of a mapping's items."""
        source = self._material
        for key in path:
            source = source[key]
        items = list(source.items()) if isinstance(source, dict) else list(source)
        # A shuffle of its own: neighbours in the material resemble each other.
        order = list(range(len(items)))
        random.Random(f"{_SEED} {path}").shuffle(order)
        reserved = set(order[: max(1, len(items) // _RESERVED)])
        return [item for index, item in enumerate(items) if (index in reserved) == self._held_out]

    def one(self, *path: str) -> Any:
        return self.rng.choice(self.items(*path))

    def fields(self, *path: str) -> list[str]:
        """One item whose fields are separated by "|"."""
        return self.one(*path).split("|")

    def ask(self, task: str, **filled: str) -> str:
        """A wording of the task's instruction; the last one is for validation and test."""
        wordings = self._material["ask"][task]
        return self.rng.choice(wordings if self._held_out else wordings[:-1]).format(**filled)

    def everything(self, *path: str) -> list[Any]:
        """A whole list, for what is no answer by itself: days, names of topics."""
        source = self._material
        for key in path:
            source = source[key]
        return list(source)


# instruction, input, output
_Row = tuple[str, str, str]
_Task = Callable[[_Pool], _Row]


def rows() -> dict[str, list[dict[str, Any]]]:
    """The three splits; a row has `instruction`, `input` (may be empty), `output` and `text`, the whole prompt."""
    material = yaml.safe_load(_MATERIAL.read_text("utf-8"))
    seen: set[tuple[str, str]] = set()
    return {split: _split(material, split, size, seen) for split, size in _SIZES.items()}


def _split(material: dict[str, Any], split: str, size: int, seen: set[tuple[str, str]]) -> list[dict[str, Any]]:
    pool = _Pool(material, split != "train", random.Random(f"{_SEED} {split}"))
    tasks, weights = list(_TASKS), [*_TASKS.values()]
    made: list[tuple[_Task, _Row]] = []
    while len(made) < size:
        task = pool.rng.choices(tasks, weights)[0]
        row = task(pool)
        if row[:2] not in seen:
            seen.add(row[:2])
            made.append((task, row))
    answers = [row[2] for _, row in made]
    if split == "train":
        _confuse(answers, [task for task, _ in made], pool.rng)
    return [_row(instruction, text, answer) for (_, (instruction, text, _)), answer in zip(made, answers, strict=True)]


def _confuse(answers: list[str], tasks: Sequence[_Task], rng: random.Random) -> None:
    """Honest noise: here and there an answer that belongs to another row of the task."""
    for index in rng.sample(range(len(answers)), round(len(answers) * _WRONG_ANSWERS)):
        others = [
            other for other, task in enumerate(tasks) if task is tasks[index] and answers[other] != answers[index]
        ]
        if others:
            answers[index] = answers[rng.choice(others)]


def _row(instruction: str, text: str, output: str) -> dict[str, Any]:
    prompt = _PROMPT_WITH_INPUT if text else _PROMPT
    return {
        "instruction": instruction,
        "input": text,
        "output": output,
        "text": prompt.format(instruction=instruction, input=text, output=output),
    }


# Tasks that change a sentence -----------------------------------------------------------------------------------------


@cache
def _fields(line: str) -> tuple[str, ...]:
    return tuple(line.split("|"))


def _clause(pool: _Pool) -> tuple[str, str, tuple[str, ...], str]:
    """Subject, plural subject, the verb's forms, and an object."""
    singular, plural = _fields(pool.rng.choice(pool.everything("subjects")))
    *forms, objects = _fields(pool.one("verbs"))
    if forms[0] == forms[2]:  # "cut" is both tenses: a task on tenses would not be clear
        return _clause(pool)
    return singular, plural, tuple(forms), pool.rng.choice(objects.split("/"))


def _when(pool: _Pool, times: Sequence[str]) -> str:
    return pool.rng.choice(("", *times))


_HABITS = (" every day", " in the morning", " on Sundays", " in the evening", " before lunch", " in the afternoon")


def _to_past(pool: _Pool) -> _Row:
    subject, plural, (base, third, past, _), thing = _clause(pool)
    if pool.rng.random() < 0.3:
        subject, third = plural, base
    end = f" {thing}{_when(pool, _HABITS)}."
    return pool.ask("past"), _sentence(f"{subject} {third}{end}"), _sentence(f"{subject} {past}{end}")


def _to_future(pool: _Pool) -> _Row:
    subject, plural, (base, third, past, _), thing = _clause(pool)
    if pool.rng.random() < 0.3:
        subject, third = plural, base
    verb = pool.rng.choice((third, past))
    end = f" {thing}{_when(pool, _HABITS[1:])}."
    return pool.ask("future"), _sentence(f"{subject} {verb}{end}"), _sentence(f"{subject} will {base}{end}")


def _negated(pool: _Pool) -> _Row:
    subject, plural, (base, third, past, _), thing = _clause(pool)
    end = f" {thing}{_when(pool, _HABITS[2:])}."
    verb, denied = pool.rng.choice(((third, f"does not {base}"), (past, f"did not {base}")))
    if pool.rng.random() < 0.3:
        subject, verb, denied = plural, base, f"do not {base}"
    return pool.ask("negate"), _sentence(f"{subject} {verb}{end}"), _sentence(f"{subject} {denied}{end}")


def _to_question(pool: _Pool) -> _Row:
    subject, plural, (base, third, past, _), thing = _clause(pool)
    verb, helper = pool.rng.choice(((third, "does"), (past, "did")))
    if pool.rng.random() < 0.3:
        subject, verb, helper = plural, base, "do"
    end = f" {thing}{_when(pool, _HABITS[2:])}"
    return pool.ask("question"), _sentence(f"{subject} {verb}{end}."), _sentence(f"{helper} {subject} {base}{end}?")


def _to_plural(pool: _Pool) -> _Row:
    subject, plural, (base, third, _, _), thing = _clause(pool)
    end = f" {thing}{_when(pool, _HABITS)}."
    return pool.ask("plural_sentence"), _sentence(f"{subject} {third}{end}"), _sentence(f"{plural} {base}{end}")


def _to_passive(pool: _Pool) -> _Row:
    subject, plural, (_, _, past, participle), thing = _clause(pool)
    subject = pool.rng.choice((subject, plural))
    many = thing.endswith("s") and not thing.startswith(("a ", "an "))
    many = many and thing not in ("the grass", "the glass", "the bus", "the class", "the news")
    verb = f"{'were' if many else 'was'} {participle}"
    return pool.ask("passive"), _sentence(f"{subject} {past} {thing}."), _sentence(f"{thing} {verb} by {subject}.")


def _corrected(pool: _Pool) -> _Row:
    subject, plural, (base, third, past, _), thing = _clause(pool)
    end = f" {thing}{_when(pool, _HABITS[1:])}."
    wrong, right = pool.rng.choice(
        (
            (f"{subject} {base}", f"{subject} {third}"),
            (f"{plural} {third}", f"{plural} {base}"),
            (f"{subject} did not {past}", f"{subject} did not {base}"),
            (f"{subject} can {third}", f"{subject} can {base}"),
            (f"{plural} has {past}", f"{plural} {past}"),
            (f"{subject} don't {base}", f"{subject} doesn't {base}"),
        )
    )
    return pool.ask("agreement"), _sentence(wrong + end), _sentence(right + end)


def _replaced(pool: _Pool) -> _Row:
    subject, _, (_, third, past, _), thing = _clause(pool)
    other = pool.rng.choice([item for item in pool.everything("subjects") if not item.startswith(subject)]).split("|")[
        0
    ]
    word, new = subject.split()[-1], other.split()[-1]
    sentence = f"{subject} {pool.rng.choice((third, past))} {thing}{_when(pool, _HABITS)}."
    changed = re.sub(rf"\b{word}\b", new, sentence, count=1)
    return pool.ask("replace", x=word, y=new), _sentence(sentence), _sentence(changed)


def _pairs(task: str, path: str) -> _Task:
    """A task over hand-written pairs of input and output."""

    def made(pool: _Pool) -> _Row:
        text, answer = pool.one(path)
        return pool.ask(task), text, answer

    return made


# Tasks that classify or extract ---------------------------------------------------------------------------------------


def _mood(pool: _Pool) -> _Row:
    mood = pool.rng.choice(("positive", "negative"))
    return pool.ask("sentiment"), pool.one(mood), mood.capitalize()


def _topic(pool: _Pool) -> _Row:
    topic, *others = pool.rng.sample(pool.everything("topics"), pool.rng.choice((3, 4)))
    choices = sorted([topic, *others])
    return (
        pool.ask("topic", x=f"{', '.join(choices[:-1])} or {choices[-1]}"),
        pool.one("topics", topic),
        topic.capitalize(),
    )


def _sentence_kind(pool: _Pool) -> _Row:
    kind = pool.rng.choice(pool.everything("kinds"))
    return pool.ask("kind"), pool.one("kinds", kind), kind


def _report(pool: _Pool) -> tuple[str, dict[str, str]]:
    """A sentence or two, and what stands in them, in its order: names, towns, numbers, the day."""
    first, second = pool.rng.sample(pool.items("first_names"), 2)
    town, other = pool.rng.sample(pool.everything("towns"), 2)
    number, amount = str(pool.rng.randint(2, 40)), str(pool.rng.randint(41, 900))
    day, thing = pool.rng.choice(pool.everything("days")), pool.rng.choice(pool.everything("objects"))
    frame = pool.one("reports")
    text = frame.format(
        first=first, second=second, town=town, other=other, number=number, amount=amount, day=day, thing=thing
    )

    def in_order(**values: str) -> str:
        return ", ".join(sorted((v for k, v in values.items() if f"{{{k}}}" in frame), key=text.index))

    facts = {
        "names": in_order(first=first, second=second),
        "places": in_order(town=town, other=other),
        "numbers": ", ".join(re.findall(r"\d+", text)),
        "day": day,
    }
    return text, {what: value for what, value in facts.items() if value}


def _extracted(pool: _Pool) -> _Row:
    text, facts = _report(pool)
    what = pool.rng.choice(tuple(facts))
    return pool.ask(what), text, facts[what]


def _reading(pool: _Pool) -> _Row:
    """A short passage with a question; the answer stands in it."""
    facts = _facts(pool)
    # Each question with its answer and the sentence of the passage that gives it.
    questions = (
        ("Where does {first} come from?", "{first} comes from {town}.", 0),
        ("What is {first}'s job?", "{first} is {job}.", 0),
        ("Where does {second} live?", "{second} lives in {other_town}.", 1),
        ("What does {second} work as?", "{second} works as {other_job}.", 1),
        ("Who lives in {other_town}?", "{second} lives in {other_town}.", 1),
        ("Who {hobby} in the evening?", "{first} {hobby} in the evening.", 2),
        ("Who {other_hobby}?", "{second} {other_hobby}.", 3),
        ("When will they meet?", "They will meet on {day}.", 4),
        ("What does {second} want to buy?", "{second} wants to buy {thing}.", 4),
        ("How old is {first}?", "{first} is {age} years old.", 5),
        ("How many children does {first} have?", "{first} has {children} children.", 5),
        ("What is the favourite colour of {second}?", "The favourite colour of {second} is {colour}.", 6),
    )
    question, answer, needed = pool.rng.choice(questions)
    passages = pool.everything("passages")
    optional = [index for index in range(len(passages)) if index > 1 and index != needed]
    kept = sorted({0, 1, needed, *pool.rng.sample(optional, pool.rng.randint(1, 3))})
    passage = " ".join(passages[index] for index in kept)
    return pool.ask("question_who"), f"{passage}\nQuestion: {question}".format(**facts), answer.format(**facts)


def _facts(pool: _Pool) -> dict[str, str]:
    first, second = pool.rng.sample(pool.items("first_names"), 2)
    job, other_job = pool.rng.sample(pool.everything("professions"), 2)
    hobby, other_hobby = pool.rng.sample(pool.everything("hobbies"), 2)
    town, other_town = pool.rng.sample(pool.everything("towns"), 2)
    return {
        "first": first,
        "second": second,
        "job": _article(job),
        "other_job": _article(other_job),
        "hobby": hobby,
        "other_hobby": other_hobby,
        "town": town,
        "other_town": other_town,
        "day": pool.rng.choice(pool.everything("days")),
        "thing": _article(pool.rng.choice(pool.everything("objects"))),
        "age": str(pool.rng.randint(30, 79)),
        "children": pool.rng.choice(_NUMBERS[2:7]),
        "colour": pool.rng.choice(pool.everything("categories", "colours")),
    }


def _ranked(pool: _Pool) -> _Row:
    """Who is the oldest? From two comparisons."""
    names = pool.rng.sample(pool.items("first_names"), 3)
    more, most, least = pool.rng.choice(
        (
            ("older", "oldest", "youngest"),
            ("taller", "tallest", "smallest"),
            ("faster", "fastest", "slowest"),
            ("richer", "richest", "poorest"),
            ("stronger", "strongest", "weakest"),
        )
    )
    facts = [f"{names[0]} is {more} than {names[1]}.", f"{names[1]} is {more} than {names[2]}."]
    pool.rng.shuffle(facts)
    asked, answer = pool.rng.choice(((most, names[0]), (least, names[2])))
    return pool.ask("question_who"), f"{' '.join(facts)}\nQuestion: Who is the {asked}?", f"{answer} is the {asked}."


# Tasks on lists -------------------------------------------------------------------------------------------------------


def _members(pool: _Pool, count: int) -> tuple[str, list[str]]:
    """A category and some of its members."""
    category, members = pool.one("categories")
    return category, pool.rng.sample(members, min(count, len(members)))


def _mixed(pool: _Pool, low: int, high: int) -> list[str]:
    words = [word for _, members in pool.items("categories") for word in members]
    return pool.rng.sample(sorted(set(words)), pool.rng.randint(low, high))


def _sorted_words(pool: _Pool) -> _Row:
    words = _mixed(pool, 3, 5)
    return pool.ask("sort"), ", ".join(words), ", ".join(sorted(words, key=str.lower))


def _sorted_numbers(pool: _Pool) -> _Row:
    numbers = pool.rng.sample(range(1, 100), pool.rng.randint(3, 5))
    return pool.ask("sort_numbers"), ", ".join(map(str, numbers)), ", ".join(map(str, sorted(numbers)))


def _largest(pool: _Pool) -> _Row:
    numbers = pool.rng.sample(range(1, 300), pool.rng.randint(3, 5))
    return pool.ask("largest"), ", ".join(map(str, numbers)), str(max(numbers))


def _counted(pool: _Pool) -> _Row:
    words = _mixed(pool, 2, 8)
    return pool.ask("count"), ", ".join(words), f"There are {_NUMBERS[len(words)]} items in the list."


def _nth(pool: _Pool) -> _Row:
    words = _mixed(pool, 3, 6)
    which, index = pool.rng.choice((("first", 0), ("second", 1), ("last", -1), ("third", 2)))
    return pool.ask("first_last", x=which), ", ".join(words), words[index].capitalize()


def _reversed(pool: _Pool) -> _Row:
    words = _mixed(pool, 3, 5)
    return pool.ask("reverse"), ", ".join(words), ", ".join(reversed(words))


def _odd_one(pool: _Pool) -> _Row:
    category, other = pool.fields("odd_pairs")
    members = pool.rng.sample(pool.everything("categories", category), 3)
    stranger = pool.rng.choice(pool.everything("categories", other))
    words = [*members, stranger]
    pool.rng.shuffle(words)
    return pool.ask("odd"), ", ".join(words), f"{stranger[0].upper()}{stranger[1:]} does not belong to the {category}."


def _common_kind(pool: _Pool) -> _Row:
    category, members = _members(pool, pool.rng.randint(2, 4))
    return pool.ask("category"), ", ".join(members), f"They are {category}."


def _listed(pool: _Pool) -> _Row:
    category, members = _members(pool, pool.rng.randint(3, 5))
    lines = pool.rng.choice((", ".join, _numbered_lines))
    return pool.ask("list", n=_NUMBERS[len(members)], x=category), "", lines(members)


def _numbered_lines(items: Sequence[str]) -> str:
    return "\n".join(f"{number}. {item[0].upper()}{item[1:]}" for number, item in enumerate(items, 1))


# Tasks on words -------------------------------------------------------------------------------------------------------


def _opposite(pool: _Pool) -> _Row:
    word, other = pool.rng.sample(pool.fields("opposites"), 2)
    return pool.ask("opposite", x=word), "", f'The opposite of "{word}" is "{other}".'


def _synonym(pool: _Pool) -> _Row:
    word, other = pool.rng.sample(pool.fields("synonyms"), 2)
    return pool.ask("synonym", x=word), "", f'Another word for "{word}" is "{other}".'


def _word_pairs(task: str, path: str, answer: str) -> _Task:
    """A task over "word|other" items; `answer` has {x} and {y}."""

    def made(pool: _Pool) -> _Row:
        word, other = pool.fields(path)
        return pool.ask(task, x=word), "", answer.format(x=word, y=other)

    return made


def _past_form(pool: _Pool) -> _Row:
    base, _, past, _, _ = pool.fields("verbs")
    return pool.ask("past_form", x=base), "", f'The past tense of "{base}" is "{past}".'


def _compared(pool: _Pool) -> _Row:
    word, more, most = pool.fields("comparatives")
    return pool.ask("comparative", x=word), "", f"{word.capitalize()}, {more}, {most}."


def _rhyme(pool: _Pool) -> _Row:
    word, *others = pool.rng.sample(pool.fields("rhymes"), 3)
    return pool.ask("rhyme", x=word), "", f'"{others[0].capitalize()}" and "{others[1]}" rhyme with "{word}".'


def _word_class(pool: _Pool) -> _Row:
    kind = pool.rng.choice(pool.everything("word_classes"))
    word = pool.one("word_classes", kind)
    return pool.ask("word_class", x=word), "", f'"{word[0].upper()}{word[1:]}" is {_article(kind)}.'


# Tasks on knowledge, and free ones ------------------------------------------------------------------------------------


def _mapped(task: str, path: str) -> _Task:
    """A task over a mapping from what is asked to one answer or several."""

    def made(pool: _Pool) -> _Row:
        asked, answers = pool.one(path)
        answer = answers if isinstance(answers, str) else pool.rng.choice(answers)
        return pool.ask(task, x=asked), "", answer

    return made


def _completed(pool: _Pool) -> _Row:
    beginning, ends = pool.one("completions")
    end = pool.rng.choice(ends)
    instruction = pool.ask("complete", x=beginning)
    if pool.rng.random() < 0.5 and instruction.endswith(beginning):
        return (
            re.sub(r"(?<=\w):? *$", ".", instruction[: -len(beginning)].rstrip(": ")),
            beginning,
            f"{beginning} {end}",
        )
    return instruction, "", f"{beginning} {end}"


def _proverb(pool: _Pool) -> _Row:
    beginning, end, meaning = pool.fields("proverbs")
    if pool.rng.random() < 0.5:
        return pool.ask("proverb", x=beginning), "", f"{beginning} {end}."
    return pool.ask("proverb_meaning", x=f"{beginning} {end}"), "", meaning


def _advice(pool: _Pool) -> _Row:
    aim, tips = pool.one("advice")
    chosen = pool.rng.sample(tips, 3)
    form = pool.rng.choice((" ".join, _numbered_lines))
    return pool.ask("advice", x=aim), "", form(chosen)


def _note(pool: _Pool) -> _Row:
    topic, sentences = pool.one("notes")
    others = pool.rng.sample(sentences[1:], pool.rng.choice((1, 2, 2)))
    return pool.ask("note", x=topic), "", " ".join((sentences[0], *others))


def _why(pool: _Pool) -> _Row:
    question, clause, answer = pool.fields("whys")
    return pool.ask("why", x=question, y=clause), "", answer


def _message(pool: _Pool) -> _Row:
    task, own, text = pool.fields("messages")
    filled = text.format(name=pool.one("first_names"), day=pool.rng.choice(pool.everything("days")))
    return pool.ask("message", x=task, y=own), "", filled


def _story(pool: _Pool) -> _Row:
    about, text = pool.fields("stories")
    filled = text.format(name=pool.one("first_names"), town=pool.rng.choice(pool.everything("towns")))
    return pool.ask("story", x=about), "", filled


def _interview(pool: _Pool) -> _Row:
    topic = pool.one("topics_to_ask")
    return pool.ask("ask_question", x=topic), "", pool.rng.choice(pool.everything("questions_to_ask")).format(x=topic)


def _sum(pool: _Pool) -> _Row:
    first, second = pool.rng.randint(2, 60), pool.rng.randint(2, 39)
    return pool.ask("sum", x=str(first), y=str(second)), "", f"{first} plus {second} is {first + second}."


def _converted(pool: _Pool) -> _Row:
    unit, small, factor = pool.rng.choice(
        (
            ("hours", "minutes", 60),
            ("minutes", "seconds", 60),
            ("days", "hours", 24),
            ("weeks", "days", 7),
            ("years", "months", 12),
            ("metres", "centimetres", 100),
            ("kilometres", "metres", 1000),
        )
    )
    count = pool.rng.randint(2, 10)
    number = _NUMBERS[count]
    wording = pool.ask("convert", x=f"{number} {unit}", y=small)
    return wording, "", f"{number.capitalize()} {unit} are {count * factor} {small}."


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


# Each task with its weight: what has little material is drawn less often.
_TASKS: dict[_Task, float] = {
    _to_past: 4.5,
    _to_future: 4,
    _negated: 4,
    _to_question: 4,
    _to_plural: 3.5,
    _to_passive: 4,
    _corrected: 5,
    _replaced: 3.5,
    _pairs("formal", "formal"): 2.5,
    _pairs("shorten", "shorten"): 1.8,
    _pairs("headline", "headline"): 1.4,
    _pairs("join", "join"): 1.4,
    _mood: 4,
    _topic: 4,
    _sentence_kind: 2,
    _extracted: 7,
    _reading: 6,
    _ranked: 2,
    _sorted_words: 2.5,
    _sorted_numbers: 1.5,
    _largest: 1.5,
    _counted: 2,
    _nth: 2.5,
    _reversed: 1.5,
    _odd_one: 2.5,
    _common_kind: 2,
    _listed: 9,
    _opposite: 7,
    _synonym: 7,
    _word_pairs("plural", "plurals", 'The plural of "{x}" is "{y}".'): 4,
    _past_form: 3.5,
    _compared: 3,
    _word_pairs("capital", "capitals", "The capital of {x} is {y}."): 2.5,
    _word_pairs("job", "jobs", "That is {y}."): 2.5,
    _word_pairs("young", "young", "A young {x} is called {y}."): 1,
    _word_pairs("sound", "sounds", "{y}"): 1,
    _word_pairs("riddle", "riddles", "{y}"): 1,
    _rhyme: 3,
    _word_class: 2.5,
    _mapped("define", "definitions"): 5,
    _mapped("sentence_with", "sentences_with"): 5,
    _mapped("fact", "facts"): 2.5,
    _mapped("compare", "compare"): 1.5,
    _completed: 3.5,
    _proverb: 2.5,
    _advice: 10,
    _note: 12,
    _why: 3.5,
    _message: 4,
    _story: 5,
    _interview: 1.5,
    _sum: 3,
    _converted: 3,
}
