"""The arithmetic under a benchmark's times, counted from the shapes that a forward pass multiplies."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from examples.benchmark_floor import Product, count_products, measure_floor


def test_counts_what_torch_counts():
    layers = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ConvTranspose2d(8, 4, 2, stride=2), nn.Conv2d(4, 4, 3, groups=2)
    )
    images, states, heads = torch.randn(2, 3, 16, 12), torch.randn(5, 7, 6), nn.Linear(6, 9)

    def work():
        layers(images)
        heads(states) @ torch.randn(5, 9, 3)

    with FlopCounterMode(display=False) as expected:
        work()
    products = count_products(work)
    assert sum(product.flops * count for product, count in products.items()) == expected.get_total_flops()


def test_counts_attention():
    query, key = torch.randn(2, 4, 10, 8), torch.randn(2, 4, 15, 8)
    products = count_products(lambda: F.scaled_dot_product_attention(query, key, key))
    assert products == {Product(8, 10, 8, 15): 1, Product(8, 10, 15, 8): 1}


def test_the_floor_has_all_the_arithmetic():
    products = count_products(lambda: [torch.randn(64, 32) @ torch.randn(32, 16) for _ in range(3)])
    floor = measure_floor(products)
    assert floor.flops == 3 * 2 * 64 * 32 * 16
    assert floor.seconds > 0 and abs(floor.flops_per_second * floor.seconds / floor.flops - 1) < 1e-9
