"""What a reader of a study may choose about its report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How techniques are compared.

    Attributes:
        margin: a difference that does not matter: points of a fraction or a correlation; of a perplexity, and of any
            other metric, this share of the best value.
        pairs: every pair of techniques is tested and shown, not only those with the best and with the untuned model.
        each_setting: every setting of a technique is a row that is ranked and tested, not only the one that is best on
            validation.
        price_per_hour: of the machine, in place of the study's.
    """

    margin: float = 0.01
    pairs: bool = False
    each_setting: bool = False
    price_per_hour: float | None = None
