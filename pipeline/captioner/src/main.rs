//! `captioner`: see the crate's documentation.

fn main() -> std::process::ExitCode {
    glass_stage::stage_main("captioner", glass_captioner::caption)
}
