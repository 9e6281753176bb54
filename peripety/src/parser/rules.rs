//! The engine of text rules.
