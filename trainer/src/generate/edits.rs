//! Edits of the slots of a picture. Each returns new tensors: nothing is a view of what it was made from, which is
//! what turned the release's swap into a copy.

use burn::tensor::Tensor;

/// The slots without slot `index`; `slots` are `[count, dim]`. The UNet takes any number of them.
pub fn remove(slots: Tensor<2>, index: usize) -> Tensor<2> {
    let [count, _] = slots.dims();
    let before = (index > 0).then(|| slots.clone().narrow(0, 0, index));
    let after = (index + 1 < count).then(|| slots.narrow(0, index + 1, count - index - 1));
    Tensor::cat(before.into_iter().chain(after).collect(), 0)
}

/// The slots with slot `index` set to zero, as the GLASS release removes an object.
pub fn zero(slots: Tensor<2>, index: usize) -> Tensor<2> {
    let nothing = slots.clone().narrow(0, index, 1).zeros_like();
    replace(slots, index, nothing)
}

/// The slots and one more, `slot` of `[1, dim]`.
pub fn add(slots: Tensor<2>, slot: Tensor<2>) -> Tensor<2> {
    Tensor::cat(vec![slots, slot], 0)
}

/// Exchanges slot `a` of `first` with slot `b` of `second`: both pictures change.
pub fn swap(first: Tensor<2>, a: usize, second: Tensor<2>, b: usize) -> (Tensor<2>, Tensor<2>) {
    let from_first = first.clone().narrow(0, a, 1);
    let from_second = second.clone().narrow(0, b, 1);
    (replace(first, a, from_second), replace(second, b, from_first))
}

/// The slots with slot `index` overwritten by `slot` of `[1, dim]`.
pub fn overwrite(slots: Tensor<2>, index: usize, slot: Tensor<2>) -> Tensor<2> {
    replace(slots, index, slot)
}

fn replace(slots: Tensor<2>, index: usize, slot: Tensor<2>) -> Tensor<2> {
    let dim = slots.dims()[1];
    slots.slice_assign([index..index + 1, 0..dim], slot)
}
