//! Metrics against brute force, published formulas and pycocotools.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod assignment;
mod boxes;
mod coco;
mod edge_cases;
mod generation;
mod goldens;
mod ground_truth;
mod maps;
mod properties;
mod semantic;
mod stats;
