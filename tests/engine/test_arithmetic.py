"""Operations are counted as on paper, and the machine's own speed is positive."""

import torch

from automix_cli.engine.arithmetic import count_flops, matrix_product_ceiling


def test_a_matrix_product_counts_two_operations_for_each_term() -> None:
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    assert count_flops(lambda: left @ right) == 2 * 3 * 5 * 7


def test_a_convolution_and_its_two_gradients_count_three_times() -> None:
    convolution = torch.nn.Conv2d(4, 6, 3, padding=1, bias=False)
    images = torch.ones(2, 4, 8, 8, requires_grad=True)
    forward = 2 * 2 * 6 * 8 * 8 * 4 * 3 * 3
    assert count_flops(lambda: convolution(images)) == forward
    assert count_flops(lambda: convolution(images).sum().backward()) == 3 * forward


def test_the_gradient_of_the_images_alone_counts_twice() -> None:
    """PuzzleMix asks for it, of images that are nobody's result."""
    convolution = torch.nn.Conv2d(4, 6, 3, padding=1, bias=False)
    convolution.requires_grad_(requires_grad=False)
    images = torch.ones(2, 4, 8, 8, requires_grad=True)
    forward = 2 * 2 * 6 * 8 * 8 * 4 * 3 * 3
    count = count_flops(lambda: torch.autograd.grad(convolution(images).sum(), images))
    assert count == 2 * forward


def test_the_ceiling_is_a_speed() -> None:
    speed = matrix_product_ceiling(torch.device("cpu"), torch.float32, repeats=1)
    assert 1e6 < speed < 1e17
