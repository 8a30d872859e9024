//! Drawing with the mini checkpoint.
