"""Where everything of a study lies, and `study.json`, which says what its cells are.

study.json                      the cells
data/DATA/                      dataset folders that the study makes
pretrain/PRETRAINING/           run folders of `surgvista pretrain`
features/WEIGHTS/DATA/          what temporal heads see of a backbone
probe_features/WEIGHTS/DATA/    what linear probes keep of it, for all seeds
cells/WEIGHTS/DATA/MODE/seedN/  a run folder of `surgvista finetune` for each cell
definitions/                    what each of these was begun as, in a file of its name, and the
                                digests of weights that were given (weights.json)
logs/                           what each job printed
stale/                          what other definitions made, where --overwrite was said
"""

from surgvista_jax.reports.study_cells import CELLS

DATA, PRETRAIN, FEATURES = "data", "pretrain", "features"
PROBE_FEATURES, DEFINITIONS, LOGS, STALE = "probe_features", "definitions", "logs", "stale"
# In the order in which they are done.
STAGES = (DATA, PRETRAIN, FEATURES, CELLS)
