"""The loss of the U-Net's attention: the token of a subject is attended where the subject is, and the start token else.

Attend-and-Excite reads from the attention whether a subject is missing. Trained on the noise alone, a network of this
size lets several words share one sprite. So it is also told where the subjects are, which Stable Diffusion never was.
"""

import torch
from diffusers.models.attention_processor import AttnProcessor

from render import PLACES
from vocabulary import TOKENS, subject_positions

# The attention that a subject's token has where it covers all; the rest is the start token's, an attention sink as in
# CLIP. A tenth suits the factor 100 of Attend-and-Excite, which multiplies attention before the softmax over the words.
SHARE = 0.1


class Recorder(AttnProcessor):
    """Attention as diffusers computes it; keeps the probabilities of cross-attention at 16x16 in a list."""

    def __init__(self, record):
        super().__init__()
        self.record = record

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, **arguments):
        if encoder_hidden_states is None or hidden_states.shape[1] != PLACES**2:
            return super().__call__(attn, hidden_states, encoder_hidden_states, **arguments)
        heads = attn.heads
        query = attn.head_to_batch_dim(attn.to_q(hidden_states))
        key = attn.head_to_batch_dim(attn.to_k(encoder_hidden_states))
        value = attn.head_to_batch_dim(attn.to_v(encoder_hidden_states))
        probabilities = attn.get_attention_scores(query, key)
        self.record.append(probabilities.unflatten(0, (-1, heads)).mean(1))
        output = attn.batch_to_head_dim(torch.bmm(probabilities, value))
        return attn.to_out[1](attn.to_out[0](output))


def record_attention(unet):
    """The list to which every pass of the U-Net adds its maps, N x 256 x 77 per layer: the mean of the heads."""
    record = []
    unet.set_attn_processor(Recorder(record))
    return record


def positions(caption):
    """The places of the two subjects' tokens; the start token's, 0, for one that the caption does not have."""
    found = subject_positions(caption)
    return found + [0] * (2 - len(found))


def attention_error(record, subjects, coverage):
    """Per picture, the divergence of the layers' mean attention from what it shall be; empties the record.

    `subjects` N x 2 are the positions of their tokens, `coverage` N x 2 x 256 in [0, 1] is how much of each place shows
    them.
    """
    attention = torch.stack(record).float().mean(0)
    record.clear()
    wanted = torch.zeros(*attention.shape[:2], TOKENS)
    wanted.scatter_(2, subjects[:, None].expand(-1, PLACES**2, -1), SHARE * coverage.transpose(1, 2))
    wanted[..., 0] = 1 - wanted[..., 1:].sum(2)
    return torch.nn.functional.kl_div((attention + 1e-6).log(), wanted, reduction="none").sum(2).mean(1)
