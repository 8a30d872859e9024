//! `glassctl`: see the crate's documentation.

fn main() -> std::process::ExitCode {
    glass_stage::program_main("glassctl", glass_ctl::cli::run)
}
