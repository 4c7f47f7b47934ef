"""Vectors of the certificate-transparency project's Merkle tree tests, then properties."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    subtree_of,
    verify_consistency,
    verify_inclusion,
)

CT_LEAVES = [
    leaf_hash(bytes.fromhex(entry))
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_INCLUSION_OF_0_IN_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
CT_CONSISTENCY_OF_6_WITH_8 = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]

sizes = st.integers(0, 130)


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) as RFC 6962 writes it down."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def some_leaves(size: int) -> list[bytes]:
    return [leaf_hash(b"%d" % n) for n in range(size)]


def is_refused(check: Callable[..., None], *arguments: object) -> bool:
    try:
        check(*arguments)
    except ProofError:
        return True
    return False


def test_the_roots_are_those_of_certificate_transparency() -> None:
    assert [root_of(CT_LEAVES[:size]).hex() for size in range(9)] == CT_ROOTS


def test_the_proofs_are_those_of_certificate_transparency() -> None:
    subtree = subtree_of(CT_LEAVES)
    assert [h.hex() for h in inclusion_proof(0, 8, subtree)] == CT_INCLUSION_OF_0_IN_8
    assert [h.hex() for h in consistency_proof(6, 8, subtree)] == CT_CONSISTENCY_OF_6_WITH_8


@given(sizes)
def test_appending_gives_the_root_of_the_whole_list(size: int) -> None:
    leaves = some_leaves(size)
    assert root_of(leaves) == naive_root(leaves)


@given(sizes, st.integers(0, 20))
def test_a_stored_frontier_goes_on_where_it_was(size: int, more: int) -> None:
    leaves = some_leaves(size + more)
    frontier = Frontier()
    for leaf in leaves[:size]:
        frontier.append(leaf)
    frontier = Frontier.from_bytes(frontier.to_bytes())
    for leaf in leaves[size:]:
        frontier.append(leaf)
    assert (len(frontier), frontier.root()) == (size + more, naive_root(leaves))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing at all"),
        pytest.param(b"\0" * 7, id="half a size"),
        pytest.param((3).to_bytes(8, "big") + b"x" * 32, id="one hash too few"),
        pytest.param((4).to_bytes(8, "big") + b"x" * 64, id="one hash too many"),
        pytest.param((1).to_bytes(8, "big") + b"x" * 31, id="half a hash"),
    ],
)
def test_what_is_no_frontier_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a frontier"):
        Frontier.from_bytes(data)


@given(st.integers(1, 130), st.data())
def test_an_inclusion_proof_proves_its_leaf_and_nothing_else(
    size: int, data: st.DataObject
) -> None:
    leaves = some_leaves(size)
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(index, size, subtree_of(leaves)), naive_root(leaves)
    verify_inclusion(leaves[index], index, size, proof, root)

    other = data.draw(st.integers(0, 200).filter(lambda n: n != index))
    assert is_refused(verify_inclusion, leaves[index], other, size, proof, root)
    assert is_refused(verify_inclusion, leaf_hash(b"other"), index, size, proof, root)
    assert is_refused(verify_inclusion, leaves[index], index, size, [*proof, root], root)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        altered = [*proof[:at], leaf_hash(b"other"), *proof[at + 1 :]]
        assert is_refused(verify_inclusion, leaves[index], index, size, altered, root)
        assert is_refused(verify_inclusion, leaves[index], index, size, proof[:-1], root)


@given(sizes, sizes, st.data())
def test_a_consistency_proof_proves_that_the_tree_only_grew(
    one: int, another: int, data: st.DataObject
) -> None:
    old, new = sorted((one, another))
    leaves = some_leaves(new)
    old_root, new_root = naive_root(leaves[:old]), naive_root(leaves)
    proof = consistency_proof(old, new, subtree_of(leaves))
    verify_consistency(old, new, proof, old_root, new_root)

    other = leaf_hash(b"other")
    assert is_refused(verify_consistency, old, new, proof, other, new_root)
    assert old == 0 or is_refused(verify_consistency, old, new, proof, old_root, other)
    assert is_refused(verify_consistency, old, new, [*proof, other], old_root, new_root)
    assert is_refused(verify_consistency, new + 1, new, proof, old_root, new_root)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        altered = [*proof[:at], other, *proof[at + 1 :]]
        assert is_refused(verify_consistency, old, new, altered, old_root, new_root)
        assert is_refused(verify_consistency, old, new, proof[:-1], old_root, new_root)


def test_a_proof_is_not_made_for_what_is_outside_the_tree() -> None:
    subtree = subtree_of(CT_LEAVES)
    with pytest.raises(ValueError, match="outside"):
        inclusion_proof(8, 8, subtree)
    with pytest.raises(ValueError, match="larger"):
        consistency_proof(9, 8, subtree)
