"""Tests of `scenelet.nn.ensemble`."""

import torch
from torch import nn

from scenelet.config import RunConfig
from scenelet.nn.ensemble import Ensemble, keep_members
from scenelet.nn.trace import trace
from scenelet.training.distillation import Distillation
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


def test_training_lists_the_logits_of_each_member_for_the_complete_batch() -> None:
    members = [nn.Linear(2, 3) for _ in range(2)]
    x = torch.randn(4, 2)
    assert torch.equal(Ensemble(members).train()(x), torch.cat([members[0](x), members[1](x)]))


def test_each_member_gets_the_gradient_of_its_own_distillation_loss() -> None:
    members, teacher = [nn.Linear(2, 3) for _ in range(2)], nn.Linear(2, 3)
    x, y = torch.randn(4, 2), torch.eye(3)[[0, 1, 2, 0]]
    distillation, loss = Distillation([teacher], label_fraction=0.3, temperature=2.0), nn.CrossEntropyLoss()
    distillation.loss(loss, Ensemble(members).train()(x), x, y).backward()
    together = [member.weight.grad.clone() for member in members]
    for member, gradient in zip(members, together, strict=True):
        member.weight.grad = None
        distillation.loss(loss, member(x), x, y).backward()
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
