"""The names of a ViT in the files of each family."""

import dataclasses

from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.weights.names.entries import (
    Entry,
    attention_out,
    linear,
    qkv_bias,
    qkv_kernel,
    reshaped,
    same,
)


@dataclasses.dataclass(frozen=True)
class BlockNames:
    """What a family calls the parts of a block, after the block's own name.

    Attributes:
        attention_norm, mlp_norm, out, up, down: modules with a weight and a bias.
        qkv: the weight of all three together, or of each.
        qv_bias: biases of query and value, where the key has none.
        qkv_bias: one bias of all three, or one of each.
        scales: the scales of both residual branches.
    """

    attention_norm: str
    mlp_norm: str
    qkv: tuple[str, ...]
    out: str
    up: str
    down: str
    qv_bias: tuple[str, ...] = ()
    qkv_bias: tuple[str, ...] = ()
    scales: tuple[str, str] = ("gamma_1", "gamma_2")


# VideoMAE and those that grew from it.
VIDEOMAE = BlockNames(
    attention_norm="norm1",
    mlp_norm="norm2",
    qkv=("attn.qkv.weight",),
    out="attn.proj",
    up="mlp.fc1",
    down="mlp.fc2",
    qv_bias=("attn.q_bias", "attn.v_bias"),
    qkv_bias=("attn.qkv.bias",),
)
TIMM = dataclasses.replace(VIDEOMAE, qv_bias=(), scales=("ls1.gamma", "ls2.gamma"))


def separate(names: BlockNames, template: str) -> BlockNames:
    """The same with a linear layer each for query, key and value: "attn.{}" -> "attn.q", …"""
    letters = {"{}": "qkv", "{long}": ("query", "key", "value")}
    marker = next(x for x in letters if x in template)
    layers = [template.replace(marker, letter) for letter in letters[marker]]
    return dataclasses.replace(
        names,
        qkv=tuple(f"{x}.weight" for x in layers),
        qv_bias=(f"{layers[0]}.bias", f"{layers[2]}.bias"),
        qkv_bias=tuple(f"{x}.bias" for x in layers),
    )


# A ViT as Hugging Face's transformers call it.
TRANSFORMERS = separate(
    BlockNames(
        attention_norm="layernorm_before",
        mlp_norm="layernorm_after",
        qkv=(),
        out="attention.output.dense",
        up="intermediate.dense",
        down="output.dense",
    ),
    "attention.attention.{long}",
)


def linear_entries(path: str, name: str, inputs: int, outputs: int, layers: int = 0) -> list[Entry]:
    """Kernel and bias of a linear layer."""
    return [
        Entry(f"{path}/kernel", (f"{name}.weight",), linear(inputs, outputs), layers),
        Entry(f"{path}/bias", (f"{name}.bias",), same(outputs), layers),
    ]


def norm_entries(path: str, name: str, width: int, layers: int = 0) -> list[Entry]:
    """Scale and bias of a layer norm."""
    return [
        Entry(f"{path}/scale", (f"{name}.weight",), same(width), layers),
        Entry(f"{path}/bias", (f"{name}.bias",), same(width), layers),
    ]


def transformer_entries(
    path: str, template: str, config: TransformerConfig, names: BlockNames
) -> list[Entry]:
    """All blocks of a transformer.

    Args:
        path: our module, "…/transformer".
        template: what stands before a block's parts, such as "blocks.{}.".
        config: its sizes.
        names: the family's names.
    """
    width, depth, heads = config.width, config.depth, config.heads
    path = f"{path}/blocks"
    attention, one = f"{path}/attention", (heads, width // heads)

    def named(parts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(template + part for part in parts)

    entries = [
        *norm_entries(f"{path}/attention_norm", template + names.attention_norm, width, depth),
        *norm_entries(f"{path}/mlp_norm", template + names.mlp_norm, width, depth),
        Entry(
            f"{attention}/qkv_kernel",
            named(names.qkv),
            qkv_kernel(width, heads, fused=len(names.qkv) == 1),
            depth,
        ),
        Entry(
            f"{attention}/out_kernel",
            named((f"{names.out}.weight",)),
            attention_out(width, heads),
            depth,
        ),
        Entry(f"{attention}/out_bias", named((f"{names.out}.bias",)), same(width), depth),
        *linear_entries(f"{path}/mlp/up", template + names.up, width, config.mlp_width, depth),
        *linear_entries(f"{path}/mlp/down", template + names.down, config.mlp_width, width, depth),
    ]
    biases = {"qv": names.qv_bias, "qkv": names.qkv_bias}.get(config.attention_bias, ())
    letters = config.attention_bias if biases else ""
    paths = tuple(f"{attention}/{letter}_bias" for letter in letters)
    if len(biases) == len(paths):
        for ours, name in zip(paths, named(biases), strict=True):
            entries.append(Entry(ours, (name,), reshaped((width,), one), depth))
    else:
        entries.append(Entry(paths, named(biases), qkv_bias(width, heads), depth))
    if config.layer_scale:
        for ours, name in zip(("attention_scale", "mlp_scale"), named(names.scales), strict=True):
            entries.append(Entry(f"{path}/{ours}", (name,), same(width), depth))
    return entries
