"""What prefix tuning, P-tuning v2 and prompt tuning share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tunebench._util.errors import UserError
from tunebench._util.ranges import Worth
from tunebench.families.base import AttentionKind, Family
from tunebench.techniques.base import Trained, Virtual

if TYPE_CHECKING:
    from torch import nn


class PrefixTechnique(Trained):
    """A technique that trains virtual tokens."""

    prefix_length: Annotated[
        int, Worth("Li and Liang 2021, 7.2; Lester et al. 2021, 3.2; Liu et al. 2021, 3.3", choices=(10, 20, 50))
    ]

    def positions_taken(self, family: Family) -> int:
        """In a decoder the text begins after the virtual tokens."""
        return self.prefix_length if family.reads_left_to_right else 0

    def save_adapter(self, model: nn.Module, family: Family, folder: Path) -> bool:
        """PEFT's folder, for decoders."""
        from tunebench.techniques import _virtual_tokens

        return _virtual_tokens.save(model, family, folder)

    def merged(self, model: nn.Module) -> nn.Module:
        """It cannot be."""
        raise UserError(
            f"export: {self.name} trains virtual tokens, which cannot be merged into the weights. 'tunebench predict' "
            "answers with the run itself; for decoders its adapter/ folder loads in PEFT."
        )


class LayerPrefix(PrefixTechnique):
    """Virtual tokens that are keys and values of every layer."""

    initial: Literal["random", "vocabulary"] = Field(
        "vocabulary", description="keys and values close to zero, or those of drawn tokens (Li and Liang 2021, 7.4)"
    )
    reach: Literal["both", "encoder", "decoder"] = Field(
        "both", description="of an encoder-decoder; a decoder's are in its self-attention and its cross-attention"
    )

    def not_applicable(self, family: Family, objective: str) -> str | None:
        """Keys and values enter through the attention function."""
        return family.refuses_prefix()

    def virtual_tokens(self, model: nn.Module, family: Family, kind: AttentionKind) -> Virtual | None:
        """Keys before the text, where they reach."""
        unreached = {"both": (), "encoder": ("masked", "cross"), "decoder": ("self",)}[self.reach]
        return None if kind in unreached else Virtual("prefix", self.prefix_length)
