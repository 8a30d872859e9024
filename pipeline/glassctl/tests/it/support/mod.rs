//! What the tests share.

pub mod datasets;
mod hub;
mod program;
pub mod snapshot;
pub mod workshop;

pub use hub::{Fault, Hub};
pub use program::{Outcome, Place};

/// A safetensors file with one tensor of this many bytes.
pub fn weights(name: &str, bytes: usize) -> Vec<u8> {
    let header = format!(r#"{{"{name}":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend((0..bytes).map(|index| (index * 7 % 251) as u8));
    file
}

pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(bytes))
}
