//! `attention-mask-extractor`: see the crate's documentation.

fn main() -> std::process::ExitCode {
    glass_stage::stage_main("attention-mask-extractor", glass_attention_mask_extractor::extract_masks)
}
