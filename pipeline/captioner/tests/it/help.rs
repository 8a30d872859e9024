//! What the command says of itself.

use clap::CommandFactory;

#[test]
fn the_command_has_an_example_that_runs_json_and_its_exit_codes() {
    assert_eq!(glass_stage::shortcomings(&glass_captioner::Args::command()), Vec::<String>::new());
}
