"""How large is what a pretraining task computes: tokens, batches, operations, memory, shares?"""

import dataclasses

import jax
import jax.numpy as jnp

from surgvista_jax.data.batches.masking import hidden_count
from surgvista_jax.data.batches.stretches import stretch_frames
from surgvista_jax.models.flops import FORWARD_AND_BACKWARD, student_flops, teacher_flops
from surgvista_jax.models.image_vit import ImageEncoder
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoder
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.training.stacks import Stack


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The models of one configuration, and how large what they compute is.

    Attributes:
        config: the run's configuration.
        grid: tokens along (t, h, w).
        student: the masked autoencoder that is trained.
        teacher: the frozen image ViT, or None.
    """

    config: PretrainConfig
    grid: tuple[int, int, int]
    student: MaskedAutoencoder
    teacher: ImageEncoder | None

    def batch_shapes(self, rows: int) -> dict[str, jax.ShapeDtypeStruct]:
        """The shapes and types of a batch of so many clips, or stretches of clips."""
        clip, masks = self.config.clip, self.config.mask.masks_per_clip
        ids = {
            "visible_ids": self.num_tokens - self.num_hidden,
            "hidden_ids": self.num_hidden,
        }
        video = (rows, stretch_frames(clip, self.config.model.tubelet), clip.size, clip.size, 3)
        each = (rows, *(count for count in (clip.slide, masks) if count > 1))
        shapes = {
            "video": jax.ShapeDtypeStruct(video, jnp.uint8),
            **{
                name: jax.ShapeDtypeStruct((*each, count), jnp.int32) for name, count in ids.items()
            },
        }
        if clip.slide > 1:
            shapes["weight"] = jax.ShapeDtypeStruct((rows, clip.slide), jnp.float32)
        return shapes

    @property
    def masks_per_row(self) -> int:
        """Masks of a row of a batch: of a clip, or of all clips of a stretch."""
        return self.config.clip.slide * self.config.mask.masks_per_clip

    @property
    def num_tokens(self) -> int:
        t, h, w = self.grid
        return t * h * w

    @property
    def num_hidden(self) -> int:
        return hidden_count(self.config.mask.kind, self.grid, self.config.mask.ratio)

    @property
    def student_flops_per_clip(self) -> int:
        """Operations that training the student on one clip needs, without recomputation."""
        visible = self.num_tokens - self.num_hidden
        forward = student_flops(
            self.config.model, visible, self.num_hidden, self.student.feature_width
        )
        return FORWARD_AND_BACKWARD * self.config.mask.masks_per_clip * forward

    @property
    def teacher_flops_per_clip(self) -> int:
        """Operations of the teacher's forward pass for one clip; 0 without a teacher."""
        if self.teacher is None:
            return 0
        size, slide = self.config.clip.size, self.config.clip.slide
        images = self.grid[0] + slide - 1  # of a stretch
        asked = self.hidden_per_image
        return teacher_flops(self.teacher.config, images, size, size, asked) // slide

    @property
    def flops_per_clip(self) -> dict[str, float]:
        """Shares of the peak that are logged: of student and teacher, and of the student alone."""
        student = self.student_flops_per_clip
        return {"mfu": student + self.teacher_flops_per_clip, "mfu_student": student}

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The stacks of blocks that get a gradient; each decoder has a loss of its own.

        Their tokens are those of a row of a batch: of a clip, or of all clips of a stretch.
        """
        model, masks = self.config.model, self.masks_per_row
        seen = self.num_tokens - self.num_hidden
        stacks = [
            Stack(model.encoder, masks * seen),
            Stack(model.pixel_decoder, masks * self.num_tokens, branch=True),
        ]
        if self.teacher is not None:
            stacks.append(Stack(model.feature_decoder, masks * self.num_tokens, branch=True))
        return tuple(stacks)

    @property
    def sharded_dims(self) -> dict[str, dict[str, int]]:
        """The sizes that a mesh must divide: logical axis -> name -> size."""
        stacks = {
            "model.encoder": self.config.model.encoder,
            "model.pixel_decoder": self.config.model.pixel_decoder,
        }
        if self.teacher is not None:
            stacks["model.feature_decoder"] = self.config.model.feature_decoder
            stacks["teacher.transformer"] = self.teacher.config.transformer
        return {
            "embed": {f"config.{name}.width": stack.width for name, stack in stacks.items()},
            "heads": {f"config.{name}.heads": stack.heads for name, stack in stacks.items()},
            "mlp": {
                f"the MLP width of config.{name}": stack.mlp_width for name, stack in stacks.items()
            },
        }

    @property
    def hidden_per_image(self) -> int | None:
        """How many patches of each of its images the teacher is asked for; None: all.

        Several masks hide nearly all between them, random ones of each image another number.
        """
        if self.config.mask.kind != "tube" or self.masks_per_row > 1:
            return None
        return self.num_hidden // self.grid[0]
