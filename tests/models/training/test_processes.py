"""Two processes on this machine over gloo, against one."""

import os
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from models import OptionalDependencyError
from models.training.gradient_cache import cached_backward
from models.training.losses import info_nce
from models.training.processes import Processes, is_first_process

_CHILD = """
import sys
from safetensors.torch import save_file
from models.training.processes import Processes
from tests.models.training.test_processes import step
processes = Processes("cpu")
assert processes.agree(processes.first) and not processes.agree(not processes.first)
save_file(step(processes), sys.argv[1])
processes.wait()
"""


def step(processes):
    """The gradients of one contrastive batch."""
    torch.manual_seed(0)
    module, sides = torch.nn.Linear(6, 16), (torch.randn(7, 6), torch.randn(9, 6))
    cached_backward(
        lambda side, rows: module(sides[side][rows]), [7, 9], 16, lambda q, d: info_nce(q, d, 0.5), 3, processes
    )
    processes.sum_gradients(module.parameters())
    return {name: parameter.grad for name, parameter in module.named_parameters()}


def test_two_processes_get_the_gradients_of_one(tmp_path):
    pytest.importorskip("accelerate")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(2):
        own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {**os.environ, "ACCELERATE_USE_CPU": "1", **{key: str(value) for key, value in own.items()}}
        command = [sys.executable, "-c", _CHILD, str(tmp_path / f"{rank}.safetensors")]
        children.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE))
    for child in children:
        _, error = child.communicate(timeout=120)
        assert child.returncode == 0, error.decode()
    expected = step(Processes("cpu"))
    for rank in range(2):
        found = load_file(tmp_path / f"{rank}.safetensors")
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient)


@pytest.fixture
def second_of_two(monkeypatch):
    """The second of two processes, with a fake accelerate in which the other process has the same tensors."""
    state = SimpleNamespace(process_index=1, device=torch.device("cpu"), waits=0)
    state.wait_for_everyone = lambda: setattr(state, "waits", state.waits + 1)
    utilities = SimpleNamespace(reduce=lambda tensor, how: {"sum": 2 * tensor}[how])
    monkeypatch.setitem(sys.modules, "accelerate", SimpleNamespace(PartialState=lambda cpu: state, utils=utilities))
    monkeypatch.setitem(sys.modules, "accelerate.utils", utilities)
    monkeypatch.setenv("WORLD_SIZE", "2")
    return Processes("cpu"), state


def test_the_second_process_sums_with_the_first_and_leaves_decisions_to_it(second_of_two):
    processes, state = second_of_two
    assert (processes.rank, processes.count, processes.first) == (1, 2, False)
    assert processes.sum(torch.ones(2)).tolist() == [2, 2]
    assert not processes.agree(True), "only the flag of the first process counts"
    processes.wait()
    assert state.waits == 1


def test_a_process_without_a_share_of_a_parameter_contributes_zero(second_of_two):
    used, unused, frozen = (torch.nn.Parameter(torch.zeros(2), requires_grad=trains) for trains in (True, True, False))
    used.grad = torch.ones(2)
    second_of_two[0].sum_gradients([used, unused, frozen])
    assert used.grad.tolist() == [2, 2]
    assert unused.grad.tolist() == [0, 0]
    assert frozen.grad is None


def test_one_process_is_first_and_needs_no_other(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    processes = Processes("cpu")
    assert (processes.rank, processes.count, processes.first) == (0, 1, True)
    assert is_first_process()
    monkeypatch.setenv("RANK", "1")
    assert not is_first_process()


def test_several_processes_without_accelerate_say_what_to_install(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    message = "training in 2 processes needs the package accelerate, which is not installed: pip install .*distributed"
    with pytest.raises(OptionalDependencyError, match=message):
        Processes("cpu")
