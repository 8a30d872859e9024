//! What a user sees of `glassctl`.
