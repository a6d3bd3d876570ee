"""What prefix tuning, P-tuning v2 and prompt tuning share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tunebench.errors import UserError
from tunebench.families.base import Family
from tunebench.techniques.base import Trained

if TYPE_CHECKING:
    from torch import nn


class PrefixTechnique(Trained):
    """A technique that trains virtual tokens."""

    prefix_length: int

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
            f"export: {self.name} trains virtual tokens, which no weight of the model can hold. 'tunebench predict' "
            "answers with the run as it is; for decoders its adapter/ folder loads in PEFT."
        )
