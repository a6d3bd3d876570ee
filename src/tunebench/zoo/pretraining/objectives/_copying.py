"""Heads that copy, grafted onto a T5 that has learned to guess.

To answer from a text, a state has to find the place where its own surroundings recur, and to take what stands there: an
induction head (Olsson et al. 2022, arXiv:2209.11895). Several layers must act together for it, of which none has a
reason to alone, and a model of this size comes upon it late, if at all. Here some heads are set so that they do it, as
in the initial values of Trockman and Kolter 2023 (arXiv:2305.09828); then all weights train on. Measured in
docs/decisions/0013.

The graft writes where the states hold least, three times as many directions as a head is wide: in one part what a token
is, in the others what its left and its right neighbour are.

    encoder 1: heads write their own token, its left and its right neighbour into the three parts
    encoder 2: heads compare left (right) neighbours, and add what stands between the same ones to the own part
    decoder 1: a head writes its own token into the own part
    decoder 2: cross heads look for the own token (a sentinel) and for what has it on its left (the next word to copy)
"""

from typing import Any

import torch
from torch import Tensor

from tunebench._util.errors import UserError

_LOUD = 0.2  # of a state's energy: what a grafted head writes
_MATCH_GAIN = 1.5  # factor of what a match writes
_SHARP = 14.0  # the score of a match; chance scores spread by about 2
_SELF_SCORE = 20.0  # the same for a token that looks for itself
_NEAR = 10.0  # bias of the one distance that a neighbour's head looks at
_EMBEDDING_SHARE = 0.3  # of an embedding's length: its token in the own part, so that writing there predicts the token
_OWN, _LEFT, _RIGHT = 0, 2, 3  # heads of the encoder's first layer
_SAME_LEFT, _SAME_RIGHT = 0, 1  # of its second
_SPEAKER = 3  # of the decoder's first
_ALIGNED, _NEXT = 1, 2  # cross heads of its second


def graft(model: Any, texts: Tensor) -> None:
    """Replace eight heads and the encoder's position biases, and mark the embeddings; a function of its arguments.

    Args:
        model: a T5 in float32.
        texts: token ids, (texts, tokens), on which states are measured.

    Raises:
        UserError: the model has too few heads, layers or dimensions.
    """
    config = model.config
    if (
        config.num_heads < 4
        or min(config.num_layers, config.num_decoder_layers) < 2
        or config.d_model < 4 * config.d_kv
    ):
        raise UserError("start_from: heads that copy need a T5 with 2 layers, 4 heads and a width of 4 heads or more.")
    with torch.no_grad():
        _Graft(model, texts).make()


