//! Pictures: decoding, exact resizing and normalising.
