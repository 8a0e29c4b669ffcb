"""The entries of a whole ViT, pretraining model or classifier in a family's names."""

import dataclasses

from surgvista_jax.errors import UserError
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.models.video_vit import LEARNED, EncoderConfig
from surgvista_jax.weights.kinds import ClassifierConfig, StudentConfig
from surgvista_jax.weights.names.entries import (
    Entry,
    linear,
    patch_embedding,
    positions,
    same,
    square,
    token,
    zeros,
)
from surgvista_jax.weights.names.sizes import infer_transformer, size_of
from surgvista_jax.weights.names.table import Heads, HeadsUnknown, Incomplete, Shapes
from surgvista_jax.weights.names.vit_entries import (
    BlockNames,
    linear_entries,
    norm_entries,
    transformer_entries,
)


@dataclasses.dataclass(frozen=True)
class EncoderForm:
    """What a family calls the parts of its ViT, and how it is built.

    Attributes:
        blocks: what stands before the parts of a block, with "{}" for its number.
        names: the parts of a block.
        patches: the convolution that embeds patches.
        norm: the norm after the last block; None where there is none.
        positions: "separable" or "flat" (fixed), or "learned".
        tubelet, patch: taken where the weight of the convolution is not in the file.
        conv: 2 or 3, the dimensions of the convolution.
        position_table, class_token: names, where there are such parameters.
        class_slot: the table of positions has a first row for the class token.
        optional: of "class_token" and "norm", parts that a file may lack: its model has none then.
        epsilon: of the program's layer norms.
        resize: how the program interpolates a learned table, see `video_vit.EncoderConfig`.
    """

    blocks: str
    names: BlockNames
    patches: str = "patch_embed.proj"
    norm: str | None = "norm"
    positions: str = "flat"
    tubelet: int = 2
    patch: int = 16
    conv: int = 3
    position_table: str = ""
    class_token: str = ""
    class_slot: bool = False
    optional: tuple[str, ...] = ()
    epsilon: float = 1e-6
    resize: str = "bicubic"

    def infer(self, shapes: Shapes, heads: Heads) -> EncoderConfig:
        """The encoder that a file's names and shapes imply.

        Raises:
            UserError: there are no blocks.
            Incomplete: the table of positions does not form a square.
        """
        transformer = dataclasses.replace(
            infer_transformer(shapes, heads, self.blocks, self.names), norm_epsilon=self.epsilon
        )
        tubelet, patch = self.tubelet, self.patch
        shape = shapes.get(f"{self.patches}.weight", ())
        if len(shape) == 2 + self.conv:
            patch = shape[-1]
            tubelet = shape[2] if self.conv == 3 else 1
        config = EncoderConfig(
            transformer,
            tubelet=tubelet,
            patch=patch,
            positions=self.positions,
            class_token=bool(self.class_token) and self._has("class_token", shapes),
            class_position=self.class_slot,
            norm=self.norm is not None and self._has("norm", shapes),
            resize=self.resize,
        )
        table = shapes.get(self.position_table, ())
        if len(table) == 3:
            try:
                square(table[1] - self.class_slot)
            except UserError as error:
                raise Incomplete(f"{self.position_table}: {error}", config) from None
        return config

    def _has(self, part: str, shapes: Shapes) -> bool:
        """Whether a file's model has that part; one that is not optional may only be missing."""
        norm = [f"{self.norm}.weight", f"{self.norm}.bias"]
        names = {"class_token": [self.class_token], "norm": norm}[part]
        return part not in self.optional or any(name in shapes for name in names)

    def entries(self, config: EncoderConfig, path: str = "") -> list[Entry]:
        """The correspondence of every parameter; `path` stands before ours ("encoder/")."""
        width = config.transformer.width
        embedding = patch_embedding(width, config.patch, config.tubelet, self.conv)
        found = [
            Entry(f"{path}patch_embedding/kernel", (f"{self.patches}.weight",), embedding),
            Entry(f"{path}patch_embedding/bias", (f"{self.patches}.bias",), same(width)),
        ]
        if config.positions == LEARNED:
            ours: tuple[str, ...] = (f"{path}positions",)
            if config.class_position:
                ours = (f"{path}class_position", *ours)
            table = positions(width, config.class_position)
            found.append(Entry(ours, (self.position_table,), table))
        if config.class_token:
            found.append(Entry(f"{path}class_token", (self.class_token,), token(width)))
        if config.norm and self.norm:
            found += norm_entries(f"{path}norm", self.norm, width)
        return found + transformer_entries(
            f"{path}transformer", self.blocks, config.transformer, self.names
        )


