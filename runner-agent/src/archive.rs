//! Which files of a work tree are meant by patterns, and how they are packed and unpacked.
//!
//! [`select()`] turns `paths`, `exclude` and `untracked` into a list of files; [`pack`] makes a stream of them in each
//! of the formats that a source knows; [`extract()`] writes an archive into a work tree, and never outside of it.
//! The archive of a cache is the business of `runner-cache`.

mod body;
mod clock;
mod extract;
mod gzip;
mod level;
mod pack;
pub mod pattern;
mod raw;
mod select;
mod zip;

pub use extract::{Summary, extract, extract_file, extract_to_look_at};
pub use gzip::unpack_members;
pub use level::Level;
pub use pack::{Fault, Packed, only_regular, pack};
pub use select::{Notice, Selection, UNTRACKED, Untracked, Wanted, select};
