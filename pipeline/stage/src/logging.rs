//! Log lines on stderr.
