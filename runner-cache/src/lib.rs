//! Dependency cache of CI jobs: backends that grant, and the archive that is stored.
//!
//! [`DirectoryCache`] keeps entries in a directory. [`archive`] packs files for a
//! [`WriteGrant`](runner_core::WriteGrant) and unpacks those of a [`ReadGrant`](runner_core::ReadGrant).
//! [`tree`] is what both this archive and that of artifacts write into a work tree through: it never leaves it, and
//! [`reader`] what both are read from it through.

pub mod archive;
pub mod blocking;
mod directory;
mod error;
pub mod name;
pub mod reader;
pub mod tree;

pub use archive::{Summary, restore, save};
pub use directory::DirectoryCache;
pub use error::io_error;
