//! Allocator and threads.
