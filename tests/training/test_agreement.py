"""Is every difference between two processes named, and nothing else?"""

from surgvista_jax.training.agreement import differences, facts_of_code, facts_of_config


def test_the_keys_that_differ_are_named_with_both_values():
    ours = facts_of_config({"optim": {"learning_rate": 1e-3, "beta": 0.9}, "seed": 1}, ())
    theirs = facts_of_config({"optim": {"learning_rate": 2e-3, "beta": 0.9}}, ())
    found = differences(ours, theirs)
    assert found == "config.optim.learning_rate (0.002, not 0.001), config.seed (missing, not 1)"
    assert differences(ours, ours) == ""


def test_keys_that_each_process_may_have_of_its_own_are_left_out():
    config = {"loader": {"workers": 3}, "data": {"folder": "/a", "split": "train"}}
    facts = facts_of_config(config, ("loader", "data.folder"))
    assert facts == {"config.data.split": "'train'"}


def test_a_message_stays_short():
    ours = {f"key{number:02}": "a" * 1000 for number in range(20)}
    found = differences(ours, dict.fromkeys(ours, "b" * 1000))
    assert len(found) < 1800 and found.endswith("12 more")


def test_packages_python_and_our_own_sources_are_facts():
    facts = facts_of_code()
    assert {"python", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain"} <= facts.keys()
    assert {"numpy", "av"} <= facts.keys() and facts["surgvista_jax"].count(" ") == 2
    assert any(facts[name] != "not installed" for name in facts if name.startswith("opencv"))
