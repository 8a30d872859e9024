//! `glassctl` as a user runs it.

mod nets;