@dataclasses.dataclass(frozen=True)
class DecoderForm:
    """What a family calls the parts of a decoder.

    Attributes:
        bias: its projection has one.
        final_epsilon: of its last norm; 0: that of the encoder, which its blocks share.
    """

    projection: str
    mask_token: str
    blocks: str
    norm: str
    head: str
    bias: bool = True
    final_epsilon: float = 0.0

    def leaves_traces(self, shapes: Shapes) -> bool:
        """Whether any of its names is there."""
        modules = (
            self.projection,
            self.blocks.partition("{}")[0].rstrip("."),
            self.norm,
            self.head,
        )
        return self.mask_token in shapes or any(
            name.startswith(tuple(f"{module}." for module in modules)) for name in shapes
        )

    def entries(
        self,
        path: str,
        config: TransformerConfig,
        encoder_width: int,
        outputs: int,
        names: BlockNames,
    ) -> list[Entry]:
        """The correspondence of every parameter of the decoder at `path`."""
        width = config.width
        kernel = linear(encoder_width, width)
        bias = (f"{self.projection}.bias",) if self.bias else ()
        return [
            Entry(f"{path}/projection/kernel", (f"{self.projection}.weight",), kernel),
            Entry(f"{path}/projection/bias", bias, same(width) if self.bias else zeros(width)),
            Entry(f"{path}/mask_token", (self.mask_token,), token(width)),
            *norm_entries(f"{path}/norm", self.norm, width),
            *linear_entries(f"{path}/head", self.head, width, outputs),
            *transformer_entries(f"{path}/transformer", self.blocks, config, names),
        ]


@dataclasses.dataclass(frozen=True)
class StudentForm:
    """A pretraining model; without a `feature_decoder` it predicts pixels alone.

    One that has such a decoder is also the form of a model without: none of its names is there.
    """

    encoder: EncoderForm
    pixel_decoder: DecoderForm
    feature_decoder: DecoderForm | None = None

    def infer(self, shapes: Shapes, heads: Heads) -> StudentConfig:
        """The model that a file's names and shapes imply.

        Raises:
            UserError: there are no blocks, or nothing of any decoder.
            Incomplete: there is part of a decoder, but one of them is not whole.
        """
        encoder = self.encoder.infer(shapes, heads)
        decoders = {"pixel_decoder": self.pixel_decoder, "feature_decoder": self.feature_decoder}
        forms = {part: form for part, form in decoders.items() if form is not None}
        stacks, width, absent = {}, 0, ""
        for part, form in forms.items():
            if part == "feature_decoder" and "pixel_decoder" in stacks:
                if not form.leaves_traces(shapes):
                    continue  # it learned from pixels alone
            try:
                names, head = self.encoder.names, form.head
                stack = infer_transformer(shapes, heads, form.blocks, names, part)
                if part == "feature_decoder":
                    width = size_of(shapes, (f"{head}.bias", 0), (f"{head}.weight", 0))
                stacks[part] = dataclasses.replace(
                    stack, norm_epsilon=self.encoder.epsilon, final_epsilon=form.final_epsilon
                )
            except HeadsUnknown:
                raise
            except UserError as error:
                if not any(form.leaves_traces(shapes) for form in forms.values()):
                    raise
                absent = f"its {part} is unknown ({error})"
        # A missing one is assumed to be like the other, so that its names are known.
        pixel = stacks.get("pixel_decoder") or stacks.get("feature_decoder", encoder.transformer)
        model = MaskedAutoencoderConfig(
            encoder.transformer,
            pixel,
            stacks.get("feature_decoder", pixel),
            tubelet=encoder.tubelet,
            patch=encoder.patch,
            positions=encoder.positions,
            class_token=encoder.class_token,
        )
        config = StudentConfig(model, width)
        if absent:
            raise Incomplete(absent, config)
        return config

    def entries(self, config: StudentConfig) -> list[Entry]:
        """The correspondence of every parameter."""
        model, names = config.model, self.encoder.names
        width = model.encoder.width
        found = self.encoder.entries(config.encoder, "encoder/")
        found += self.pixel_decoder.entries(
            "pixel_decoder", model.pixel_decoder, width, model.patch_values, names
        )
        if self.feature_decoder and config.feature_width:
            found += self.feature_decoder.entries(
                "feature_decoder", model.feature_decoder, width, config.feature_width, names
            )
        return found


@dataclasses.dataclass(frozen=True)
class ClassifierForm:
    """A finetuned model: the encoder without its norm, a norm after the mean, and a head.

    Attributes:
        final_epsilon: of that norm; 0: that of the encoder's.
    """

    encoder: EncoderForm
    norm: str = "fc_norm"
    head: str = "head"
    final_epsilon: float = 0.0

    def infer(self, shapes: Shapes, heads: Heads) -> ClassifierConfig:
        """The model that a file's names and shapes imply.

        Raises:
            UserError: there are no blocks, or nothing of what stands behind them.
            Incomplete: there is the norm, but no head; its classes are then 0.
        """
        encoder = self.encoder.infer(shapes, heads)
        transformer = dataclasses.replace(encoder.transformer, final_epsilon=self.final_epsilon)
        encoder = dataclasses.replace(encoder, transformer=transformer)
        try:
            classes = size_of(shapes, (f"{self.head}.bias", 0), (f"{self.head}.weight", 0))
        except UserError as error:
            if not any(name.startswith(f"{self.norm}.") for name in shapes):
                raise
            raise Incomplete(str(error), ClassifierConfig(encoder, 0)) from None
        return ClassifierConfig(encoder, classes)

    def entries(self, config: ClassifierConfig) -> list[Entry]:
        """The correspondence of every parameter."""
        width = config.encoder.transformer.width
        return [
            *self.encoder.entries(config.encoder, "backbone/"),
            *norm_entries("norm", self.norm, width),
            *(linear_entries("head", self.head, width, config.classes) if config.classes else ()),
        ]
