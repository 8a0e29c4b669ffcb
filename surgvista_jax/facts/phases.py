"""Names of phases that are both read and scored here, in the spelling of the files."""

CHOLEC80 = (
    "Preparation",
    "CalotTriangleDissection",
    "ClippingCutting",
    "GallbladderDissection",
    "GallbladderPackaging",
    "CleaningCoagulation",
    "GallbladderRetraction",
)
M2CAI16 = ("TrocarPlacement", *CHOLEC80)
AUTOLAPARO = (
    "Preparation",
    "Dividing Ligament and Peritoneum",
    "Dividing Uterine Vessels and Ligament",
    "Transecting the Vagina",
    "Specimen Removal",
    "Suturing",
    "Washing",
)
# By their official numbers, which mean the same as those of Cholec80.
HEICHOLE = (
    "Preparation",
    "Calot triangle dissection",
    "Clipping and cutting",
    "Gallbladder dissection",
    "Gallbladder packaging",
    "Cleaning and coagulation",
    "Gallbladder retraction",
)
# The steps 1 to 14 by their official numbers. Class 0 is the official -1: before, after and between
# the steps, while the endoscope is outside.
PITVIS = (
    "out_of_patient",
    "nasal_corridor_creation",
    "anterior_sphenoidotomy",
    "septum_displacement",
    "sphenoid_sinus_clearance",
    "sellotomy",
    "durotomy",
    "tumour_excision",
    "haemostasis",
    "synthetic_graft_placement",
    "fat_graft_placement",
    "gasket_seal_construct",
    "dural_sealant",
    "nasal_packing",
    "debris_clearance",
)
# By their official numbers, of which 0 is no phase and no step.
PSI_AVA_PHASES = (
    "Idle",
    "LPIL",
    "RPIL",
    "Retzius_Space",
    "Dorsal_Venous_Complex",
    "Id_Bladder_Neck",
    "Seminal_Vesicles",
    "Denonvilliers_Fascia",
    "Pedicle_Control",
    "Severing_Prostate_Urethra",
    "Bladder_Neck_Rec",
)
PSI_AVA_STEPS = (
    "Idle",
    "Id_Illiac_Vein_Artery",
    "Dissection_Illiac_Lymph_Nodes",
    "Dissection_Obturator_Lymph_Nodes",
    "Pack_Lymph_Nodes",
    "Prevessical_Dissection",
    "Ligation_Dorsal_Venous_Complex",
    "Prostate_Dissection",
    "Seminal_Vessicle_Dissection",
    "Denon_Dissection",
    "Cut_Prostate",
    "Hold_Prostate",
    "Pack_Prostate",
    "Pass_Suture_Urethra",
    "Pass_Suture_Neck",
    "Pull_Suture",
    "Tie_Suture",
    "Suction",
    "Cut",
    "Cut_Bladder",
    "Clip_Pedicles",
)
# The steps of the challenge of 2020, by their official numbers 0 to 18.
CATARACTS = (
    "Idle",
    "Toric Marking",
    "Implant Ejection",
    "Incision",
    "Viscodilatation",
    "Capsulorhexis",
    "Hydrodissection",
    "Nucleus Breaking",
    "Phacoemulsification",
    "Vitrectomy",
    "Irrigation/Aspiration",
    "Preparing Implant",
    "Manual Aspiration",
    "Implantation",
    "Positioning",
    "OVD Aspiration",
    "Suturing",
    "Sealing Control",
    "Wound Hydratation",
)
