"""Words that judge, and what a sentence says for or against by them: negation turns the next three words around."""

from __future__ import annotations

from collections.abc import Sequence

GOOD = frozenset(
    """
able accomplished accurate adept admirable admire admired admires adorable adore adored adores advantage affection
affectionate agile agreeable amazed amazing ample amuse amused amusing appealing applaud applauded appreciate
appreciated apt artful astonishing attractive authentic awesome balanced beauties beautiful beauty beloved benefit
benefits best better blessed blessing bliss bold brave brilliance brilliant calm capable captivating careful
celebrated charm charmed charming cheer cheered cheerful cherish cherished clear clever comfort comfortable comforting
commend commendable compelling competent confident congenial consistent convincing cosy courage courageous courteous
creative cute dazzling dear decent delicate delicious delight delighted delightful delights dependable deserved
deserving devoted dignified dignity eager earnest easy effective efficient elegance elegant eloquent enchanted
enchanting encouraging endearing engaging enjoy enjoyable enjoyed enjoying enjoyment enjoys entertaining enthralling
enthusiasm enthusiastic excellence excellent exceptional excited exciting exhilarating expert exquisite extraordinary
fabulous fair faithful famous fantastic fascinating favorite favourite fine finest flattering flawless fond fortunate
fresh friendly fun funny generous genial genius gentle genuine gift gifted glad glorious glory good goodness gorgeous
grace graceful gracious grand grandeur grateful gratified great greatest gripping handsome happily happiness happy
harmonious harmony haunting healthy heartfelt hearty helpful heroic hilarious honest honorable honour honourable hope
hopeful humorous humour ideal imaginative impeccable impressed impressive incredible ingenious innovative insightful
inspiration inspired inspiring intelligent intense intimate intriguing inventive invigorating joy joyful joyous kind
kindly kindness laugh laughed laughs laughter lively lovable love loved lovely loves loving loyal lucid lucky luminous
magic magical magnificent majestic marvel marvellous marvelous masterful masterly masterpiece mature memorable merit
merits merry mesmerizing moving neat nice noble notable nuanced original outstanding passion passionate peaceful
perfect perfection perfectly pleasant please pleased pleasing pleasure pleasures poetic poignant polished polite
positive powerful praise praised precious pretty profound promising proud pure quality radiant rare recommend
recommended refined refreshing rejoice reliable relief remarkable resourceful respect respected rewarding rich right
romantic satisfaction satisfactory satisfied satisfying scrumptious sensational sensible sensitive sharp sincere
skilful skill skilled skillful smart smile smiled smiles smooth solid sophisticated sparkling special spectacular
spirited splendid splendor splendour steady stirring striking strong stunning sturdy stylish sublime subtle succeed
succeeded success successful suitable superb superior sweet sympathetic talent talented tasteful tender terrific
thankful thorough thoughtful thrilled thrilling tidy timeless top touching tranquil treasure treat tremendous triumph
triumphant true trustworthy unforgettable unique useful valuable vibrant victory virtue virtuous vivid warm warmth
welcome well wholesome win winning wisdom wise wit witty wonder wonderful wonderfully wondrous worth worthwhile worthy
    """.split()  # noqa: SIM905 - a list of words is for reading
)

BAD = frozenset(
    """
abominable abrupt absurd abuse abused abysmal afraid agony aimless amateurish anger angry annoy annoyed annoying
appalled appalling arrogant ashamed atrocious avoid awful awfully awkward bad badly banal barren bitter bland bleak
blunder blunt bogus bore bored boredom boring bother bothered broken brutal careless cheap cheat cheated cheesy clumsy
cold complain complained complaint confused confusing confusion contemptible contrived corrupt coward cowardly crap
crass crazy creepy cringe crude cruel cruelty cumbersome cursed damaged damn damned dangerous dead deceit deceitful
defect defective deficient degrading deplorable depressed depressing derivative despair desperate despicable despise
despised dire dirty disagreeable disappoint disappointed disappointing disappointment disaster disastrous disgrace
disgraceful disgust disgusted disgusting dishonest dislike disliked dismal displeased distaste distasteful distress
distressing disturbing doom doubtful drab dread dreaded dreadful dreary dry dull dumb embarrassed embarrassing
embarrassment empty endless error errors evil excessive exhausted exhausting exploitative fail failed failing fails
failure failures fake false fault faults faulty fear feeble filthy flat flaw flawed flaws flimsy folly fool foolish
forced forgettable foul frustrated frustrating frustration futile garbage ghastly gloomy grating grief grim gross
grotesque guilty harm harmful harsh hate hated hateful hates hatred heartless hideous hollow hopeless horrendous
horrible horribly horrid horror hurt idiot idiotic ignorance ignorant ill immature implausible impossible inadequate
incoherent incompetent inconsistent inept inferior insipid insufferable insult insulted insulting intolerable
irrelevant irritated irritating jerky joke junk lack lacked lacking lacks lame lazy lifeless loathe loathed loathsome
lose loser losing loss lost lousy ludicrous mad malicious mean meaningless mediocre melancholy menace mess messy
miserable misery misfortune mistake mistaken mistakes monotonous monstrous morbid muddled murky nasty naughty
nauseating needless negative neglected nonsense obnoxious obscure odious offended offensive ordinary outrageous
overdone overlong overrated pain painful pathetic pitiful pity plodding pointless pompous poor poorly predictable
pretentious problem problems puerile racist rage rambling redundant regret repelled repellent repetitive repulsive
resent revolting ridiculous rotten rubbish rude ruin ruined ruins sad sadly sadness scandal scandalous scorn selfish
senseless shabby shallow shame shameful shameless shoddy sick silly sloppy slow sluggish sordid sorrow sorry spoil
spoiled spoilt stale stiff stilted stink stinks strained stupid stupidity suffer suffered suffering sullen superficial
tacky tasteless tedious terrible terribly terror thoughtless tired tiresome tiring torment torture tortured trash
trashy treacherous trite trivial trouble troubled troublesome ugly unappealing unattractive unbearable uncomfortable
unconvincing undeveloped unfair unfortunate unfortunately unfunny unhappy unimaginative unimpressive uninspired
unintelligible uninteresting unjust unkind unlikeable unnatural unnecessary unpleasant unrealistic unsatisfactory
unsatisfying unwatchable unworthy useless vague vain vicious vile villain violent vulgar waste wasted wasting weak
weakness weary weird wicked woeful wooden worried worry worse worst worthless wreck wrecked wretched wrong
    """.split()  # noqa: SIM905 - a list of words is for reading
)

_TURNING = frozenset(
    """
aren't barely can't cannot couldn't didn't doesn't don't hadn't hardly hasn't haven't isn't least less neither never
no nobody none nor not nothing scarcely shouldn't wasn't weren't without won't wouldn't
    """.split()  # noqa: SIM905 - a list of words is for reading
)
_REACH = 3  # words that a negation turns around


def valences(words: Sequence[str], sentences: Sequence[int]) -> list[int]:
    """1 where a word speaks for, -1 where it speaks against, else 0.

    Args:
        words: in lower case, without punctuation.
        sentences: the number of each word's sentence.
    """
    judgements, turned = [], -1
    for place, word in enumerate(words):
        if word in _TURNING:
            turned = place
        plain = word if word in GOOD or word in BAD else word.removesuffix("ly")
        value = (plain in GOOD) - (plain in BAD)
        near = 0 <= turned < place <= turned + _REACH and sentences[turned] == sentences[place]
        judgements.append(-value if near else value)
    return judgements
