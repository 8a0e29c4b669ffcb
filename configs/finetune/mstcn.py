"""MS-TCN on the features of a finetuned backbone, as surgical image models are compared.

First `surgvista features`, then this with `--config.data.folder` and `--config.data.features`. A
video of 2,000 frames takes 0.3 s a step on two processor cores at Cholec80's sizes and width 768,
which makes about 10 minutes of its 50 epochs.

TeCNO's two causal stages (Czempiel et al., 2020) with the sizes and rates that the method's authors
took for each dataset; for CATARACTS they tried 7e-5 to 1.5e-4. TeCNO's loss has no smoothing term:
`--config.smoothing_weight=0` leaves it out.
"""

from ml_collections import ConfigDict

from surgvista_jax.errors import UserError

# Dataset: layers of a stage, feature maps, learning rate, epochs, class weights.
RECIPES = {
    "cholec80": (8, 32, 7e-5, 50, "median_frequency"),
    "m2cai16": (8, 32, 1e-4, 50, "none"),
    "autolaparo": (8, 32, 7e-5, 50, "none"),
    "cataract21": (9, 64, 5e-4, 50, "none"),
    "cataract101": (9, 64, 5e-4, 50, "none"),
    "cataracts": (9, 64, 1e-4, 100, "none"),
}


def get_config(dataset: str = "cholec80") -> ConfigDict:
    """dataset: whose recipe; AutoLaparo's is unknown: Cholec80's without class weights."""
    if dataset not in RECIPES:
        raise UserError(f"--config=…mstcn.py:{dataset}: the recipes are {', '.join(RECIPES)}")
    layers, feature_maps, learning_rate, epochs, class_weights = RECIPES[dataset]
    return ConfigDict(
        {
            "mode": "temporal",
            "data": {"folder": "", "features": ""},
            "model": {"stages": 2, "layers": layers, "feature_maps": feature_maps, "causal": True},
            "epochs": epochs,
            "learning_rate": learning_rate,
            "class_weights": class_weights,
            "smoothing_weight": 0.15,
            "evaluation": {"protocol": "surgvista-image-level"},
        }
    )
