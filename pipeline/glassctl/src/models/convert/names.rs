//! What transformers and diffusers call the same weights in either format.

/// transformers changes its stem with the format, diffusers keeps it.
const STEMS: [(&str, &str); 2] = [("pytorch_model", "model"), ("diffusion_pytorch_model", "diffusion_pytorch_model")];

/// The name of the safetensors file, or of its index, for a PyTorch file's name.
pub(super) fn converted(name: &str) -> String {
    for (from, to) in STEMS {
        // Only `.`, or `-` before a shard's number, ends a stem.
        let rest = name.strip_prefix(from).filter(|rest| rest.starts_with(['.', '-']));
        if let Some(rest) = rest {
            return format!("{to}{}", rest.replacen(".bin", ".safetensors", 1));
        }
    }
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!("{stem}.safetensors")
}

/// Whether a file of this name is a checkpoint or its index. Shards are named by their index;
/// other `.bin` files (optimisers, arguments) are no checkpoints.
pub(super) fn is_checkpoint(name: &str) -> bool {
    let stem = STEMS.iter().find_map(|(stem, _)| name.strip_prefix(stem));
    stem.is_some_and(|rest| rest.starts_with('.') && (rest.ends_with(".bin") || is_index(name)))
}

/// Whether a file of this name is an index: `….bin.index.json`, `….bin.index.fp16.json`.
pub(super) fn is_index(name: &str) -> bool {
    name.contains(".bin.index.") && name.ends_with(".json")
}

#[cfg(test)]
mod tests {
    use super::{converted, is_checkpoint};

    #[test]
    fn names_are_those_that_the_loaders_look_for() {
        for (from, to) in [
            ("pytorch_model.bin", "model.safetensors"),
            ("pytorch_model.fp16.bin", "model.fp16.safetensors"),
            ("pytorch_model-00001-of-00002.bin", "model-00001-of-00002.safetensors"),
            ("pytorch_model.bin.index.json", "model.safetensors.index.json"),
            ("pytorch_model.bin.index.fp16.json", "model.safetensors.index.fp16.json"),
            ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors"),
            ("dino_vitbase16_pretrain.pth", "dino_vitbase16_pretrain.safetensors"),
            ("v1.5.ckpt", "v1.5.safetensors"),
        ] {
            assert_eq!(converted(from), to);
        }
    }

    #[test]
    fn only_weights_are_taken_from_a_folder() {
        assert!(is_checkpoint("pytorch_model.bin") && is_checkpoint("pytorch_model.bin.index.json"));
        for other in ["optimizer.bin", "training_args.bin", "pytorch_model-00001-of-00002.bin", "model.bin"] {
            assert!(!is_checkpoint(other), "{other}");
        }
    }
}
