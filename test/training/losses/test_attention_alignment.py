import numpy as np
import pytest
import torch

from avdet_ros.training.losses.attention_alignment import (
    MTA,
    attention_map,
    mean_of_teachers,
    mta_as_printed,
    mta_as_released,
    mta_as_released_product,
    mta_corrected,
    product_of_teachers,
)


def maps(seed, teachers=3, sizes=((12, 12), (6, 6), (3, 3)), batch=2):
    torch.manual_seed(seed)
    student = [torch.rand(batch, *size) + 0.01 for size in sizes]
    others = [[torch.rand(batch, *size) + 0.01 for _ in range(teachers)] for size in sizes]
    return student, others


def test_attention_map_is_the_mean_of_powers():
    features = torch.tensor([[[[1.0]], [[-3.0]]]])
    assert attention_map(features, r=2.0).item() == pytest.approx(5.0)
    assert attention_map(features, r=1.0).item() == pytest.approx(2.0)


def test_teacher_product_stays_finite_where_float32_underflows():
    tiny = torch.full((1, 2, 2), 1e-8)
    peak = tiny.clone()
    peak[0, 0, 0] = 2e-8
    product = product_of_teachers([peak] * 6)
    assert torch.isfinite(product).all()
    assert (product[0, 0, 0] - product[0, 1, 1]).item() == pytest.approx(6 * 0.6931, rel=1e-3)


def test_corrected_loss_is_zero_only_for_maps_equal_up_to_a_factor():
    student, _ = maps(0)
    same = [[3.7 * level] for level in student]
    assert mta_corrected(student, same).item() == pytest.approx(0, abs=1e-4)
    _, others = maps(1)
    assert mta_corrected(student, others).item() > 1e-3


@pytest.mark.slow
def test_corrected_loss_pulls_the_student_to_the_teacher_product():
    torch.manual_seed(3)
    teachers = [[torch.rand(1, 4, 4) + 0.05 for _ in range(3)]]
    weights = torch.zeros(1, 4, 4, requires_grad=True)
    optimiser = torch.optim.Adam([weights], lr=0.1)
    for _ in range(400):
        loss = mta_corrected([weights.exp()], teachers, temperature=1.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    wanted = torch.softmax(product_of_teachers(teachers[0]).flatten(), 0)
    found = torch.softmax(weights.detach().flatten(), 0)
    assert (wanted - found).abs().max().item() < 1e-3


def released_formula(student, teachers, temperature, product):
    """Compute the authors' formula position by position in float64."""
    total = 0.0
    for level, own in enumerate(student):
        batch = own.shape[0]
        for row in range(batch):
            s = softmax(unit(own[row]) / temperature)
            maps = [unit(other[row]) for other in teachers[level]]
            if product:
                joint = np.prod(maps, axis=0)
                maps = [joint / joint.sum() if len(maps) > 1 else joint]
            for seen in maps:
                t = softmax(seen / temperature)
                total += sum(t[x] * (np.log(t[x]) - s[x]) for x in range(len(t))) / batch
    return total


def unit(attention):
    flat = attention.detach().double().numpy().reshape(-1)
    return flat / np.sqrt((flat**2).sum())


def softmax(values):
    return np.exp(values) / np.exp(values).sum()


@pytest.mark.parametrize('product', [False, True])
@pytest.mark.parametrize('teachers', [1, 3])
@pytest.mark.parametrize('scale', [1.0, 300.0])
def test_as_released_matches_the_formula_of_the_authors(product, teachers, scale):
    """The value matches the formula and the gradient its numeric derivative, at any scale."""
    loss = mta_as_released_product if product else mta_as_released
    student, others = maps(4, teachers=teachers, sizes=((5, 4), (2, 3)))
    student = [(scale * level.double()).requires_grad_() for level in student]
    others = [[other.double() for other in level] for level in others]
    value = loss(student, others, beta=1.0, temperature=0.5)
    assert value.item() == pytest.approx(released_formula(student, others, 0.5, product), abs=1e-5)
    (gradient,) = torch.autograd.grad(value, student[:1])
    step = 1e-3 * scale
    for place in ((0, 0, 0), (1, 4, 3)):
        ends = []
        for sign in (1, -1):
            moved = [level.detach().clone() for level in student]
            moved[0][place] += sign * step
            ends.append(released_formula(moved, others, 0.5, product))
        assert gradient[place].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-5)


def test_as_released_value_does_not_depend_on_the_features():
    """At 768 pixels and P3 to P7, it is the sum of -log N - 1/N over the levels within 1e-3."""
    sizes = [(768 >> level, 768 >> level) for level in range(3, 8)]
    flat = -sum(np.log(a * b) + 1 / (a * b) for a, b in sizes)
    for seed in range(3):
        student, others = maps(seed, teachers=1, sizes=sizes, batch=1)
        assert mta_as_released(student, others, beta=1.0).item() == pytest.approx(flat, abs=1e-3)
    assert flat == pytest.approx(-31.817, abs=1e-3)


def test_released_loss_and_divergence_of_unit_maps_have_tiny_gradients():
    student, others = maps(4, sizes=((24, 24),))
    student = [level.requires_grad_() for level in student]
    own, theirs = student[0].flatten(1), others[0][0].flatten(1)
    log_s = torch.log_softmax(torch.nn.functional.normalize(own) / 9, dim=1)
    t = torch.softmax(torch.nn.functional.normalize(theirs) / 9, dim=1)
    proper = torch.nn.functional.kl_div(log_s, t, reduction='batchmean')

    def largest(loss):
        return torch.autograd.grad(loss, student)[0].abs().max().item()

    corrected = largest(mta_corrected(student, others))
    assert largest(mta_as_released(student, others)) < 1e-4 * corrected
    assert largest(proper) < 1e-2 * corrected


def test_as_printed_follows_the_equation():
    student, others = maps(5, teachers=2, sizes=((3, 3),), batch=1)
    p = student[0][0] / student[0][0].norm()
    q = others[0][0][0] * others[0][1][0]
    q = q / q.norm()
    expected = 0.5 * (p * (p / q).log()).sum().item()
    assert mta_as_printed(student, others).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('form', MTA)
def test_teachers_on_another_grid_are_resized(form):
    student, _ = maps(6)
    _, others = maps(7, sizes=((24, 24), (12, 12), (6, 6)))
    assert torch.isfinite(MTA[form](student, others))


def test_mean_of_teachers_does_not_favour_large_maps():
    quiet, loud = torch.zeros(1, 2, 2), torch.zeros(1, 2, 2)
    quiet[0, 0, 0], loud[0, 1, 1] = 1.0, 1000.0
    (mean,) = mean_of_teachers([quiet, loud])
    assert mean[0, 0, 0].item() == pytest.approx(mean[0, 1, 1].item())


def test_unequal_numbers_of_levels_are_rejected():
    student, others = maps(8)
    with pytest.raises(ValueError, match='3 levels'):
        mta_corrected(student, others[:2])


def test_corrected_follows_the_equation_at_any_temperature():
    student, others = maps(11, teachers=2, sizes=((3, 4), (2, 2)), batch=1)
    temperature, beta = 3.0, 0.5
    expected = 0.0
    for own, (first, second) in zip(student, others, strict=True):
        s = own[0].double() ** (1 / temperature)
        t = (first[0].double() * second[0].double()) ** (1 / temperature)
        s, t = s / s.sum(), t / t.sum()
        expected += beta * temperature**2 * (t * (t / s).log()).sum().item()
    found = mta_corrected(student, others, beta=beta, temperature=temperature).item()
    assert found == pytest.approx(expected, rel=1e-3)