class _Graft:
    def __init__(self, model: Any, texts: Tensor) -> None:
        self.model, self.texts, self.width = model, texts, model.config.d_kv
        self.own, self.left, self.right = self._emptiest()
        self.identity, self.size = self._identity()

    def make(self) -> None:
        encoder, decoder = self.model.encoder.block, self.model.decoder.block
        self._mark(encoder[0].layer[0], self._states()[0][0])
        self._speak(decoder[0].layer[0], self._states()[1][0])
        read = self._states()[0]
        self._match(encoder[1].layer[0], read[0], read[1])
        read, written = self._states()
        self._cross(decoder[1].layer[1], read[-1], written)
        normed = _normed(self.model.shared.weight)
        length = self.model.shared.weight.norm(dim=1).mean()
        self.model.shared.weight += _EMBEDDING_SHARE * length * (normed @ self.identity.T) / self.size @ self.own.T

    def _states(self) -> tuple[list[Tensor], list[Tensor]]:
        """What encoder and decoder layers leave behind, (texts x tokens, hidden) each."""
        left: list[Tensor] = []

        def keep(module: Any, inputs: Any, output: Any) -> None:
            left.append((output[0] if isinstance(output, tuple) else output).flatten(0, 1))

        blocks = [*self.model.encoder.block, *self.model.decoder.block]
        hooks = [block.register_forward_hook(keep) for block in blocks]
        sources = self.model.encoder(input_ids=self.texts).last_hidden_state
        self.model.decoder(input_ids=self.texts, encoder_hidden_states=sources)
        for hook in hooks:
            hook.remove()
        depth = len(self.model.encoder.block)
        return left[:depth], left[depth:]

    def _emptiest(self) -> tuple[Tensor, Tensor, Tensor]:
        """Three times (hidden, head width) orthogonal directions, in which the states of all layers hold least."""
        read, written = self._states()
        energy = torch.stack([state.T @ state / state.pow(2).sum() for state in (*read, *written)]).sum(0)
        emptiest = torch.linalg.eigh(energy)[1][:, : 3 * self.width]
        return emptiest[:, ::3], emptiest[:, 1::3], emptiest[:, 2::3]

    def _identity(self) -> tuple[Tensor, Tensor]:
        """What tells tokens apart: (head width, hidden), to be applied to a normed embedding, and its usual length.

        The strongest directions in which embeddings differ, all made equally strong, less what all have in common.
        """
        embeddings = _normed(self.model.shared.weight)
        mean = embeddings.mean(0)
        strongest = torch.linalg.eigh(torch.cov(embeddings.T))[1][:, -self.width :]
        identity = (strongest * ((embeddings - mean) @ strongest).pow(2).mean(0).rsqrt()).T
        common = identity @ mean
        identity = identity - torch.outer(common, common @ identity) / (common @ common)
        return identity, (_normed(self.model.shared.weight[self.texts.flatten()]) @ identity.T).pow(2).sum(
            -1
        ).mean().sqrt()

    def _mark(self, layer: Any, state: Tensor) -> None:
        attention, bias = layer.SelfAttention, layer.SelfAttention.relative_attention_bias.weight
        bias.zero_()
        loud = (_LOUD * state.pow(2).sum(-1).mean()).sqrt()
        itself = self.identity * (_SELF_SCORE**0.5 / self.size) / layer.layer_norm.weight
        self._set(attention, _OWN, itself, itself)
        for head, distance, part in ((_OWN, 0, self.own), (_LEFT, -1, self.left), (_RIGHT, 1, self.right)):
            if distance:
                bucket = attention._relative_position_bucket(
                    torch.tensor([distance]),
                    True,
                    attention.relative_attention_num_buckets,
                    attention.relative_attention_max_distance,
                )
                bias[bucket, head] = _NEAR
                attention.q.weight[self._rows(head)] = 0
            self._carry(attention, head, self.identity / self.size / layer.layer_norm.weight, loud * part)

    def _speak(self, layer: Any, state: Tensor) -> None:
        attention = layer.SelfAttention
        attention.relative_attention_bias.weight[:, _SPEAKER] = 0
        itself = self.identity * (_SELF_SCORE**0.5 / self.size) / layer.layer_norm.weight
        self._set(attention, _SPEAKER, itself, itself)
        loud = (_LOUD * state.pow(2).sum(-1).mean()).sqrt()
        self._carry(attention, _SPEAKER, self.identity / self.size / layer.layer_norm.weight, loud * self.own)

    def _match(self, layer: Any, state: Tensor, after: Tensor) -> None:
        loud = _MATCH_GAIN * (_LOUD * after.pow(2).sum(-1).mean() / 2).sqrt()  # two heads find
        for head, side in ((_SAME_LEFT, self.left), (_SAME_RIGHT, self.right)):
            alike = self._reader(state, layer.layer_norm, side, _SHARP)
            self._set(layer.SelfAttention, head, alike, alike)
            self._carry(
                layer.SelfAttention, head, self._reader(state, layer.layer_norm, self.own, 1.0), loud * self.own
            )

    def _cross(self, layer: Any, read: Tensor, written: list[Tensor]) -> None:
        loud = _MATCH_GAIN * (_LOUD * written[-1].pow(2).sum(-1).mean()).sqrt()
        last = self.model.encoder.final_layer_norm
        asks = self._reader(written[0], layer.layer_norm, self.own, _SHARP)
        for head, part in ((_ALIGNED, self.own), (_NEXT, self.left)):
            self._set(layer.EncDecAttention, head, asks, self._reader(read, last, part, _SHARP))
            self._carry(layer.EncDecAttention, head, self._reader(read, last, self.own, 1.0), loud * self.own)

    def _reader(self, state: Tensor, norm: Any, part: Tensor, energy: float) -> Tensor:
        """(head width, hidden): a part of normed states, with `energy` on average."""
        rows = (part / norm.weight[:, None]).T
        return rows * (energy / (_normed(state) * norm.weight @ rows.T).pow(2).sum(-1).mean()).sqrt()

    def _set(self, attention: Any, head: int, query: Tensor, key: Tensor) -> None:
        attention.q.weight[self._rows(head)] = query
        attention.k.weight[self._rows(head)] = key

    def _carry(self, attention: Any, head: int, read: Tensor, write: Tensor) -> None:
        attention.v.weight[self._rows(head)] = read
        attention.o.weight[:, self._rows(head)] = write

    def _rows(self, head: int) -> slice:
        return slice(head * self.width, (head + 1) * self.width)


def _normed(states: Tensor) -> Tensor:
    """T5's layer norm without its weight."""
    return states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + 1e-6)
