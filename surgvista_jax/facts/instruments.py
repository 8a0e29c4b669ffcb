"""Names of instruments whose presence is labelled."""

# In the order and spelling of the columns of Cholec80's tool annotations.
CHOLEC80 = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")
# The categories 0 to 6 of HeiChole. Column 20 of its files is a shaft that no category is known of.
HEICHOLE = (
    "Grasper",
    "Clipper",
    "Coagulation instrument",
    "Scissors",
    "Suction-irrigation",
    "Specimen bag",
    "Stapler",
)
# By their official numbers. The challenge scores 0 like an instrument.
PITVIS = (
    "no_visible_instrument",
    "bipolar_forceps",
    "cottle",
    "cup_forceps",
    "dural_scissors",
    "freer_elevator",
    "haemostatic_foam",
    "irrigation_syringe",
    "kerrisons",
    "micro_doppler",
    "nasal_cutting_forceps",
    "pituitary_rongeurs",
    "retractable_knife",
    "ring_curette",
    "spatula_dissector",
    "stealth_pointer",
    "suction",
    "surgical_drill",
    "tissue_glue",
)
