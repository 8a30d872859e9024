//! The captioner.
