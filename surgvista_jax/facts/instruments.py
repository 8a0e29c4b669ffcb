"""Names of instruments whose presence is labelled."""

# In the order and spelling of the columns of Cholec80's tool annotations.
CHOLEC80 = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")
