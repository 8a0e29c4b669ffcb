"""MVD: an encoder that learned to predict the features of two teachers, and its finetuned form."""

from surgvista_jax.weights.names.table import Table
from surgvista_jax.weights.tables import surgvista

LICENCE = "that of the authors' repository"
SOURCE = "https://github.com/ruiwang2021/mvd"
DECODERS = (
    r"(decoder|down|mask_token)_(img|vid)(\..*)?",
    "decoders of two teachers' features, which no model of ours has",
)

TABLES = (
    Table(
        name="mvd",
        title="MVD's student",
        kind="encoder",
        licence=LICENCE,
        source=SOURCE,
        infer=surgvista.ENCODER.infer,
        entries=surgvista.ENCODER.entries,
        prefixes=("module.", "encoder.", "backbone."),
        left_out=(DECODERS,),
        fixed=surgvista.POSITIONS,
    ),
    Table(
        name="mvd_finetuned",
        title="MVD, finetuned",
        kind="classifier",
        licence=LICENCE,
        source=SOURCE,
        infer=surgvista.FINETUNED.infer,
        entries=surgvista.FINETUNED.entries,
        prefixes=surgvista.PREFIXES,
        fixed=surgvista.POSITIONS,
        variant_of="surgvista_finetuned",
    ),
)
