//! How failures of the file system become the error of all traits.

use std::io;

use runner_core::{Error, ErrorKind};

use crate::blocking::Stopped;

/// The error for `cause`, which happened while doing `operation`. The cause should name the file, as those of
/// `fs_err` do.
pub fn io_error(operation: impl Into<String>, cause: io::Error) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Unauthorized,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            ErrorKind::Exhausted
        }
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => ErrorKind::Corrupt,
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidInput => {
            ErrorKind::Invalid
        }
        io::ErrorKind::TimedOut => ErrorKind::TimedOut,
        _ if was_stopped(&cause) => ErrorKind::Cancelled,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, operation).because(cause)
}

fn was_stopped(cause: &io::Error) -> bool {
    matches!(cause.get_ref(), Some(inner) if inner.is::<Stopped>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_a_missing_right_are_told_apart() {
        let check = |cause: io::ErrorKind, expected| {
            assert_eq!(io_error("write", cause.into()).kind(), expected);
        };
        check(io::ErrorKind::StorageFull, ErrorKind::Exhausted);
        check(io::ErrorKind::PermissionDenied, ErrorKind::Unauthorized);
        check(io::ErrorKind::NotFound, ErrorKind::NotFound);
        check(io::ErrorKind::UnexpectedEof, ErrorKind::Corrupt);
        check(io::ErrorKind::BrokenPipe, ErrorKind::Internal);
    }
}
