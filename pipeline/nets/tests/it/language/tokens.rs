use burn::tensor::{Int, Tensor, TensorData};
use glass_nets::generate::TokenBatch;

use crate::support::device;

fn tensor(values: Vec<i64>, shape: [usize; 2]) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(values, shape), &device())
}

#[test]
fn tensors_are_read_row_by_row() {
    let ids = tensor(vec![0, 5, 6, 7, 8, 9], [2, 3]);
    let mask = tensor(vec![0, 1, 1, 1, 1, 1], [2, 3]);
    let batch = TokenBatch::from_tensors(ids, Some(mask)).unwrap();
    assert_eq!(batch.ids(), [[0, 5, 6], [7, 8, 9]]);
    assert_eq!((batch.rows(), batch.tokens()), (2, 3));
    let mask = batch.mask().unwrap();
    assert_eq!(mask, [[false, true, true], [true, true, true]]);
}

#[test]
fn what_is_no_batch_of_tokens_is_refused() {
    let refused = |ids: Vec<i64>, shape: [usize; 2], mask: Option<Tensor<2, Int>>| {
        let batch = TokenBatch::from_tensors(tensor(ids, shape), mask);
        batch.unwrap_err().to_string()
    };
    assert_eq!(refused(vec![3, -100], [1, 2], None), "token ids must not be negative");
    assert_eq!(
        refused(vec![3, 4], [1, 2], Some(tensor(vec![1, 1], [2, 1]))),
        "the attention mask must be 1 x 2 as the token ids are"
    );
    assert!(TokenBatch::new(vec![]).is_err());
    assert!(TokenBatch::new(vec![vec![], vec![]]).is_err());
}
