//! `sd-generator`: see the crate's documentation.

fn main() -> std::process::ExitCode {
    glass_stage::stage_main("sd-generator", glass_sd_generator::generate)
}
