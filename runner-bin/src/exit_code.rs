//! The exit status of the program: what it tells whoever started it.

use std::process::ExitCode;

/// How the program ended, as its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum ExitStatus {
    /// 0: everything that had to succeed did.
    Success = 0,
    /// 1: a job failed that may not fail, or the run was cancelled.
    JobFailed = 1,
    /// 2: wrong use of the command line, or a wrong file.
    WrongUse = 2,
    /// 3: we could not do our work; the jobs are not to blame.
    OurFault = 3,
}

impl ExitStatus {
    /// The number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}
