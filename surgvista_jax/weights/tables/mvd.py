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
        "mvd",
        "MVD's student",
        "encoder",
        LICENCE,
        SOURCE,
        surgvista.ENCODER.infer,
        surgvista.ENCODER.entries,
        ("module.", "encoder.", "backbone."),
        (DECODERS,),
        surgvista.POSITIONS,
    ),
    Table(
        "mvd_finetuned",
        "MVD, finetuned",
        "classifier",
        LICENCE,
        SOURCE,
        surgvista.FINETUNED.infer,
        surgvista.FINETUNED.entries,
        surgvista.PREFIXES,
        fixed=surgvista.POSITIONS,
        variant_of="surgvista_finetuned",
    ),
)
