//! `trainer`: train slots, score them, draw from them.

fn main() -> std::process::ExitCode {
    glass_stage::program_main("trainer", glass_trainer::cli::run)
}
