"""Is a process told at once when a launcher promises more of them than it started?"""

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training.launchers import launch

STEP = {  # what `srun --ntasks=2` tells the second of two processes on one machine
    "SLURM_JOB_ID": "71",
    "SLURM_NTASKS": "2",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "node1",
    "SLURM_STEP_TASKS_PER_NODE": "2",
    "SLURM_NODEID": "0",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "1",
}
MPI = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911",
}
ALONE = {
    "nothing": {},
    "empty": {"SLURM_NTASKS": "", "OMPI_COMM_WORLD_SIZE": " "},
    "one task": {"SLURM_NTASKS": "1", "SLURM_JOB_ID": "71"},
    "one of an array": {
        "SLURM_JOB_ID": "72",
        "SLURM_NTASKS": "1",
        "SLURM_ARRAY_JOB_ID": "71",
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_ARRAY_TASK_COUNT": "8",
    },
    "a job without tasks": {"SLURM_JOB_ID": "71", "SLURM_NNODES": "1"},
    "a step of one process": STEP | {"SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "1"},
    "told to be alone": STEP | {"SLURM_NTASKS": "1"},
    "one of Open MPI": {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
}
BATCH = {"SLURM_JOB_ID": "71", "SLURM_NTASKS": "4", "SLURM_JOB_NODELIST": "node[1-2]"}
REFUSED = {
    "sbatch without srun": (BATCH, "promises 4 processes, but srun did not start this one"),
    "a batch step": (BATCH | {"SLURM_PROCID": "0", "SLURM_LOCALID": "0"}, "srun did not start"),
    "half empty": (STEP | {"SLURM_PROCID": ""}, "SLURM_PROCID is not set"),
    "no number": ({"SLURM_NTASKS": "2(x3)"}, "SLURM_NTASKS=2(x3): should be a whole number"),
    "no rank": (STEP | {"SLURM_PROCID": "-1"}, "SLURM_PROCID=-1: should be a whole number"),
    "a rank too high": (STEP | {"SLURM_PROCID": "2"}, "SLURM_PROCID=2: should be below SLURM_NTAS"),
    "no job": (STEP | {"SLURM_JOB_ID": "x"}, "SLURM_JOB_ID=x: should be a whole number"),
    "Open MPI's size alone": ({"OMPI_COMM_WORLD_SIZE": "2"}, "start it by `mpirun surgvista"),
    "Open MPI 5": (MPI | {"OMPI_MCA_orte_hnp_uri": ""}, "give --coordinator=HOST:PORT"),
    "no size": (MPI | {"OMPI_COMM_WORLD_SIZE": "two"}, "OMPI_COMM_WORLD_SIZE=two: should be"),
}


@pytest.mark.parametrize("environment", ALONE.values(), ids=ALONE)
@pytest.mark.parametrize("in_terminal", [True, False])
def test_one_process_runs_alone(environment, in_terminal):
    assert launch(environment, in_terminal) is None


@pytest.mark.parametrize(("environment", "said"), REFUSED.values(), ids=REFUSED)
def test_a_process_that_was_not_started_as_promised_is_refused(environment, said):
    with pytest.raises(UserError) as error:
        launch(environment, False)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_terminal_holds_one_process_alone():
    assert launch(STEP, False) is not None
    with pytest.raises(UserError, match=r"srun --pty.*srun --ntasks=2.*SLURM_NTASKS=1"):
        launch(STEP, True)


def test_slurms_processes_are_those_of_the_step():
    found = launch(STEP | {"SLURM_NTASKS": "8"}, False)
    assert found is not None
    assert (found.promise, found.num_processes) == ("SLURM_STEP_NUM_TASKS=2", 2)
    assert (found.process_id, found.on_one_host, found.sees_all_devices) == (1, True, False)


@pytest.mark.parametrize("nodes", ["node[1-2]", "node1,node7"])
def test_one_process_a_machine_has_all_of_its_devices(nodes):
    told = {"SLURM_STEP_NODELIST": nodes, "SLURM_STEP_TASKS_PER_NODE": "1(x2)", "SLURM_NODEID": "1"}
    found = launch(STEP | told | {"SLURM_LOCALID": "0"}, False)
    assert found is not None
    assert (found.on_one_host, found.sees_all_devices) == (False, True)


def test_devices_that_slurm_gave_to_each_process_are_all_its_own():
    found = launch(STEP | {"SLURM_GPUS_PER_TASK": "1"}, False)
    assert found is not None and found.sees_all_devices


def test_machines_may_hold_different_numbers_of_processes():
    told = {"SLURM_NTASKS": "5", "SLURM_STEP_NUM_TASKS": "5"}
    told |= {"SLURM_STEP_TASKS_PER_NODE": "2(x2),1", "SLURM_STEP_NODELIST": "node[1-3]"}
    for node, alone in [("0", False), ("1", False), ("2", True)]:
        found = launch(STEP | told | {"SLURM_NODEID": node}, False)
        assert found is not None and found.sees_all_devices == alone


def test_open_mpi_goes_before_slurm_under_which_it_runs():
    found = launch(BATCH | MPI, True)  # mpirun hands a terminal on
    assert found is not None
    assert (found.promise, found.on_one_host) == ("OMPI_COMM_WORLD_SIZE=2", True)


def test_variables_that_were_handed_down_to_a_process_outside_slurm_are_doubted():
    assert [launch(STEP, False, below).is_doubtful for below in (True, False)] == [False, True]
