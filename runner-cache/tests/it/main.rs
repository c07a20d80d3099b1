//! The directory backend keeps the promises of its trait.

mod directory;
