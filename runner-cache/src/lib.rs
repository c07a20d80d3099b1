//! Dependency cache of CI jobs: backends that grant, and the format of what is stored.
//!
//! [`DirectoryCache`] keeps entries in a directory, `S3Cache` (feature `s3`) in a store that speaks S3; [`GrantedCache`] is
//! what either of them granted, for a holder elsewhere, and [`Upkeep`] looks after what is stored.
//!
//! [`save()`] writes files by a [`WriteGrant`](runner_core::WriteGrant), and
//! [`restore()`] brings back those of a [`ReadGrant`](runner_core::ReadGrant); [`Transfer`] moves their bytes, wherever the
//! grant says they are. [`tree`] is what archives are written into a work tree through: it never leaves it, and [`reader`]
//! what files are read from it through.
//!
//! # The format
//! The content of files is cut into chunks, each known by its digest. Chunks that are new are put, many together, into
//! frames of zstd, and frames into packs, which are objects that never change. The index of an entry, itself a frame, tells
//! of which chunks each file consists and where they lie; the [head](head::Head), a small object that is replaced last,
//! names the packs and where the index lies. An entry shares packs with others of its scope, so what is there is not sent.
//!
//! | object | form | proven by |
//! |---|---|---|
//! | head | lines of text, at most 64 KiB: [`head`] | nothing: it is believed only in what its holder may have anyway |
//! | index | one frame of zstd in a pack | a digest in the head |
//! | frame of content | up to 2 MiB of content, compressed | a digest in the index |

pub mod blocking;
mod directory;
mod error;
mod granted;
pub mod head;
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "signs are folded on purpose, and each number was compared with its limit before"
)]
mod index;
mod kept;
pub mod name;
mod owned;
pub mod reader;
#[expect(
    clippy::cast_possible_truncation,
    reason = "an index has fewer chunks, frames and entries than 32 bits count, and a frame fewer bytes"
)]
pub mod restore;
#[cfg(feature = "s3")]
mod s3;
#[expect(
    clippy::cast_possible_truncation,
    reason = "an index has fewer chunks, frames and entries than 32 bits count, and a frame fewer bytes"
)]
pub mod save;
pub mod shelf;
mod space;
pub mod transfer;
pub mod tree;
pub mod upkeep;

pub use directory::DirectoryCache;
pub use error::io_error;
pub use granted::GrantedCache;
pub use head::{Head, PackName};
pub use kept::Kept;
pub use owned::OwnedCache;
pub use restore::{Restored, restore};
#[cfg(feature = "s3")]
pub use s3::{S3Cache, S3Credentials, S3Encryption, S3Settings};
pub use save::{Level, SaveOptions, Saved, Source, save};
pub use space::ensure_space;
pub use transfer::{Transfer, TransferConfig};
pub use upkeep::Upkeep;
