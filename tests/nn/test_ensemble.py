"""Tests of `scenelet.nn.ensemble`."""

import torch
from torch import nn

from scenelet.config import RunConfig
from scenelet.nn.ensemble import Ensemble, keep_members
from scenelet.nn.trace import trace
from scenelet.training.network import build_network

SETTINGS = {"network": {"width": 4, "members": 3}, "features": {"n_mels": 64, "channels": "mono"}}


def small_ensemble() -> nn.Module:
    network = build_network(RunConfig.model_validate(SETTINGS), 5, torch.zeros(64), torch.ones(64))
    assert isinstance(network.network, Ensemble)
    return network


def test_an_ensemble_answers_with_the_mean_of_its_members_logits() -> None:
    network, x = small_ensemble().eval(), torch.randn(4, 1, 64, 40)
    expected = torch.stack([member(x) for member in network.network.members]).mean(0)
    torch.testing.assert_close(network(x), expected)


def test_members_start_from_different_weights_and_a_seed_gives_them_again() -> None:
    first, second = (small_ensemble().network.members for _ in range(2))
    stems = [member.stem[0].weight for member in first]
    assert all(not torch.equal(stems[0], other) for other in stems[1:])
    assert all(torch.equal(weight, other.stem[0].weight) for weight, other in zip(stems, second, strict=True))


def test_each_member_answers_its_own_part_of_a_training_batch() -> None:
    members = [nn.Linear(2, 3) for _ in range(2)]
    x, y = torch.randn(8, 2), torch.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]]
    loss = nn.CrossEntropyLoss()
    logits = Ensemble(members).train()(x)
    assert torch.equal(logits, torch.cat([members[0](x[:4]), members[1](x[4:])]))
    loss(logits, y).backward()
    together = [member.weight.grad.clone() for member in members]
    for member, gradient, part in zip(members, together, (slice(4), slice(4, 8)), strict=True):
        member.weight.grad = None
        loss(member(x[part]), y[part]).backward()
        torch.testing.assert_close(2 * gradient, member.weight.grad)  # the mean of two losses halves each


def test_keep_members_keeps_the_first_ones() -> None:
    members = [nn.Linear(2, 3) for _ in range(3)]
    x = torch.randn(4, 2)
    expected = (members[0](x) + members[1](x)) / 2
    torch.testing.assert_close(keep_members(Ensemble(members), 2).eval()(x), expected)
    assert keep_members(Ensemble(members), 1) is members[0]
    assert keep_members(members[0], None) is members[0]


def test_a_fresh_ensemble_in_training_mode_is_traced_as_it_answers() -> None:
    nodes, _ = trace(small_ensemble().train())
    assert [node.op for node in nodes[-4:]] == ["Add", "Add", "ScaleShift", "Softmax"]
