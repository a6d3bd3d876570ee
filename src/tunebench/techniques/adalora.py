"""AdaLoRA: low-rank updates whose ranks are allocated while training."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, model_validator

from tunebench._util.errors import UserError
from tunebench._util.words import plural
from tunebench.families.base import Family
from tunebench.techniques import _peft

if TYPE_CHECKING:
    from torch import Tensor, nn

_ADAPTER = "default"
_SCORES = ("ipt", "exp_avg_ipt", "exp_avg_unc")
_RANKS = "rank_pattern"


class Adalora(_peft.LowRank):
    """W + P diag(E) Q with rank `initial_rank` each; the least important triplets are zeroed until `target_rank`.

    Zhang et al. 2023, sections 3.1 to 3.3, PEFT's implementation: the budget decreases from the initial to the target
    rank, on average over all targets, by a cubic schedule between `warmup` and the last `final` of all steps; a penalty
    keeps P and Q nearly orthogonal. The head trains. Only an epoch that ends with the target ranks can be the best one,
    and patience counts from the first of these. Weight decay leaves E alone, which holds the diagonal of a matrix.
    """

    name = "adalora"
    title = "AdaLoRA"
    paper = "Zhang et al. 2023, AdaLoRA, https://arxiv.org/abs/2303.10512"
    version: ClassVar[int] = 2  # 1: weight decay on E, and a best epoch of any ranks

    initial_rank: int = Field(12, ge=1, description="at the start; Zhang et al. 2023, 4: 1.5 times the target")
    target_rank: int = Field(8, ge=1, description="on average at the end")
    warmup: float = Field(0.1, ge=0, lt=1, description="fraction of all steps before ranks decrease")
    final: float = Field(0.3, ge=0, lt=1, description="fraction of all steps with final ranks")
    every: int = Field(1, ge=1, description="steps between two allocations")
    beta1: float = Field(0.85, gt=0, lt=1, description="smoothing of importance; Zhang et al. 2023, appendix")
    beta2: float = Field(0.85, gt=0, lt=1, description="smoothing of its uncertainty; Zhang et al. 2023, appendix")
    orthogonality: float = Field(0.5, ge=0, description="weight of the penalty; PEFT's default")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Zhang et al. 2023, appendix: 5e-4 to 2e-3")

    @model_validator(mode="after")
    def _ranks_fall(self) -> Adalora:
        if self.target_rank > self.initial_rank:
            raise ValueError(
                f"ranks only decrease: target_rank {self.target_rank} is above initial_rank {self.initial_rank}. "
                "Give an initial_rank of at least the target_rank."
            )
        if self.warmup + self.final >= 1:
            raise ValueError(
                "warmup and final leave no step in which ranks decrease. Give fractions that sum to less than 1."
            )
        return self

    def apply(self, model: nn.Module, family: Family, total_steps: int) -> nn.Module:
        """A PEFT model around the given one."""
        from peft import AdaLoraConfig

        warmup, final = self._phases(total_steps)
        config = AdaLoraConfig(
            init_r=self.initial_rank,
            target_r=self.target_rank,
            tinit=warmup,
            tfinal=final,
            deltaT=self.every,
            beta1=self.beta1,
            beta2=self.beta2,
            orth_reg_weight=0.0,  # see penalty()
            total_step=max(total_steps, 1),
            **self.shared(model, family),
        )
        wrapped = _peft.wrapped(model, config)
        for name, parameter in wrapped.named_parameters():
            if "ranknum" in name:  # PEFT forgets that it is a constant when it moves it to another device
                parameter.requires_grad = False
        return wrapped

    def _phases(self, total_steps: int) -> tuple[int, int]:
        """Steps before ranks decrease, and steps with final ranks: at least one, so that they are reached.

        Raises:
            UserError: they leave no step in between.
        """
        if not self._prunes:
            return 0, 0
        warmup, final = round(total_steps * self.warmup), max(1, round(total_steps * self.final))
        if warmup + final >= total_steps:
            raise UserError(
                f"adalora: of {plural(total_steps, 'optimizer step')} in all, none is left in which "
                "ranks decrease. Give more epochs or smaller batches, or equal initial_rank and target_rank."
            )
        return warmup, final

    @property
    def _prunes(self) -> bool:
        return self.initial_rank > self.target_rank

    def may_be_best(self, model: Any) -> bool:
        """With the target ranks: before, the weights hold more than the setting says."""
        ranks = self.summary(model)["ranks"].values()
        return sum(ranks) <= self.target_rank * len(ranks)

    def penalty(self, model: Any) -> Tensor:
        """How far P and Q are from orthogonal: the mean Frobenius norm of P'P - I and QQ' - I (section 3.1).

        PEFT adds it in the forward of its own wrapper, which a model cut above its frozen layers does not pass through.
        """
        import torch

        norms = []
        for name, p in model.named_parameters():
            if "lora_A" in name or "lora_B" in name:
                product = p @ p.T if "lora_A" in name else p.T @ p
                norms.append(torch.norm(product - torch.eye(len(product), device=p.device)))
        return self.orthogonality * torch.stack(norms).mean()

    def after_step(self, model: Any, step: int) -> None:
        """Importance is updated, and ranks are allocated."""
        if self._prunes:  # PEFT fails if there is nothing to prune
            model.base_model.update_and_allocate(step)

    def extra_state(self, model: Any) -> dict[str, Tensor]:
        """The allocator's scores and ranks, which stand in no state_dict."""
        import torch

        allocator = model.base_model.rankallocator
        state = {f"{kind}.{name}": t for kind in _SCORES for name, t in getattr(allocator, kind).items()}
        ranks = model.peft_config[_ADAPTER].rank_pattern or {}
        return {**state, **{f"{_RANKS}.{name}": torch.tensor(kept) for name, kept in ranks.items()}}

    def load_extra_state(self, model: Any, state: dict[str, Tensor]) -> None:
        """Go on from there, on the model's device: files are read to the processor's memory."""
        allocator = model.base_model.rankallocator
        device = next(model.parameters()).device
        for kind in _SCORES:
            scores = {n.removeprefix(f"{kind}."): t for n, t in state.items() if n.startswith(f"{kind}.")}
            setattr(allocator, kind, {n: t.to(device) for n, t in scores.items()})
        ranks = {n.removeprefix(f"{_RANKS}."): t.tolist() for n, t in state.items() if n.startswith(f"{_RANKS}.")}
        model.peft_config[_ADAPTER].rank_pattern = ranks or None

    def summary(self, model: Any) -> dict[str, Any]:
        """The rank of every target: triplets whose E is not zero."""
        return {
            "ranks": {
                name.removeprefix("base_model.model.").removesuffix(f".lora_E.{_ADAPTER}"): int((p != 0).sum())
                for name, p in model.named_parameters()
                if "lora_E" in name
            }
        }

    def save_adapter(self, model: Any, family: Family, folder: Path) -> bool:
        """PEFT's own folder, every target at its initial rank: a triplet that was taken away is zero there."""
        config = model.peft_config[_ADAPTER]
        kept, config.rank_pattern = config.rank_pattern, None
        with warnings.catch_warnings():
            model.save_pretrained(str(folder))
        config.rank_pattern = kept
        return True
