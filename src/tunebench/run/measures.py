"""What a study asks to be measured besides scores and ordinary costs."""

import torch

from tunebench.engine.forgetting import Forgetting, Probe, forgetting
from tunebench.engine.settle import settle
from tunebench.run.prepare import Prepared
from tunebench.techniques.base import freeze


def forgetting_of(prepared: Prepared) -> Forgetting:
    """What the tuned model has forgotten, as it answers; nothing where the study does not ask.

    The untuned model is read anew and placed as the tuned one is, so that frozen layers give the same bits in both.
    """
    cell, family, model = prepared.cell, prepared.cell.family, prepared.model
    if "forgetting" not in cell.run.measure:
        return Forgetting()
    writes = prepared.objective.name not in family.fresh_heads
    tokenizer = family.tokenizer(prepared.local)
    virtual = cell.technique.virtual_tokens(model, family, "masked" if family.reads_left_to_right else "self")
    devices = [prepared.accelerator.device] if prepared.accelerator.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        untuned = cell.backbone(prepared.local, prepared.objective)
        freeze(untuned)
        settle(untuned, family, prepared.accelerator.device, prepared.precision, prepared.objective.ranks)
        head = None if writes else family.language_model(prepared.local)
    model.eval()
    probe = Probe(
        family=family,
        tokenizer=tokenizer,
        room=cell.room(tokenizer),
        autocast=prepared.autocast,
        before=virtual is None or virtual.before,
        writes=writes,
        head=head.to(prepared.accelerator.device).eval() if head is not None else None,
    )
    return forgetting(model, untuned, probe)
