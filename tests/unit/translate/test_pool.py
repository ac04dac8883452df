"""The pool of earlier translations."""

import torch

from facemill.translate.pool import Pool


def numbered(first: int, count: int) -> torch.Tensor:
    """Images of one pixel whose value is their number."""
    return torch.arange(first, first + count).float().view(-1, 1, 1, 1).expand(-1, 3, 1, 1)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_pool_that_is_not_full_keeps_each_image_and_gives_it_back():
    pool = Pool(6, (3, 1, 1))
    assert torch.equal(pool.exchange(numbered(1, 4), random()), numbered(1, 4))
    assert int(pool.filled) == 4 and pool.images[:4, 0, 0, 0].tolist() == [1, 2, 3, 4]


def test_a_full_pool_exchanges_half_of_the_images_and_loses_none():
    pool, draws = Pool(50, (3, 1, 1)), random()
    pool.exchange(numbered(0, 50), draws)
    given = pool.exchange(numbered(50, 1000), draws)
    earlier = given[:, 0, 0, 0] != numbered(50, 1000)[:, 0, 0, 0]
    assert 450 < earlier.sum() < 550
    left = torch.cat([given, pool.images])[:, 0, 0, 0]
    assert left.sort().values.tolist() == list(range(1050))  # each came back, or is in the pool
    assert given[earlier][:, 0, 0, 0].diff().min() < 0  # not in the order in which they came


def test_a_pool_goes_on_where_its_state_says():
    pools = [Pool(5, (3, 1, 1)) for _ in range(2)]
    pools[0].exchange(numbered(0, 7), random(1))
    pools[1].load_state_dict(pools[0].state_dict())
    assert torch.equal(*(pool.exchange(numbered(7, 9), random(2)) for pool in pools))


def test_without_a_pool_images_pass_through():
    images = numbered(0, 3)
    assert torch.equal(Pool(0, (3, 1, 1)).exchange(images, random()), images)
