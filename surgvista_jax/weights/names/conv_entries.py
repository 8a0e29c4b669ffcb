"""The names of a convolution with batch norm in PyTorch's files."""

from surgvista_jax.weights.names.entries import Entry, conv2d, same

# A batch norm's array in PyTorch -> ours, and its collection.
NORM_NAMES = (
    ("weight", "scale", ""),
    ("bias", "bias", ""),
    ("running_mean", "mean", "batch_stats/"),
    ("running_var", "var", "batch_stats/"),
)

COUNTERS = (
    r"(.*\.)?num_batches_tracked",
    "how many batches a norm has seen; its average's momentum is fixed",
)


def conv_norm_entries(
    path: str, conv: str, norm: str, size: int, inputs: int, outputs: int
) -> list[Entry]:
    """Kernel, scale, bias, mean and variance of a `ConvNorm`.

    Args:
        path: our module.
        conv, norm: their modules.
        size: side of the kernel.
        inputs: channels of a group, 1 where the convolution is depthwise.
        outputs: channels.
    """
    kernel = conv2d(size, size, inputs, outputs)
    return [
        Entry(f"{path}/conv/kernel", (f"{conv}.weight",), kernel),
        *(
            Entry(f"{collection}{path}/norm/{ours}", (f"{norm}.{theirs}",), same(outputs))
            for theirs, ours, collection in NORM_NAMES
        ),
    ]


def conv_bias_entries(path: str, conv: str, inputs: int, outputs: int) -> list[Entry]:
    """Kernel and bias of a 1x1 convolution."""
    return [
        Entry(f"{path}/kernel", (f"{conv}.weight",), conv2d(1, 1, inputs, outputs)),
        Entry(f"{path}/bias", (f"{conv}.bias",), same(outputs)),
    ]
