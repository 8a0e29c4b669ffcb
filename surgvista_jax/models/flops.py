"""The arithmetic that a model needs: floating-point operations of its matrix products."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # so that a plan of many runs counts without JAX
    from surgvista_jax.models.backbones import BackboneConfig
    from surgvista_jax.models.image_vit import TeacherConfig
    from surgvista_jax.models.layers import TransformerConfig
    from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
    from surgvista_jax.models.mstcn import MsTcnConfig

# A product's gradient costs two products of the same size.
FORWARD_AND_BACKWARD = 3


def transformer_flops(config: "TransformerConfig", tokens: int, asked: int | None = None) -> int:
    """Operations (a multiply and an add count two) of one forward pass over [tokens, D].

    asked: how many of them are needed of the last block, which attend to all; None: all. A loop
        over blocks (`compute.unroll=false`) computes the others too; the method does not need them.
    """
    last = tokens if asked is None else asked
    return (config.depth - 1) * _block_flops(config, tokens, tokens) + _block_flops(
        config, tokens, last
    )


def _block_flops(config: "TransformerConfig", tokens: int, asked: int) -> int:
    d = config.width
    projections = 2 * tokens * d * 2 * d + 2 * asked * d * (2 * d + 2 * config.mlp_width)
    return projections + 4 * tokens * asked * d


def student_flops(
    config: "MaskedAutoencoderConfig", visible: int, hidden: int, feature_width: int
) -> int:
    """Operations of one forward pass for one mask of one clip: V visible, M hidden tokens."""
    d = config.encoder.width
    tokens = visible + (1 if config.class_token else 0)
    total = 2 * visible * config.patch_values * d + transformer_flops(config.encoder, tokens)
    decoders = [(config.pixel_decoder, config.patch_values)]
    if feature_width:
        decoders.append((config.feature_decoder, feature_width))
    for decoder, outputs in decoders:
        total += 2 * tokens * d * decoder.width
        total += transformer_flops(decoder, tokens + hidden, hidden)
        total += 2 * hidden * decoder.width * outputs
    return total


def teacher_flops(
    config: "TeacherConfig", frames: int, height: int, width: int, asked: int | None = None
) -> int:
    """Operations of one forward pass over the teacher's frames of one clip.

    asked: patches of a frame whose features are asked for; None: all.
    """
    patches = (height // config.patch) * (width // config.patch)
    embedding = 2 * patches * config.patch**2 * 3 * config.transformer.width
    return frames * (embedding + transformer_flops(config.transformer, patches + 1, asked))


# Multiply-adds of one 224-pixel frame, counted in the models' papers.
_CNN_MULTIPLY_ADDS = {"resnet50": 4.1e9, "efficientvit_m5": 0.52e9}


def backbone_flops(config: "BackboneConfig", num_frames: int, size: int) -> float:
    """Operations of one forward pass over one clip of `num_frames` of `size` x `size` pixels."""
    if config.encoder is None:
        return 2 * _CNN_MULTIPLY_ADDS[config.architecture] * num_frames * (size / 224) ** 2
    encoder = config.encoder
    t, h, w = config.grid(num_frames, size, size)
    tokens = t * h * w
    embedding = 2 * tokens * encoder.patch_values * encoder.transformer.width
    return embedding + transformer_flops(encoder.transformer, tokens + encoder.class_token)


def mstcn_flops(config: "MsTcnConfig", width: int, num_classes: int) -> int:
    """Operations of one forward pass for each frame of a video, of features of `width`."""
    maps = config.feature_maps
    layer = (config.kernel_size + 1) * maps**2
    stages = (width, *[num_classes] * (config.stages - 1))
    return sum(2 * ((read + num_classes) * maps + config.layers * layer) for read in stages)
