//! What the commands say of themselves.

use clap::CommandFactory;

#[test]
fn every_verb_has_json_and_an_example_that_its_parser_takes() {
    assert_eq!(glass_stage::shortcomings(&glass_trainer::cli::Cli::command()), Vec::<String>::new());
}
